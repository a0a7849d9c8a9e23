"""The demo that needs torch alone: it runs where no toolbox can be imported."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {'mmengine', 'mmcv', 'mmseg', 'mmagic', 'PIL', 'matplotlib'}:
            raise ImportError(f'{name} is blocked')
sys.meta_path.insert(0, Blocked())
import runpy
sys.argv = ['demo_core.py', '--steps', '40', '--out', sys.argv[1]]
runpy.run_path('tools/demo_core.py', run_name='__main__')
"""


def test_it_fuses_inverts_and_draws_without_any_toolbox(tmp_path):
    done = subprocess.run(
        [sys.executable, '-c', BLOCKED, str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-1500:]
    error = float(re.search(r'largest error ([\d.e+-]+)', done.stdout)[1])
    assert error < 1e-4
    auroc = float(re.search(r'AUROC ([\d.]+)', done.stdout)[1])
    assert auroc > 0.6  # after 40 steps of 250
    drawing = (tmp_path / 'waves.svg').read_text()
    assert drawing.startswith('<svg')
    assert drawing.count('<polyline') == 16
