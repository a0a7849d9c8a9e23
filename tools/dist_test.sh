#!/usr/bin/env bash
# Test on several GPUs of one machine.
#   tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]
set -euo pipefail
torchrun --nproc_per_node="$3" --master_port="${PORT:-29500}" \
    "$(dirname "$0")/test.py" "$1" "$2" --launcher pytorch "${@:4}"
