# Two commands do everything on a machine with Python 3.10 to 3.12, gcc, g++ and make:
#   make demo    build the environment, then train, evaluate and draw
#   make test    build the environment, then run every check
# MANGO_WHEELS=folder re-uses an mmcv wheel found there instead of compiling it.
# PYTHON=python3.12 takes another Python; HOSTS=onedl the forks of 2026 (without mmagic).

PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python
SEEDS ?= 0
JOBS ?= 2
GPU_PYTHON ?= $(RUN)
HOSTS ?= openmmlab

.PHONY: setup demo-core demo demo-translation demo-imdb demo-trust web docs gpu test test-slow soak check lint clean

setup:
	@$(PYTHON) tools/setup_env.py --venv $(VENV) --hosts $(HOSTS)

# torch alone, no toolbox: its own small environment.
CORE ?= .venv-core
demo-core:
	@test -x $(CORE)/bin/python || $(PYTHON) -m venv $(CORE)
	@$(CORE)/bin/python -c 'import mango_mm.fusion' 2> /dev/null || $(CORE)/bin/python -m pip install -q .
	$(CORE)/bin/python tools/demo_core.py

demo: setup
	$(RUN) -W ignore tools/demo.py --seeds $(SEEDS)

demo-translation: setup
	$(RUN) -W ignore tools/demo_translation.py --seeds $(SEEDS)

demo-imdb: setup
	$(RUN) -W ignore tools/demo_imdb.py --seeds $(SEEDS)

demo-trust: setup
	$(RUN) -W ignore tools/demo_trust.py --seeds $(SEEDS)

# A page to play with, on this machine alone.
web: setup
	$(RUN) -W ignore tools/web.py

# The documentation site: every warning is an error, every link is there.
docs: setup
	$(RUN) -W ignore -m sphinx -b html -q -W --keep-going docs docs/_build/html
	@echo docs/_build/html/index.html

# What a GPU says: is every kernel right on it, how fast is it, does a training run. Ten minutes.
gpu:
	$(GPU_PYTHON) -W ignore tools/benchmark/gpu_report.py --out docs/benchmarks

lint: setup
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(VENV)/bin/lint-imports
	$(RUN) -m mypy

PYTEST = OMP_NUM_THREADS=1 $(RUN) -m pytest -q -n $(JOBS) --dist loadfile

# The forks have no mmagic, which translation is built on.
NO_MMAGIC = $(if $(filter onedl,$(HOSTS)),--ignore mango_mm/models/editors)

test: lint
	$(PYTEST) -m "not slow and not soak" --doctest-modules $(NO_MMAGIC) mango_mm tests

# What is marked slow: trainings, kills, compilers. PART=2/3: the second third of the files.
PART ?= 1/1
test-slow: setup
	$(PYTEST:loadfile=worksteal) -m "slow and not soak" --part $(PART) tests

# The long forms of tests/reliability: 150 faults, 15,300 broken files, every mini config. Half an hour.
soak: setup
	MANGO_RELIABILITY=full OMP_NUM_THREADS=1 $(RUN) -W ignore -m pytest -q -n $(JOBS) --dist loadfile tests/reliability \
		tests/tools/test_export_onnx.py tests/engine/test_whole_checkpoints.py \
		tests/engine/test_finite_loss_hook.py tests/flows/test_compile.py
	$(PYTEST) -m soak tests

check: test

clean:
	rm -rf $(VENV) $(CORE) work_dirs/demo* data/mini_* docs/_build build dist *.egg-info
