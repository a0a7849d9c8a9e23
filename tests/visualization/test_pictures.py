"""Panels and curves: what is drawn is what was given."""

import json

import numpy as np
import pytest
from PIL import Image

from mango_mm.visualization import (
    colour_depth,
    colour_labels,
    draw_bars,
    draw_curves,
    draw_panel,
    draw_ratios,
)
from mango_mm.visualization.curves import points_of
from mango_mm.visualization.panels import GAP, TITLE_HEIGHT


def test_labels_take_the_colours_of_the_data_set_and_ignored_pixels_are_black():
    got = colour_labels(np.array([[0, 1, 255]]), [[1, 2, 3], [4, 5, 6]])
    assert got.tolist() == [[[1, 2, 3], [4, 5, 6], [0, 0, 0]]]


def test_missing_depth_is_black_and_far_is_brighter_than_near():
    got = colour_depth(np.array([[0.0, 1.0, 2.0, 9.0]])).sum(-1)[0]
    assert got[0] == 0
    assert 0 < got[1] < got[3]
    assert not colour_depth(np.zeros((2, 2))).any()


def test_a_panel_holds_its_pictures_side_by_side(tmp_path):
    red = np.zeros((10, 20, 3), np.uint8)
    red[..., 0] = 200
    blue = np.zeros((5, 5, 3), np.uint8)
    blue[..., 2] = 100
    panel = draw_panel({'a': red, 'b': blue}, tmp_path / 'new' / 'panel.png')
    height, width = panel.shape[0] - TITLE_HEIGHT, (panel.shape[1] - GAP) // 2
    assert height * 2 == width
    assert (panel[TITLE_HEIGHT:, :width] == [200, 0, 0]).all()
    assert (panel[TITLE_HEIGHT:, width + GAP :] == [0, 0, 100]).all()
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / 'new' / 'panel.png')), panel)


def test_training_and_validation_are_curves_apart():
    lines = [
        {'step': 1, 'lr': 0.1, 'loss': 3.0, 'nll_per_dim': 2.0},
        {'step': 2, 'lr': 0.1, 'loss': 2.0, 'nll_per_dim': 1.5},
        {'step': 2, 'mIoU': 4.0, 'nll_per_dim': 9.0},
        {'step': 3, 'lr': 0.1, 'loss': 'cut', 'nll_per_dim': 1.0},
    ]
    assert points_of(lines, 'nll_per_dim', validation=False) == [(1, 2.0), (2, 1.5), (3, 1.0)]
    assert points_of(lines, 'nll_per_dim', validation=True) == [(2, 9.0)]
    assert points_of(lines, 'loss', validation=False) == [(1, 3.0), (2, 2.0)]
    assert points_of(lines, 'mIoU', validation=True) == [(2, 4.0)]


def test_curves_are_drawn_from_what_mmengine_logged(tmp_path):
    folder = tmp_path / 'run' / '2026' / 'vis_data'
    folder.mkdir(parents=True)
    lines = [{'step': i, 'loss': 1 / (1 + i)} for i in range(5)]
    (folder / 'scalars.json').write_text('\n'.join(map(json.dumps, lines)))
    draw_curves({'run': tmp_path / 'run'}, ('loss', 'mIoU'), tmp_path / 'curves.png')
    assert Image.open(tmp_path / 'curves.png').size[0] > 500
    with pytest.raises(FileNotFoundError, match='empty holds no'):
        draw_curves({'x': tmp_path / 'empty'}, ('loss',), tmp_path / 'y.png')


def test_ratios_are_one_panel_per_work_and_bars_one_per_name(tmp_path):
    points = [(64, 0.9, 1.0, 1.1), (128, 1.9, 2.0, 2.1)]
    panels = {'forward': {'ours': points, 'dense': points}, 'inverse': {'ours': points}}
    draw_ratios(
        panels, tmp_path / 'new' / 'lines.png', xlabel='n', ylabel='ratio', marks={'inverse': 1.5}
    )
    draw_bars({'time': {'a': (1, 2, 3), 'b': (4, 5, 6)}}, tmp_path / 'bars.png')
    wide = Image.open(tmp_path / 'new' / 'lines.png')
    assert wide.width > 1.5 * wide.height
    assert len(np.unique(np.asarray(wide.convert('RGB')).reshape(-1, 3), axis=0)) > 10
    with Image.open(tmp_path / 'bars.png') as bars:
        assert bars.width > 300
