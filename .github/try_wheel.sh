#!/usr/bin/env bash
# Installs the one wheel in a folder into a bare environment and uses it with no checkout in sight.
#   bash .github/try_wheel.sh dist          its version, its configs, one fusion
#   bash .github/try_wheel.sh dist tests    and the tests that need no toolbox
# PYTHON makes the environment, VENV names one to use instead, TORCH_INDEX has the torch to install.
set -euo pipefail
checkout=$(cd "$(dirname "$0")/.." && pwd)
wheels=("$1"/mango_mm-*.whl)
if [ "${#wheels[@]}" != 1 ] || [ ! -f "${wheels[0]}" ]; then
    echo "$1 must hold one wheel of mango_mm; got ${wheels[*]}" >&2
    exit 2
fi
wheel=$(realpath "${wheels[0]}")
outside=$(mktemp -d)
trap 'rm -rf "$outside"' EXIT
unset PYTHONPATH

if [ -z "${VENV:-}" ]; then
    VENV=$outside/venv
    "${PYTHON:-python3}" -m venv "$VENV"
fi
VENV=$(realpath "$VENV")
pip() { "$VENV/bin/python" -m pip install --disable-pip-version-check --quiet "$@"; }
pip --index-url "${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}" \
    "$(grep '^torch==' "$checkout/requirements/torch.txt")"
pip "$wheel"

cd "$outside"
"$VENV/bin/python" -c "import mango_mm; print(mango_mm.__version__)"
CHECKOUT=$checkout "$VENV/bin/python" - <<'PYTHON'
import importlib.util
import os
from pathlib import Path

import torch

import mango_mm
from mango_mm.fusion import MangoFusion

checkout, package = Path(os.environ['CHECKOUT']), Path(mango_mm.__file__).parent
assert not package.is_relative_to(checkout / 'mango_mm'), package
assert f"'{mango_mm.__version__}'" in (checkout / 'mango_mm/version.py').read_text()
hosts = [
    name for name in ('mmengine', 'mmcv', 'mmseg', 'mmagic', 'transformers')
    if importlib.util.find_spec(name)
]
assert not hosts, f'a bare environment has no {hosts}'
configs = len(list((package / '.mim/configs').rglob('*.py')))
assert configs == len(list((checkout / 'configs').rglob('*.py'))) > 54, configs

torch.manual_seed(0)
fusion = MangoFusion(('rgb', 'depth'), dim=16, num_tokens=9, depth=2).eval()
features = {name: torch.randn(2, 9, 16) for name in ('rgb', 'depth')}
with torch.no_grad():
    out = fusion(features)
    again = fusion.inverse(out)
for name, x in features.items():
    torch.testing.assert_close(again[name], x, rtol=1e-4, atol=1e-4)
assert out.fused.shape == (2, 9, 16) and out.log_prob.isfinite().all()
print(f'{package}: {configs} configs, one fusion there and back')
PYTHON

if [ "${2:-}" = tests ]; then
    pip -c "$checkout/requirements/dev.txt" pytest pytest-xdist hypothesis
    mkdir tests
    cp "$checkout/pyproject.toml" .
    cp -r "$checkout"/tests/{conftest.py,torch_features.py,flows,fusion} tests
    # Not `python -m pytest`, which would look for the package in the folder it is called from.
    OMP_NUM_THREADS=1 "$VENV/bin/pytest" -q -n "${JOBS:-2}" --dist loadfile tests
fi
