"""The likelihood of samples, from checkpoints on disk."""

import json

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from rooms import MANGO, ROOT, SHORT, make_rooms, run

from mango_mm.analysis.fusion_recorder import FusionCall
from mango_mm.analysis.likelihood import _of_batch, measure_likelihood
from mango_mm.apis import load_config
from mango_mm.apis import test as evaluate
from mango_mm.datasets.mini.write_movies import write_movies
from mango_mm.fusion import MangoFusion
from mango_mm.registry import MODELS
from mango_mm.structures import SequenceSample
from mango_mm.visualization import draw_histogram, draw_maps

TOOL = ROOT / 'tools/analyse/likelihood.py'
CONCAT = ROOT / 'configs/concat/concat_small_1xb8-600it_mini-rooms-72x96.py'
MOVIES = ROOT / 'configs/mango/mango-l2_small_1xb32-600it_mini-movies-96x64.py'
WORKERS = {
    f'{split}_dataloader.{key}': value
    for split in ('val', 'test')
    for key, value in (('num_workers', 0), ('persistent_workers', False))
}


@pytest.fixture(scope='module')
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp('likelihood')
    make_rooms(folder / 'rooms')
    write_movies(folder / 'movies', train=24, dev=7, test=7)
    patch = pytest.MonkeyPatch()
    patch.setenv('MANGO_MINI_ROOMS', str(folder / 'rooms'))
    patch.setenv('MANGO_MINI_MOVIES', str(folder / 'movies'))
    for name, config in (('mango', MANGO), ('movies', MOVIES)):
        read = load_config(config)
        init_default_scope(read.default_scope)
        torch.manual_seed(0)
        model = MODELS.build(read.model)
        model.init_weights()
        if hasattr(model, 'fit_vocabulary'):
            model.fit_vocabulary(['war and love', 'love war'])
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.02 * torch.randn_like(p))
        torch.save({'state_dict': model.state_dict(), 'meta': {}}, folder / f'{name}.pth')
    yield folder
    patch.undo()


def test_shares_add_up_and_the_mean_is_that_of_a_test(work):
    found = measure_likelihood(MANGO, work / 'mango.pth', options=WORKERS)
    assert len(found) == 3
    for sample in found:
        assert sum(sample.shares.values()) == pytest.approx(sample.log_prob, rel=1e-12)
        assert sample.share_dims == {'rgb': 9 * 12 * 64, 'depth': 9 * 12 * 64}
        for m, share in sample.shares.items():  # the maps' mean is the modality's share
            bits = -share / sample.share_dims[m] / np.log(2)
            assert sample.maps[m].shape == (9, 12)
            assert sample.maps[m].mean() == pytest.approx(bits, rel=1e-5)
    metrics = evaluate(MANGO, work / 'mango.pth', work_dir=work / 'test', options=WORKERS)
    mean = np.mean([sample.bits_per_dim for sample in found])
    assert mean == pytest.approx(metrics['bits_per_dim'], rel=1e-5)


def test_of_movies_padding_has_no_share(work):
    found = measure_likelihood(MOVIES, work / 'movies.pth', split='test', options=WORKERS)
    assert len(found) == 7
    metrics = evaluate(MOVIES, work / 'movies.pth', work_dir=work / 'test', options=WORKERS)
    mean = np.mean([sample.bits_per_dim for sample in found])
    assert mean == pytest.approx(metrics['bits_per_dim'], rel=1e-4)
    words = {sample.share_dims['text'] // 128 for sample in found}
    assert len(words) > 1  # plots differ in length
    assert {sample.share_dims['image'] for sample in found} <= {24 * 128, 0}
    assert all(sample.maps == {} for sample in found)


@pytest.mark.parametrize('missing', ['mask', 'impute'])
def test_dimensions_are_those_that_the_model_counts(missing):
    fusion = MangoFusion(('a', 'b'), 8, 6, depth=1, missing=missing).eval()
    tokens = {m: torch.randn(2, 6, 8) for m in 'ab'}
    masks = {'a': torch.ones(2, 6, dtype=torch.bool), 'b': torch.ones(2, 6, dtype=torch.bool)}
    masks['b'][0] = False
    masks['b'][1, 4:] = False
    with torch.no_grad():
        out = fusion(tokens, masks=masks)
    samples = [SequenceSample(metainfo={}) for _ in range(2)]
    found = _of_batch([FusionCall(fusion, tokens, masks, None)], samples, {'inputs': [None] * 2})
    for i, sample in enumerate(found):
        assert sample.dims == int(out.num_dims[i])
        assert sample.log_prob == pytest.approx(float(out.log_prob[i]), rel=1e-5)


def test_the_tool_writes_numbers_and_pictures(work, tmp_path):
    short = [o for o in SHORT if o.startswith('val_')]
    done = run(work / 'rooms', TOOL, MANGO, work / 'mango.pth', '--out', tmp_path, '--count', 1,
               '--cfg-options', *short)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert '3 samples, bits per dimension: mean' in done.stdout
    lines = json.loads((tmp_path / 'likelihood.json').read_text())
    for line in lines:
        parts = line['log_prob_nats_by_modality']
        assert sum(parts.values()) == pytest.approx(line['log_prob_nats'], abs=1e-5)
    for name in ('histogram.png', 'maps.png'):
        assert (tmp_path / name).stat().st_size > 5000


@pytest.mark.parametrize(
    ('config', 'checkpoint', 'message'),
    [
        (CONCAT, 'mango.pth', 'a likelihood needs a model with a MangoFusion'),
        (MANGO, 'movies.pth', "is not of this config's model"),
        (MANGO, 'gone.pth', 'gone.pth does not exist'),
        (ROOT / 'none.py', 'mango.pth', 'none.py does not exist'),
    ],
)
def test_what_is_wrong_is_one_clear_line(work, tmp_path, config, checkpoint, message):
    done = run(work / 'rooms', TOOL, config, work / checkpoint, '--out', tmp_path)
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]


def test_a_flow_that_is_a_density_integrates_to_one():
    """Two tokens of one channel: ln p over a grid of the plane, through a shaken flow."""
    from mango_mm.fusion import MangoFusion

    torch.manual_seed(0)
    fusion = MangoFusion(('a', 'b'), 1, 1, depth=2, recipe=('mmca', 'imca', 'lica'),
                         normalize=False).double().eval()  # fmt: skip
    with torch.no_grad():
        for p in fusion.parameters():
            p.add_(0.5 * torch.randn_like(p))
    line = torch.linspace(-9, 9, 241, dtype=torch.float64)
    a, b = (t.reshape(-1, 1, 1) for t in torch.meshgrid(line, line, indexing='ij'))
    with torch.no_grad():
        density = fusion({'a': a, 'b': b}).log_prob.exp()
    total = density.sum() * (line[1] - line[0]) ** 2
    assert total.item() == pytest.approx(1.0, abs=1e-4)


def test_pictures_need_numbers(tmp_path):
    with pytest.raises(ValueError, match='a histogram needs finite numbers; got 1'):
        draw_histogram({'a': [float('nan')]}, tmp_path / 'h.png')
    with pytest.raises(ValueError, match='at least one sample'):
        draw_maps({}, tmp_path / 'm.png')
