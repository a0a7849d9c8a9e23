"""Where mmseg is missing, the rest works, and what needs it says so."""

import subprocess
import sys

CODE = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('mmseg', 'mmagic'):
            raise ImportError(f'{name} is blocked')

sys.meta_path.insert(0, Block())
from mango_mm.registry import MODELS, DATASETS, TRANSFORMS, HOOKS, METRICS
assert MODELS.get('FusionNeck') and MODELS.get('MangoFusion')
assert DATASETS.get('NYUDepthV2Dataset') and TRANSFORMS.get('LoadDepth')
assert HOOKS.get('PanelHook') and METRICS.get('FlowLikelihood')
for name in ('MultimodalEncoderDecoder', 'MultimodalSegDataPreProcessor'):
    try:
        MODELS.build(dict(type=name, anything=1))
    except ImportError as error:
        print(error)
"""


def test_each_missing_class_is_named_with_its_host_and_command():
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', CODE], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    for name, line in zip(('MultimodalEncoderDecoder', 'MultimodalSegDataPreProcessor'), lines):
        assert f'{name} needs mmseg, which is not installed' in line
        assert 'pip install "mango_mm[seg]"' in line
    assert len(lines) == 2
