"""Attributions of trained models, from checkpoints on disk."""

import json

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from rooms import MANGO, ROOT, SHORT, make_rooms, run

from mango_mm.analysis.attribution import Attribution
from mango_mm.apis.open_model import open_model
from mango_mm.datasets.mini.movies import make_movie
from mango_mm.datasets.mini.write_movies import write_movies
from mango_mm.inferencers import MangoInferencer
from mango_mm.visualization.attribution import draw_attributions

TOOL = ROOT / 'tools/analyse/attribution.py'
CONCAT = ROOT / 'configs/concat/concat_small_1xb8-600it_mini-rooms-72x96.py'
RGB = ROOT / 'configs/unimodal/rgb_small_1xb8-600it_mini-rooms-72x96.py'
MOVIES = ROOT / 'configs/mango/mango-l2_small_1xb32-600it_mini-movies-96x64.py'
WORKERS = {
    f'{split}_dataloader.{key}': value
    for split in ('val', 'test')
    for key, value in (('num_workers', 0), ('persistent_workers', False))
}


@pytest.fixture(scope='module')
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp('attribution')
    make_rooms(folder / 'rooms')
    write_movies(folder / 'movies', train=12, dev=5, test=5)
    patch = pytest.MonkeyPatch()
    patch.setenv('MANGO_MINI_ROOMS', str(folder / 'rooms'))
    patch.setenv('MANGO_MINI_MOVIES', str(folder / 'movies'))
    for name, config in (('mango', MANGO), ('concat', CONCAT), ('movies', MOVIES), ('rgb', RGB)):
        torch.manual_seed(0)
        _, model = open_model(config, None)
        model.init_weights()
        if hasattr(model, 'fit_vocabulary'):
            model.fit_vocabulary(['war and love', 'love war'])
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.02 * torch.randn_like(p))
        torch.save({'state_dict': model.state_dict(), 'meta': {}}, folder / f'{name}.pth')
    yield folder
    patch.undo()


@pytest.mark.parametrize('name', ['mango', 'concat', 'movies'])
def test_contributions_add_up_to_the_score_of_the_real_model(work, name):
    config = {'mango': MANGO, 'concat': CONCAT, 'movies': MOVIES}[name]
    found = list(Attribution.open(config, work / f'{name}.pth', WORKERS, steps=32).explain(count=2))
    assert len(found) == 2
    for one in found:
        total = sum(one.by_modality.values())
        assert total + one.rest == pytest.approx(one.score - one.without, abs=1e-4)
        assert abs(one.rest) < 0.05 * max(abs(total), 0.1)
        assert sum(one.shares.values()) == pytest.approx(1)
        assert (one.drawn_from == {}) == (name == 'concat')
    if name == 'concat':
        return
    for one in found:
        assert sum(one.drawn_from.values()) == pytest.approx(1, abs=1e-5)
        arrived = sum(float(a.sum()) for a in one.arrivals.values())
        assert np.isfinite(arrived)


def test_a_model_with_other_flows_and_a_sample_of_arrays_is_explained():
    """The density of a trust is a fusion, too, and not one of those that are called."""
    infer = MangoInferencer('mango-trust-rooms')
    rng = np.random.default_rng(0)
    sample = {
        'rgb': rng.integers(0, 255, (72, 96, 3), dtype=np.uint8),
        'depth': rng.random((72, 96), dtype=np.float32) + 2,
    }
    attribution = Attribution(infer.config, infer.model, steps=8)
    found = attribution.explain_batch(pseudo_collate([infer.prepare(sample)]))
    assert found.name == ''
    total = sum(found.by_modality.values())
    assert total + found.rest == pytest.approx(found.score - found.without, abs=1e-4)


def test_what_is_explained_of_a_movie_is_what_its_model_says():
    """Of one that weighs its heads by whom it trusts: their mixture, and a black poster is none."""
    infer = MangoInferencer('mango-trust-movies')
    movie = make_movie(24_000_000)
    attribution = Attribution(infer.config, infer.model, steps=32)
    for poster in (movie.poster, np.zeros_like(movie.poster)):
        sample = {'image': poster, 'text': movie.plot}
        found = attribution.explain_batch(pseudo_collate([infer.prepare(sample)]))
        likeliest = max(infer(sample)['scores'].values())
        assert found.score == pytest.approx(np.log(likeliest / (1 - likeliest)), abs=1e-3)
        total = sum(found.by_modality.values())
        assert total + found.rest == pytest.approx(found.score - found.without, abs=1e-4)
    assert abs(total) < 0.05  # it believes the plot, whose head reads nothing of the fusion


def test_arrivals_are_the_gradient_times_the_tokens(work):
    """Forward mode through the flow agrees with backward mode, summed per modality."""
    attribution = Attribution.open(MANGO, work / 'mango.pth', WORKERS, steps=1)
    seen = {}
    original = attribution._through_the_flow

    def spy(score, tokens, kwargs):
        entered = {k: v.clone().requires_grad_() for k, v in tokens.items()}
        with torch.enable_grad():
            gradients = torch.autograd.grad(score(entered).sum(), list(entered.values()))
        seen.update({k: float((v * g).sum()) for (k, v), g in zip(tokens.items(), gradients)})
        return original(score, tokens, kwargs)

    attribution._through_the_flow = spy
    (one,) = attribution.explain(count=1)
    for m in ('rgb', 'depth'):
        assert float(one.arrivals[m].sum()) == pytest.approx(seen[f'1.{m}'], rel=1e-3, abs=1e-5)


def test_a_target_restricts_the_score_to_its_pixels(work):
    attribution = Attribution.open(MANGO, work / 'mango.pth', WORKERS, steps=2)
    (free,) = attribution.explain(count=1)
    assert free.target == 'predicted classes'
    with pytest.raises(ValueError, match=r"target must be one of \(.*; got 'spaceship'"):
        next(attribution.explain(target='spaceship'))
    scores = {}
    for name in attribution.classes:
        (one,) = attribution.explain(count=1, target=name)
        scores[name] = one.score
        assert one.target == name
    assert any(abs(s - free.score) > 1e-6 for s in scores.values() if s)


def test_the_tool_writes_numbers_and_pictures(work, tmp_path):
    done = run(work / 'rooms', TOOL, MANGO, work / 'mango.pth', '--out', tmp_path / 'out',
               '--count', '2', '--steps', '2', '--cfg-options', *SHORT)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'rgb: contributes' in done.stdout
    assert 'of the composed attention' in done.stdout
    lines = json.loads((tmp_path / 'out/attribution.json').read_text())
    assert len(lines) == 2
    assert np.array(lines[0]['tokens']['1']['rgb']).shape == (9, 12)
    for name in ('contributions.png', 'arrivals.png', 'shares.png'):
        assert (tmp_path / 'out' / name).stat().st_size > 5000


def test_a_model_without_a_fusion_is_refused(work, tmp_path):
    done = run(work / 'rooms', TOOL, RGB, work / 'rgb.pth', '--out', tmp_path / 'out',
               '--cfg-options', *SHORT)  # fmt: skip
    assert done.returncode == 2
    assert 'has no fusion of several modalities' in done.stderr
    assert 'Traceback' not in done.stderr
    with pytest.raises(ValueError, match='at least one sample'):
        draw_attributions({}, tmp_path / 'x.png')
