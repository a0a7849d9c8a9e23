"""Every subset of the modalities is evaluated, by the model that is told what it lacks."""

import json

import pytest
import torch
from mmengine.runner import Runner
from rooms import ROOT, SHORT, iterations, make_rooms

from mango_mm.apis import load_config
from mango_mm.apis import test as evaluate
from mango_mm.datasets.mini.write_movies import write_movies
from mango_mm.engine.hooks import MissingModalityHook
from mango_mm.engine.hooks.missing_modality_hook import without
from mango_mm.models import FusionNeck

CONFIGS = ROOT / 'configs'
DROPOUT = CONFIGS / 'mango/mango-l2-dropout_small_1xb8-600it_mini-rooms-72x96.py'
MOVIES = CONFIGS / 'mango/mango-l2_small_1xb32-600it_mini-movies-96x64.py'


def options(**more):
    known = {'True': True, 'False': False}
    pairs = dict(o.split('=') for o in [*SHORT, *iterations(3, 3)])
    return {k: known.get(v, int(v) if v.isdigit() else v) for k, v in pairs.items()} | more


def logged(work):
    (path,) = work.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in lines if any('/' in k for k in line)]


def test_a_validation_reports_every_subset_and_a_test_agrees(tmp_path, monkeypatch):
    monkeypatch.setenv('MANGO_MINI_ROOMS', str(make_rooms(tmp_path / 'rooms')))
    config = load_config(DROPOUT, work_dir=tmp_path / 'work', options=options())
    config.experiment_name = f'missing-{tmp_path.name}'
    Runner.from_cfg(config).train()
    (line,) = logged(tmp_path / 'work')
    assert {'mIoU', 'rgb/mIoU', 'depth/mIoU', 'rgb/nll_per_dim'} <= set(line)
    # By hand: the same pipeline, without depth, as an ordinary test.
    gone = without(['depth'], config.val_dataloader.dataset.pipeline, dict(rgb=3, depth=1))
    alone = evaluate(
        DROPOUT, tmp_path / 'work', work_dir=tmp_path / 'alone',
        options=options(**{'test_dataloader.dataset.pipeline': gone, 'custom_hooks': []}),
    )  # fmt: skip
    assert alone['mIoU'] == pytest.approx(line['rgb/mIoU'])
    assert alone['nll_per_dim'] == pytest.approx(line['rgb/nll_per_dim'], rel=1e-5)
    assert line['rgb/nll_per_dim'] != line['nll_per_dim']


def test_movies_too(tmp_path, monkeypatch):
    write_movies(tmp_path / 'movies', train=24, dev=7, test=7)
    monkeypatch.setenv('MANGO_MINI_MOVIES', str(tmp_path / 'movies'))
    config = load_config(MOVIES, work_dir=tmp_path / 'work', options=options())
    hook = dict(type='mango_mm.MissingModalityHook', modalities=['image', 'text'])
    config.custom_hooks.append(hook)
    config.experiment_name = f'missing-movies-{tmp_path.name}'
    Runner.from_cfg(config).train()
    (line,) = logged(tmp_path / 'work')
    assert {'macro_f1', 'image/macro_f1', 'text/macro_f1', 'text/nll_per_dim'} <= set(line)


def test_three_modalities_have_six_proper_subsets():
    hook = MissingModalityHook(dict(rgb=3, depth=1, hha=3))
    assert len(set(hook.subsets)) == 6
    assert ('rgb', 'hha') in hook.subsets
    with pytest.raises(ValueError, match='two modalities or more'):
        MissingModalityHook(['rgb'])
    with pytest.raises(ValueError, match=r"some of \('rgb', 'depth'\), but not all"):
        MissingModalityHook(['rgb', 'depth'], subsets=[['rgb', 'depth']])
    with pytest.raises(ValueError, match=r"got \[\('nir',\)\]"):
        MissingModalityHook(['rgb', 'depth'], subsets=[['nir']])


def neck(fusion):
    torch.manual_seed(0)
    model = FusionNeck(['rgb', 'depth'], [8, 12], fusion=fusion, stages=[1])
    for p in model.parameters():
        p.data.add_(0.1 * torch.randn_like(p))
    return model.eval()


@pytest.mark.parametrize(
    'fusion',
    [
        dict(type='MangoFusion', window=2, depth=1),
        dict(type='MangoFusion', window=2, depth=1, missing='impute'),
        dict(type='ConcatFusion'),
        dict(type='GatedFusion'),
        dict(type='CrossAttentionFusion', num_heads=2),
    ],
    ids=lambda f: f['type'] + f.get('missing', ''),
)
def test_a_neck_shows_no_fusion_what_an_encoder_makes_of_a_blank(fusion):
    model, present = neck(fusion), torch.tensor([[True, False], [True, True]])

    def pyramid():
        return [torch.randn(2, 8, 6, 8), torch.randn(2, 12, 3, 4)]

    rgb, depth = pyramid(), pyramid()
    other = [x.clone() for x in depth]
    for x in other:
        x[0] = 1e3 * torch.randn_like(x[0])
    maps = model.fuse({'rgb': rgb, 'depth': depth}, present).maps
    torch.testing.assert_close(model.fuse({'rgb': rgb, 'depth': other}, present).maps, maps)
    whole = model.fuse({'rgb': rgb, 'depth': depth}).maps
    for some, every in zip(maps, whole):
        torch.testing.assert_close(some[1], every[1])
        assert not torch.allclose(some[0], every[0])
