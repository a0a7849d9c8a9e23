"""The README stays true: its code runs, its files exist, its numbers have a source."""

import json
import re
from pathlib import Path

import torch
from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / 'README.md').read_text()


def blocks(language):
    return re.findall(rf'```{language}\n(.*?)```', TEXT, re.DOTALL)


def test_the_fusion_example_runs():
    (code,) = [b for b in blocks('python') if 'MangoFusion(' in b]
    scope = {}
    exec(code, scope)
    for name, x in scope['features'].items():
        torch.testing.assert_close(scope['again'][name], x, rtol=1e-4, atol=1e-4)
    assert scope['out'].log_prob.shape == (8,)


def test_the_config_example_builds_a_neck():
    from mmengine.registry import init_default_scope

    from mango_mm.registry import MODELS

    (code,) = [b for b in blocks('python') if 'custom_imports' in b]
    config = Config.fromstring(code, '.py')
    init_default_scope('mmseg')
    neck = MODELS.build(config.model.neck)
    assert [type(f).__name__ for f in neck.fusions[2:]] == ['MangoFusion', 'MangoFusion']


def test_the_pipeline_example_builds():
    from mmcv.transforms import Compose
    from mmengine.registry import init_default_scope

    (code,) = [b for b in blocks('python') if 'pipeline = [' in b]
    scope = {}
    exec(code, scope)
    init_default_scope('mmseg')
    assert len(Compose(scope['pipeline']).transforms) == 8


def test_every_path_it_names_exists():
    named = set(re.findall(r'`((?:mango_mm|configs|tools|tests)/[\w/.-]*)`', TEXT))
    named |= set(re.findall(r'(?:python |^)(tools/[\w/.]+)', TEXT, re.MULTILINE))
    named |= set(re.findall(r'\]\(((?!http)[\w/.-]+)\)', TEXT))
    named |= set(re.findall(r'configs/mango/[\w.-]+\.py', TEXT))
    assert len(named) > 12
    assert [n for n in sorted(named) if not (ROOT / n).exists()] == []


def test_the_make_targets_it_names_exist():
    makefile = (ROOT / 'Makefile').read_text()
    targets = set(re.findall(r'make ([\w-]+)', ' '.join(blocks('bash'))))
    assert targets == {'demo', 'demo-imdb', 'demo-translation', 'test', 'test-slow'}
    assert all(f'\n{target}:' in makefile for target in targets)


def test_its_table_of_speed_is_that_of_the_committed_benchmark():
    content = json.loads((ROOT / 'docs/benchmarks/ica.json').read_text())
    lines = {(x['work'], x['n'], x['name']): x for x in content['lines'] if x['dim'] == 64}
    rows = re.findall(
        r'^\| (\d+) \| ([\d.]+) x \| (.+?) \| ([\d.]+) x \| (.+?) \|', TEXT, re.MULTILINE
    )
    assert [int(row[0]) for row in rows] == [256, 1024, 4096, 16384]
    for n, train, naive, inverse, pinv in rows:
        n = int(n)
        for work, name, text in (
            ('forward + backward', 'auto', train), ('forward + backward', 'naive', naive),
            ('inverse', 'auto', inverse), ('inverse', 'naive', pinv),
        ):  # fmt: skip
            if text == '-':
                assert (work, n, name) not in lines
                continue
            text = text.removesuffix(' x')
            digits = len(text.split('.')[1])
            assert f'{lines[work, n, name]["ratio"][1]:.{digits}f}' == text, (n, work, name)
