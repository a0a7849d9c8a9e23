# Two commands do everything on a machine with Python 3.11, gcc, g++ and make:
#   make demo    build the environment, then train, evaluate and draw
#   make test    build the environment, then run every check
# MANGO_WHEELS=folder re-uses an mmcv wheel found there instead of compiling it.

PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python
SEEDS ?= 0

.PHONY: setup demo demo-translation demo-imdb test check lint clean

setup:
	@$(PYTHON) tools/setup_env.py --venv $(VENV)

demo: setup
	$(RUN) -W ignore tools/demo.py --seeds $(SEEDS)

demo-translation: setup
	$(RUN) -W ignore tools/demo_translation.py --seeds $(SEEDS)

demo-imdb: setup
	$(RUN) -W ignore tools/demo_imdb.py --seeds $(SEEDS)

lint: setup
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(VENV)/bin/lint-imports
	$(RUN) -m mypy

test: lint
	$(RUN) -m pytest -q --doctest-modules mango_mm tests

check: test

clean:
	rm -rf $(VENV) work_dirs/demo* data/mini_* build dist *.egg-info
