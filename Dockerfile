# The environment for CPUs, and the two commands: docker run mango_mm make demo
FROM python:3.11-slim-bookworm

# Debian keeps only the newest of each package, so that a pinned version would soon be gone.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc g++ make git libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /mango_mm
# The set-up first: a change of the code does not compile mmcv again.
COPY requirements requirements
COPY tools/setup_env.py tools/setup_env.py
COPY setup.py README.md LICENSE MANIFEST.in model-index.yml ./
COPY mango_mm/version.py mango_mm/version.py
RUN python tools/setup_env.py --venv .venv --skip-package

COPY . .
RUN make setup

CMD ["make", "demo"]
