"""Robustness of trained models, from checkpoints on disk."""

import json

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from rooms import MANGO, ROOT, SHORT, make_rooms, run

from mango_mm.analysis.fusion_recorder import FusionRecorder
from mango_mm.analysis.robustness import RobustnessCheck
from mango_mm.analysis.sensor_failures import SensorFailures
from mango_mm.apis import load_config
from mango_mm.apis import test as evaluate
from mango_mm.datasets.mini.write_movies import write_movies
from mango_mm.evaluation.functional.detection import auroc
from mango_mm.explicit.token_density import TokenDensity
from mango_mm.fusion import fusions_of
from mango_mm.registry import MODELS
from mango_mm.visualization.robustness import draw_severities

TOOL = ROOT / 'tools/analyse/robustness.py'
CONCAT = ROOT / 'configs/concat/concat_small_1xb8-600it_mini-rooms-72x96.py'
MOVIES = ROOT / 'configs/mango/mango-l2_small_1xb32-600it_mini-movies-96x64.py'
LATE = ROOT / 'configs/late/late_small_1xb32-1000it_movies-96x64.py'
WORKERS = {
    f'{split}_dataloader.{key}': value
    for split in ('train', 'val', 'test')
    for key, value in (('num_workers', 0), ('persistent_workers', False))
}


@pytest.fixture(scope='module')
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp('robustness')
    make_rooms(folder / 'rooms')
    write_movies(folder / 'movies', train=12, dev=7, test=7)
    patch = pytest.MonkeyPatch()
    patch.setenv('MANGO_MINI_ROOMS', str(folder / 'rooms'))
    patch.setenv('MANGO_MINI_MOVIES', str(folder / 'movies'))
    patch.setenv('MANGO_DATA_ROOT', str(folder))  # of the config of late fusion
    for name, config in (('mango', MANGO), ('concat', CONCAT), ('movies', MOVIES), ('late', LATE)):
        read = load_config(config)
        init_default_scope(read.default_scope)
        torch.manual_seed(0)
        model = MODELS.build(read.model)
        model.init_weights()
        if hasattr(model, 'fit_vocabulary'):
            model.fit_vocabulary(['war and love', 'love war'])
        torch.save({'state_dict': model.state_dict(), 'meta': {}}, folder / f'{name}.pth')
    yield folder
    patch.undo()


def test_protocols_are_of_whole_images(work):
    slide = {**WORKERS, 'model.test_cfg.mode': 'slide', 'model.test_cfg.crop_size': [72, 48]}
    with pytest.raises(ValueError, match=r"mode='slide' is not made for. Set .*mode=whole"):
        SensorFailures(MANGO, work / 'mango.pth', slide)


def test_scores_of_slide_inference_are_of_every_window(work, monkeypatch):
    """The density and what the head reads: of the mean over windows, each by hand."""
    slide = {
        **WORKERS, 'model.test_cfg.mode': 'slide', 'model.test_cfg.crop_size': [72, 48],
        'model.test_cfg.stride': [72, 48],
    }  # fmt: skip
    check = RobustnessCheck(MANGO, work / 'mango.pth', slide)
    density = TokenDensity(('rgb', 'depth'), 64, window=(9, 6), grid=(9, 6), depth=1).eval()
    with torch.no_grad():
        for p in density.parameters():
            p.add_(0.1 * torch.randn_like(p))
    check._density, check._recorder = density, FusionRecorder(check.model)
    monkeypatch.setattr(density, 'strangeness', lambda x: x.sum(dim=1))
    monkeypatch.setattr(density, 'information', lambda x: x[:, 0])
    found = check.evaluate('val')
    fusion = fusions_of(check.model)[-1]
    loader = Runner.build_dataloader(check._loader('val', None))
    rows, read, features = [], [], []
    head = check.task.head_input
    head.register_forward_pre_hook(lambda _, given: read.append(check.task.pooled(given[0])))
    for data in loader:
        with check._recorder.recording() as calls, torch.no_grad():
            check.model.test_step(data)
        own = [call for call in calls if call.fusion is fusion]
        assert len(own) == len(read) == 2  # the left half and the right one
        features.append(sum(read) / 2)
        read.clear()
        parts = [density.statistics(call.tokens, **call.options) for call in own]
        assert not torch.allclose(*parts)
        rows += [(float(a.sum() + b.sum()) / 2, -float(a[0] + b[0]) / 2) for a, b in zip(*parts)]
    np.testing.assert_allclose(found.scores['density'], [a for a, _ in rows], rtol=1e-5)
    np.testing.assert_allclose(found.scores['information'], [b for _, b in rows], rtol=1e-5)
    np.testing.assert_allclose(found.features, torch.cat(features).numpy(), rtol=1e-5)


def test_clean_answers_are_those_of_a_test_and_degraded_ones_differ(work):
    check = RobustnessCheck(MANGO, work / 'mango.pth', WORKERS)
    metrics = evaluate(MANGO, work / 'mango.pth', work_dir=work / 'test', options=WORKERS)
    assert check.clean.metrics['mIoU'] == pytest.approx(metrics['mIoU'])
    nll = np.mean(check.clean.scores['likelihood'])
    assert nll == pytest.approx(metrics['nll_per_dim'], rel=1e-5)
    assert set(check.clean.scores) == {'likelihood', 'max_softmax', 'entropy', 'mahalanobis'}
    lines = check.check(['rgb_blackout', 'depth_frozen'], [5])
    assert [(line['kind'], line['severity']) for line in lines] == [
        ('rgb_blackout', 5), ('depth_frozen', 5),
    ]  # fmt: skip
    # By hand: the same samples, darkened in the file's stead.
    step = dict(type='mango_mm.Degrade', kind='rgb_blackout', severity=5)
    dark = check.evaluate('val', step)
    wanted = auroc(check.clean.scores['entropy'], dark.scores['entropy'])
    assert lines[0]['auroc']['entropy'] == pytest.approx(wanted)
    assert dark.scores['likelihood'] != check.clean.scores['likelihood']
    assert lines == check.check(['rgb_blackout', 'depth_frozen'], [5])  # nothing random is left


def test_thresholds_are_the_checkpoints_and_not_those_of_the_failure(work):
    check = RobustnessCheck(MOVIES, work / 'movies.pth', WORKERS)
    check.model.head.thresholds.fill_(0.0)  # every genre
    every = check.evaluate('val', check._step(check.kinds[0], 3, 0)).metrics
    check.model.head.thresholds.fill_(1.1)  # none
    none = check.evaluate('val', check._step(check.kinds[0], 3, 0)).metrics
    assert every['micro_f1_tuned'] > 10
    assert none['micro_f1_tuned'] == none['macro_f1_tuned'] == 0
    assert every['mAP'] == none['mAP']


def test_movies_have_degraded_posters_and_plots(work):
    check = RobustnessCheck(MOVIES, work / 'movies.pth', WORKERS)
    assert check.kinds == ('image_blackout', 'image_other', 'text_shuffled', 'text_other')
    lines = check.check(['text_other', 'image_other', 'image_blackout'], [5])
    assert len({line['auroc']['likelihood'] for line in lines}) == 3
    assert all(0 <= line['auroc']['likelihood'] <= 1 for line in lines)
    with pytest.raises(ValueError, match=r"degradations of this model are .* got \['shift'\]"):
        check.check(['shift'])


@pytest.mark.slow
def test_the_tool_writes_tables_and_plots(work, tmp_path):
    short = [
        o for o in SHORT if o.startswith(('val_', 'train_dataloader.num', 'train_dataloader.p'))
    ]
    done = run(work / 'rooms', TOOL, MANGO, work / 'mango.pth', '--out', tmp_path,
               '--baseline', CONCAT, work / 'concat.pth', '--kinds', 'depth_dropout', 'shift',
               '--severities', 3, '--cfg-options', *short)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    table = (tmp_path / 'table.md').read_text()
    assert table.startswith('## Severity 3')
    assert '| depth_dropout |' in table
    assert 'MANGO: likelihood' in table
    assert 'concat: likelihood' not in table
    numbers = json.loads((tmp_path / 'robustness.json').read_text())
    areas = [line['auroc']['entropy'] for line in numbers['concat']['degraded']]
    assert f'{np.mean(areas):.3f}' in table.splitlines()[-1]
    for name in ('metric.png', 'auroc.png'):
        assert (tmp_path / name).stat().st_size > 5000


@pytest.mark.parametrize(
    ('config', 'checkpoint', 'message'),
    [
        (LATE, 'late.pth', 'robustness is checked of a segmentor or of a classifier'),
        (MANGO, 'concat.pth', "is not of this config's model"),
        (MANGO, 'gone.pth', 'gone.pth does not exist'),
    ],
)
def test_what_is_wrong_is_one_clear_line(work, tmp_path, config, checkpoint, message):
    done = run(work / 'rooms', TOOL, config, work / checkpoint, '--out', tmp_path)
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
    with pytest.raises(ValueError, match='at least one degradation'):
        draw_severities({}, tmp_path / 'p.png', ylabel='x')
