"""Every tool, called wrongly: one line, status 2, nothing begun."""

import argparse
import importlib.util
import os
import re
import sys

import pytest
from rooms import MANGO, ROOT, make_rooms

from mango_mm.apis import command, load_config
from mango_mm.apis.dict_action import DictAction
from mango_mm.apis.overrides import check_counts, check_keys, check_model_name

TOOLS = sorted(
    p for p in (ROOT / 'tools').rglob('*.py')
    if p.name not in ('setup_env.py', 'gpu.py', 'gpu_report.py', 'demo_core.py')  # need no host
)  # fmt: skip
M = str(MANGO)


def call(name, *words, capsys, monkeypatch):
    """Run a tool in this process; its exit status and what it said on stderr."""
    path = ROOT / 'tools' / name
    monkeypatch.setattr(sys, 'argv', [str(path), *map(str, words)])
    monkeypatch.setattr(sys, 'path', [str(path.parent), *sys.path])
    spec = importlib.util.spec_from_file_location(f'tool_{path.stem}', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    capsys.readouterr()
    try:
        command.run_tool(module.main)
    except SystemExit as end:
        code = end.code
    else:
        code = 0
    return code, capsys.readouterr().err


def test_every_tool_goes_through_the_one_main():
    assert len(TOOLS) == 45  # change together with tools/
    for path in TOOLS:
        text = path.read_text()
        assert text.rstrip().endswith("if __name__ == '__main__':\n    run_tool(main)"), path
        assert 'ArgumentParser(' not in text, path
        assert 'type=int' not in text, path


def bad_calls(tmp):
    """Tool, words, what it says."""
    (tmp / 'empty.py').write_text('')
    (tmp / 'broken.py').write_text('model = dict(')
    (tmp / 'notes.txt').write_text('x')
    (tmp / 'idle.py').write_text("model = dict(type='X')")
    none, folder, empty = tmp / 'none.py', tmp, tmp / 'empty.py'
    configs = [
        ('train.py', []), ('test.py', ['x.pth']), ('infer.py', ['x.pth', '--input', 'rgb=a.png']),
        ('export_onnx.py', ['x.pth', str(tmp / 'o.onnx')]),
        *((f'analyse/{n}.py', [str(tmp / 'x.pth'), '--out', str(tmp / 'out')])
          for n in ('attribution', 'fit_density', 'generate', 'likelihood', 'robustness')),
        ('analyse/check_data.py', []),
    ]  # fmt: skip
    for name, rest in configs:
        yield name, [none, *rest], r'config file .*none.py does not exist'
        yield name, [folder, *rest], r'config .* must be a file; it is a folder'
        yield name, [empty, *rest], r'config .*empty.py has no model'
        yield name, [tmp / 'broken.py', *rest], r'config .*broken.py cannot be read'
        yield name, [tmp / 'notes.txt', *rest], r'config .*notes.txt cannot be read'
        if name not in ('infer.py', 'export_onnx.py'):
            options = ['--cfg-options', 'train_dataloader.bach_size=3']
            yield name, [M, *rest, *options], r"no key 'train_dataloader.bach_size'.*'batch_size'"
            options = ['--cfg-options', 'model.neck.fusion.dept=3']
            yield name, [M, *rest, *options], r"no key 'model.neck.fusion.dept'.*'depth' is meant"
    checkpoints = [n for n, rest in configs if rest and 'generate' not in n]
    for name in checkpoints:
        rest = dict(configs)[name][1:]
        yield name, [M, tmp / 'none.pth', *rest], r'checkpoint .*none.pth does not exist'
        yield name, [M, tmp / 'notes.txt', *rest], r'checkpoint .*notes.txt .*cannot be read|holds'
    yield 'train.py', [tmp / 'idle.py'], 'no train_dataloader or no train_cfg'
    yield 'test.py', [tmp / 'idle.py', 'x.pth'], 'no test_dataloader or no test_evaluator'
    for key, value, least in (
        ('train_cfg.max_iters', -1, 1), ('train_dataloader.batch_size', 0, 1),
        ('train_dataloader.num_workers', -1, 0), ('train_cfg.val_interval', 0, 1),
    ):  # fmt: skip
        words = [M, '--cfg-options', f'{key}={value}']
        yield 'train.py', words, rf'{key} must be a whole number of at least {least}; got {value}'
    yield 'train.py', [M, '--resume', tmp / 'none.pth'], 'checkpoint .*none.pth does not exist'
    yield 'infer.py', [M, 'x', '--input', 'rgb=a', '--device', 'tpu'], 'a device of this machine'
    yield 'infer.py', [M, 'x', '--input', 'rgb=a', '--batch-size', -1], 'at least 1; got .-1'
    yield 'infer.py', [M, 'x', '--input', 'rgb'], 'must be MODALITY=VALUE'
    for name in ('demo.py', 'demo_imdb.py', 'demo_translation.py'):
        yield name, ['--iters', 0], 'whole number of at least 1'
        yield name, ['--seeds', 'x'], 'whole number of at least 0'
    rooms = 'prepare/mini_rooms.py'
    yield rooms, [tmp / 'r', '--train', -1], 'whole number of at least 0'
    yield rooms, [tmp / 'r', '--size', 0, 8], 'whole number of at least 1'
    yield rooms, [tmp / 'notes.txt'], 'must be a folder to be written; it is a file'
    yield 'prepare/shrink.py', [tmp / 'none', tmp / 'o'], r'list .*train.txt does not exist'
    yield 'prepare/shrink.py', [tmp, tmp / 'o', '--lists', '../x'], 'paths must stay inside'
    yield 'prepare/shrink.py', [tmp, tmp / 'o', '--short-side', 0], 'whole number of at least 1'
    yield 'prepare/taskonomy_from_rgbd.py', [tmp / 'none', tmp / 'o'], 'train.txt does not exist'
    yield 'prepare/taskonomy_from_rgbd.py', [tmp, tmp / 'o', '--scale', 0], 'a number above 0'
    yield 'prepare/taskonomy.py', [tmp / 'none'], 'does not exist; unpack the domain'
    yield 'prepare/mm_imdb.py', [tmp / 'none'], 'does not exist'
    yield 'prepare/mm_imdb.py', [tmp / 'none', '--layout', 'hdf5'], 'does not exist'
    yield 'prepare/nyu_depth_v2.py', [tmp / 'a.mat', tmp / 'b.mat'], 'a.mat does not exist'
    yield 'prepare/sun_rgbd.py', [tmp], 'does not exist'
    compare = 'benchmark/compare.py'
    yield compare, ['no_such_suite'], 'suite no_such_suite does not exist'
    yield compare, ['--run', f'../../x={M}', '--out', tmp / 'c'], 'must be the name of one folder'
    yield compare, ['--run', f'a={M}', '--out', tmp / 'c', '--jobs', 0], 'whole number of at least'
    words = ['--run', f'a={M}', '--out', tmp / 'c', '--cfg-options', 'trian_cfg.max_iters=1']
    yield compare, words, "no key 'trian_cfg.max_iters'"
    yield compare, ['--run', f'a={M}', '--out', tmp / 'c', '--seeds', 1, 1], r'seeds must differ'
    for name in ('ica', 'flow', 'fusion', 'train_step'):
        yield f'benchmark/{name}.py', ['--out', tmp / 'b', '--device', 'tpu'], 'a device of this'
        yield f'benchmark/{name}.py', ['--out', tmp / 'b', '--rounds', 0], 'at least 1'
    yield 'analyse/report.py', [tmp / 'none'], 'there is no work dir'
    yield 'analyse/umt_or_ume.py', [tmp / 'none.jsonl'], 'none.jsonl'


def test_whatever_is_called_wrongly_ends_with_one_line_and_status_2(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv('MANGO_MINI_ROOMS', str(make_rooms(tmp_path / 'rooms')))
    monkeypatch.chdir(tmp_path)
    calls, wrong = list(bad_calls(tmp_path)), []
    assert len(calls) > 110
    before = sorted(os.listdir(tmp_path))
    for name, words, message in calls:
        try:
            code, said = call(name, *words, capsys=capsys, monkeypatch=monkeypatch)
        except Exception as error:  # noqa: BLE001  # a traceback, as a user would see it
            wrong.append((name, words, f'{type(error).__name__}: {str(error)[:200]}'))
            continue
        last = said.strip().splitlines()[-1] if said.strip() else ''
        if code != 2 or not re.search(message, said) or 'Traceback' in said or len(last) > 2000:
            wrong.append((name, words, code, said[-400:]))
    assert not wrong, f'{len(wrong)} of {len(calls)}:\n' + '\n'.join(map(str, wrong))
    left = {p for p in os.listdir(tmp_path) if p not in before}
    assert left <= {'work_dirs', 'c', 'out'}, left  # logs at most


def test_a_mistake_of_ours_is_a_traceback(monkeypatch):
    def broken():
        return [][1]

    with pytest.raises(IndexError):
        command.run_tool(broken)

    def refused():
        raise ValueError('depth must be positive; got -1.')

    monkeypatch.setattr(sys, 'argv', [__file__])
    with pytest.raises(SystemExit) as end:
        command.run_tool(refused)
    assert end.value.code == 2
    monkeypatch.setenv('MANGO_TRACEBACK', '1')
    with pytest.raises(ValueError, match='depth must be positive'):
        command.run_tool(refused)


def test_overrides_that_are_known_pass_and_arguments_of_classes_too():
    config = load_config(MANGO)
    from mmengine.registry import init_default_scope

    init_default_scope('mmseg')
    check_keys(config, dict.fromkeys([
        'train_cfg.max_iters', 'train_dataloader.dataset.void_zero', 'randomness.deterministic',
        'model.neck.fusion.layers', 'model.decode_head.dropout_ratio',
        'default_hooks.visualization.val_samples',
        'optim_wrapper.accumulative_counts', 'optim_wrapper.optimizer.betas', 'load_from',
        'default_hooks.mine.type', 'train_dataloader.prefetch_factor', 'experiment_name',
    ]))  # fmt: skip
    for key, message in (
        ('random_ness.seed', "no key 'random_ness.seed'.*'randomness' is meant"),
        ('randomness.sed', "'seed' is meant"),
        ('custom_hooks.99.x', 'is a list of'),
        ('model.backbone.modalities.rbg', 'is a list of'),
    ):
        with pytest.raises(KeyError, match=message):
            check_keys(config, {key: 1})
    other = {'model.neck.fusion.type': 'CrossAttentionFusion', 'model.neck.fusion.num_heads': 4}
    check_keys(config, other)  # an argument of the type that is meant
    with pytest.raises(KeyError, match='no key'):
        check_keys(config, {**other, 'model.neck.fusion.recipe_of': 4})
    # Dicts without a type, whose owner knows the class.
    name = 'mango/mango-trust-l1_small_1xb8-600it_mini-rooms-72x96.py'
    trust = load_config(ROOT / 'configs' / name)
    check_keys(trust, dict.fromkeys([
        'model.decode_head.trust.rate', 'model.decode_head.trust.act', 'model.test_cfg.crop_size',
        'model.decode_head.trust.in_channels', 'model.neck.fusion.layers.clamp',
    ]))  # fmt: skip
    for key, message in (
        ('model.decode_head.trust.rates', "'rate' is meant"),
        ('model.decode_head.trust.modalities', 'no key'),
        ('model.neck.fusion.layers.clampp', "'clamp' is meant"),
        ('model.test_cfg.crop', 'no key'),
    ):
        with pytest.raises(KeyError, match=message):
            check_keys(trust, {key: 1})
    config.train_cfg.max_iters = True
    with pytest.raises(ValueError, match='train_cfg.max_iters must be a whole number'):
        check_counts(config)


def test_a_model_whose_name_the_host_has_too_must_say_whose_it_is():
    config = load_config(MANGO)
    check_model_name(config)
    config.model.type = 'MultimodalEncoderDecoder'
    with pytest.raises(ValueError, match=r"which mmseg has too.*write type='mango_mm.Multimodal"):
        check_model_name(config)
    config.model.type = 'MIND'
    with pytest.raises(ValueError, match=r"'MIND', which mmseg does not have: write type='mango"):
        check_model_name(config)
    config.model.type = 'EncoderDecoder'
    check_model_name(config)


def test_an_override_keeps_the_spaces_of_a_path():
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    given = ['a=dir of mine/x.pth', 'b="[1, 2]"', 'c=(1, a)', 'd=.5', 'e=None', "f='x y'", 'g=1,2']
    assert parser.parse_args(['--cfg-options', *given]).cfg_options == {
        'a': 'dir of mine/x.pth', 'b': [1, 2], 'c': (1, 'a'), 'd': 0.5, 'e': None, 'f': 'x y',
        'g': [1, 2],
    }  # fmt: skip
