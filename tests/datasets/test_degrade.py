"""Degradations: each does what its table says, more with severity, and only what it says."""

import shutil

import numpy as np
import pytest
from PIL import Image

from mango_mm.datasets.degradations import (
    DEGRADATIONS,
    MOVIE,
    applicable,
    degrade_frame,
    degrade_poster,
    degrade_text,
)
from mango_mm.datasets.transforms import Degrade, LoadDepth, LoadImage

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (48, 64, 3), dtype=np.uint8)
DEPTH = RNG.uniform(0.5, 5, (48, 64)).astype(np.float32)
OTHER = (255 - RGB, DEPTH[::-1].copy())
FRAME = [kind for kind in DEGRADATIONS if kind not in MOVIE]


def degrade(kind, severity, seed=0):
    return degrade_frame(kind, RGB, DEPTH, severity, np.random.default_rng(seed), OTHER)


def test_these_are_all():
    assert len(DEGRADATIONS) == 15
    assert len(FRAME) == 11


@pytest.mark.parametrize('kind', FRAME)
def test_types_and_inputs_stay_and_severity_grows(kind):
    before = RGB.copy(), DEPTH.copy()
    change = []
    for severity in range(1, 6):
        rgb, depth = degrade(kind, severity)
        assert (rgb.dtype, rgb.shape, depth.dtype, depth.shape) == (
            np.uint8, RGB.shape, np.float32, DEPTH.shape,
        )  # fmt: skip
        touched = 'both' if kind == 'swapped' else 'rgb' if kind.startswith('rgb') else 'depth'
        assert np.array_equal(rgb, RGB) == (touched == 'depth')
        assert np.array_equal(depth, DEPTH) == (touched == 'rgb')
        change.append(
            np.abs(rgb.astype(float) - RGB).mean() / 255 + np.abs(depth - DEPTH).mean() / 5
        )
    assert np.array_equal(before[0], RGB)
    assert np.array_equal(before[1], DEPTH)
    if kind in ('depth_dropout', 'depth_quantise', 'rgb_blackout', 'rgb_noise', 'swapped'):
        assert change == sorted(change)
    assert min(change) > 0
    for a, b in zip(degrade(kind, 3, seed=1), degrade(kind, 3, seed=1)):
        assert np.array_equal(a, b)


def test_shares_steps_factors_and_angles_are_those_of_the_table():
    for severity, share in zip(range(1, 6), (0.2, 0.4, 0.6, 0.8, 1.0)):
        lost = (degrade('depth_dropout', severity)[1] == 0).mean()
        assert lost == pytest.approx(share, abs=0.02)
    steps = degrade('depth_quantise', 3)[1] / 0.4
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-5)
    factors = {round(float((degrade('depth_scale', 4, s)[1] / DEPTH).mean()), 4) for s in range(20)}
    assert factors == {2.0, 0.5}
    dark = degrade('rgb_blackout', 1)[0]
    np.testing.assert_array_equal(dark, np.round(RGB * 0.4).astype(np.uint8))
    assert not degrade('rgb_blackout', 5)[0].any()
    noise = degrade_frame('rgb_noise', np.full((99, 99, 3), 128, np.uint8), DEPTH, 2,
                          np.random.default_rng(0))[0]  # fmt: skip
    assert noise.std() == pytest.approx(20, rel=0.03)
    assert degrade('depth_frozen', 1)[1] is OTHER[1]
    assert degrade('rgb_frozen', 1)[0] is OTHER[0]


def test_depth_moves_by_the_pixels_and_degrees_that_it_says():
    point = np.zeros((101, 101), np.float32)
    point[50, 80] = 2.0
    rgb = np.zeros((101, 101, 3), np.uint8)
    for seed in range(5):
        moved = degrade_frame('shift', rgb, point, 3, np.random.default_rng(seed))[1]
        (y,), (x,) = moved.nonzero()
        assert np.hypot(y - 50, x - 80) == pytest.approx(0.08 * 101, abs=1)
        disc = np.zeros((101, 101), np.float32)
        disc[48:53, 78:83] = 2.0
        turned = degrade_frame('rotate', rgb, disc, 4, np.random.default_rng(seed))[1]
        y, x = (axis.mean() for axis in turned.nonzero())
        angle = np.degrees(np.arctan2(50.5 - y, x - 50.5))
        assert abs(angle) == pytest.approx(20, abs=1.5)


def test_a_poster_goes_dark_or_becomes_anothers():
    rng, other = np.random.default_rng(0), OTHER[0]
    for severity, share in zip(range(1, 6), (0.2, 0.4, 0.6, 0.8, 1.0)):
        mixed = degrade_poster('image_other', RGB, severity, rng, other)
        assert (mixed == other).all(axis=2).mean() == pytest.approx(share, abs=0.02)
        assert ((mixed == other) | (mixed == RGB)).all()
    assert not degrade_poster('image_blackout', RGB, 5, rng).any()
    assert degrade_poster('image_blackout', RGB, 1, rng).mean() < RGB.mean() / 2
    with pytest.raises(ValueError, match='image_other needs another poster'):
        degrade_poster('image_other', RGB, 1, rng)


def test_the_other_poster_is_a_file_in_the_size_of_its_own(tmp_path):
    path = tmp_path / 'other.png'
    Image.fromarray(OTHER[0]).save(path)
    step = Degrade('image_other', 5, posters=(str(path),))
    np.testing.assert_array_equal(step({'img': RGB.copy(), 'sample_id': '1'})['img'], OTHER[0])
    small = step({'img': RGB[:24, :20].copy(), 'sample_id': '1'})['img']
    assert small.shape == (24, 20, 3)


def test_text_keeps_its_words_or_takes_anothers():
    text, other = 'one two three four five six seven eight nine ten', 'alpha beta'
    rng = np.random.default_rng(0)
    shuffled = degrade_text('text_shuffled', text, 5, rng)
    assert sorted(shuffled.split()) == sorted(text.split())
    assert shuffled != text
    for severity, count in zip(range(1, 6), (2, 4, 6, 8, 10)):
        mixed = degrade_text('text_other', text, severity, rng, other).split()
        assert sum(word in ('alpha', 'beta') for word in mixed) == count
    assert degrade_text('text_other', '', 3, rng, other) == ''


@pytest.fixture
def frames(tmp_path):
    for folder in ('rgb', 'depth'):
        (tmp_path / folder).mkdir()
    for i in range(5):
        Image.fromarray(np.full((6, 8, 3), 10 * i, np.uint8)).save(tmp_path / f'rgb/{i}.png')
        values = np.full((6, 8), 5000 * (i + 1), np.uint16)
        Image.fromarray(values).save(tmp_path / f'depth/{i}.png')
    return tmp_path


def load(frames, index):
    results = {'img_path': str(frames / f'rgb/{index}.png'),
               'depth_path': str(frames / f'depth/{index}.png')}  # fmt: skip
    return LoadDepth(scale=5000)(LoadImage()(results))


def test_a_frozen_sensor_shows_a_frame_further_on(frames):
    for severity, step in ((1, 1), (2, 4), (3, 1)):  # 16 places on among five frames is one
        results = Degrade('depth_frozen', severity)(load(frames, 3))
        assert (results['depth'] == (3 + step) % 5 + 1).all()
        assert (results['img'] == 30).all()
    assert (Degrade('rgb_frozen', 1)(load(frames, 4))['img'] == 0).all()


def test_a_sample_is_degraded_alike_whenever_it_comes(frames):
    step = Degrade('rgb_noise', 3, seed=7)
    first = step(load(frames, 1))['img']
    step(load(frames, 2))
    np.testing.assert_array_equal(step(load(frames, 1))['img'], first)
    assert not np.array_equal(Degrade('rgb_noise', 3, seed=8)(load(frames, 1))['img'], first)
    assert not np.array_equal(step(load(frames, 2))['img'].astype(int) - 20, first.astype(int) - 10)


def test_a_sample_is_degraded_alike_wherever_the_data_lie(frames, tmp_path_factory):
    step = Degrade('rgb_noise', 3)
    moved = tmp_path_factory.mktemp('elsewhere') / 'data'
    shutil.copytree(frames, moved)
    first = step(load(frames, 1))['img']
    np.testing.assert_array_equal(step(load(moved, 1))['img'], first)
    as_array = load(frames, 1) | {'img_path': np.zeros((2, 2, 3), np.uint8)}
    assert step(as_array)['img'].shape == first.shape


def test_what_makes_no_sense_is_named(frames):
    with pytest.raises(ValueError, match="degradation must be one of .* got 'rain'"):
        Degrade('rain', 1)
    with pytest.raises(ValueError, match=r'severity must lie in 1\.\.5; got 0'):
        Degrade('shift', 0)
    with pytest.raises(ValueError, match="'text_other' needs texts"):
        Degrade('text_other', 1)
    with pytest.raises(ValueError, match="'image_other' needs posters"):
        Degrade('image_other', 1)
    with pytest.raises(KeyError, match=r"after the loading of img and depth; got no \['depth'\]"):
        Degrade('shift', 1)({'img': RGB})
    for other in frames.glob('rgb/[1-9].png'):
        other.unlink()
    with pytest.raises(ValueError, match='needs another frame beside .*0.png; it is alone'):
        Degrade('rgb_frozen', 1)(load(frames, 0))


@pytest.mark.parametrize('kind', [k for k in FRAME if k != 'swapped' and not k.startswith('rgb')])
@pytest.mark.parametrize('missing', [0.0, -9.0])
def test_any_number_of_channels_and_any_missing_value(kind, missing):
    values = np.linspace(-1, 1, 48 * 64 * 3, dtype=np.float32).reshape(48, 64, 3)
    values[:4] = missing
    before = values.copy()
    rng = np.random.default_rng(0)
    _, got = degrade_frame(kind, RGB, values, 1, rng, (RGB, values[::-1].copy()), missing)
    assert got.shape == values.shape
    assert got.dtype == np.float32
    np.testing.assert_array_equal(values, before)
    if kind == 'depth_quantise':
        assert (got[:4] == missing).all()
        assert len(np.unique(got)) > 15  # both signs
        np.testing.assert_allclose(got[4:], values[4:], atol=0.1)
    if kind in ('shift', 'rotate', 'depth_dropout'):
        new = set(np.unique(got)) - set(np.unique(values))
        assert new == set()  # what comes in is what means missing
        assert (got == missing).sum() > (values == missing).sum() - 5


def test_the_degradations_of_a_model_are_named_by_its_modalities():
    assert set(applicable(('rgb', 'depth'))) == set(FRAME)
    found = applicable(('rgb', 'thermal', 'lidar'))
    assert found['lidar_shift'] == ('shift', 'lidar')
    assert found['thermal_dropout'] == ('depth_dropout', 'thermal')
    assert found['swapped'] == ('swapped', 'thermal')
    assert len(found) == 5 + 2 * 6
    assert applicable(('depth',)) == applicable(('rgb',)) == {}
