"""Pictures of trust: colours and bars mean what they should."""

import numpy as np
import pytest
from PIL import Image

from mango_mm.visualization.trust import (
    colour_trust,
    draw_fading,
    draw_failures,
    draw_trust_bars,
    overlay_trust,
)


def test_doubt_is_red_and_trust_is_green():
    picture = colour_trust(np.array([[0.0, 1.0]]), (10, 20)).astype(int)
    assert picture.shape == (10, 20, 3)
    assert picture[5, 0, 0] > picture[5, 0, 1]
    assert picture[5, -1, 1] > picture[5, -1, 0]
    grey = np.full((10, 20, 3), 128, np.uint8)
    shown = overlay_trust(grey, np.array([[0.0, 1.0]])).astype(int)
    changed = abs(shown - 128).sum(axis=2)
    assert changed[5, 0] > changed[5, -1] > 0  # what is doubted is covered the more


def test_bars_are_as_long_as_trust_is_high_and_an_alarm_has_a_frame():
    picture = draw_trust_bars({'rgb': 0.75, 'depth': 0.25}, (40, 100), alarm=False)
    upper, lower = (
        [tuple(p) not in ((255,) * 3, (230,) * 3) for p in picture[row]] for row in (10, 30)
    )
    assert (sum(upper), sum(lower)) == (75, 25)
    framed = draw_trust_bars({'rgb': 0.75, 'depth': 0.25}, (40, 100), alarm=True)
    assert (framed[0] == (215, 48, 39)).all()
    assert (picture[0] == 255).all()


def test_plots_are_drawn_and_nothing_to_draw_is_said(tmp_path):
    lines = [
        {'name': n, 'rule': r, 'metrics': {'mIoU': v}}
        for n, v in (('clean', 30.0), ('rgb_noise:3', 20.0))
        for r in ('trust', 'mean')
    ]
    draw_failures(lines, ['trust', 'mean'], tmp_path / 'failures.png', metric='mIoU')
    draw_fading({'dark': {'rgb': [(0.0, 1.0), (1.0, 0.0)]}}, tmp_path / 'fading.png')
    for name in ('failures', 'fading'):
        with Image.open(tmp_path / f'{name}.png') as picture:
            assert picture.size[0] > 300
    with pytest.raises(ValueError, match=r"no line is of \['oracle'\]"):
        draw_failures(lines, ['oracle'], tmp_path / 'no.png', metric='mIoU')
    with pytest.raises(ValueError, match='got none'):
        draw_fading({}, tmp_path / 'no.png')
