"""The core works where no OpenMMLab package can be imported."""

import subprocess
import sys

BLOCKED = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {hosts!r}:
            raise ImportError(f'{{name}} is blocked')

sys.meta_path.insert(0, Block())
import mango_mm
{code}
"""
HOSTS = {'mmengine', 'mmcv', 'mmseg', 'mmagic', 'transformers', 'matplotlib'}


def run(code, hosts=HOSTS):
    return subprocess.run(
        [sys.executable, '-c', BLOCKED.format(hosts=hosts, code=code)],
        capture_output=True,
        text=True,
    )


def test_flows_fusion_and_testing_import_and_run():
    done = run(
        'import torch\n'
        'from mango_mm import flows, fusion, testing\n'
        "model = fusion.MangoFusion(('a', 'b'), 4, 4, depth=1)\n"
        'testing.assert_is_fusion(model, grid=(2, 2))\n'
        "assert not {m.split('.')[0] for m in sys.modules} & {'mmengine', 'mmcv', 'mmseg'}\n"
        "print('fine')"
    )
    assert done.stdout.strip() == 'fine', done.stderr


def test_no_compiler_is_imported_and_yet_the_probe_is_a_constant_to_one():
    done = run(
        'import torch\n'
        'from mango_mm import fusion\n'
        "assert 'torch._dynamo' not in sys.modules\n"  # 1.7 s
        'from mango_mm.flows.tracing import constant_in_traces\n'
        'mine, theirs = lambda: 1, lambda: 1\n'
        'constant_in_traces(mine), torch.compiler.assume_constant_result(theirs)\n'
        'print(vars(mine) == vars(theirs) != {})'
    )
    assert done.stdout.strip() == 'True', done.stderr


def test_what_needs_a_host_names_it_and_the_command():
    done = run("from mango_mm.hosts import require_host\nrequire_host('mmseg', 'MangoInferencer')")
    last = done.stderr.strip().splitlines()[-1]
    assert 'MangoInferencer needs mmseg, which is not installed' in last
    assert 'pip install "mango_mm[seg]"' in last
