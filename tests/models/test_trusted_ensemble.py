"""Where a sensor is broken in a part of the frame, the rest of it still counts."""

import pytest
import torch

from mango_mm.explicit.state_weights import mix
from mango_mm.models.trusted_ensemble import TrustedEnsemble

GRID = (5, 6)


@pytest.fixture(scope='module')
def ensemble():
    torch.manual_seed(0)
    found = TrustedEnsemble(('a', 'b'), 6, GRID, directions=4, depth=1, rate=0.05)
    clean = {m: torch.randn(80, 30, 6) for m in 'ab'}
    found.trust.fit_descriptors(clean)
    found.trust.calibrate({m: torch.randn(80, 30, 6) for m in 'ab'})
    found.stack(torch.rand(200, 3))
    return found


def predictions(size=GRID):
    torch.manual_seed(1)
    return [torch.rand(2, 3, *size) for _ in range(3)]


def broken(ensemble):
    """Two samples; the first one's `a` shows nonsense in the upper left corner."""
    torch.manual_seed(2)
    described = {m: torch.randn(2, 30, 6) for m in 'ab'}
    corner = described['a'].view(2, *GRID, 6)[0, :3, :3]
    corner.mul_(9)
    trust = ensemble.trust(described)
    assert trust.alarm.tolist() == [True, False]
    return described, trust


def test_windows_have_the_share_that_they_show(ensemble):
    described, trust = broken(ensemble)
    p = predictions()
    mixed, _ = ensemble(described, p)
    weights = ensemble.weights.weights.float()
    for row in range(GRID[0]):
        for column in range(GRID[1]):
            shown = trust.states[0, 1:] * trust.shows[0, 1:, row, column]
            share = weights[0] * (1 - shown.sum()) + shown @ weights[1:]
            by_hand = sum(w * x[0, :, row, column] for w, x in zip(share, p))
            torch.testing.assert_close(mixed[0, :, row, column], by_hand)
    index = ensemble.trust.states.index('a broken')
    assert trust.shows[0, index, 0, 0] > 0.9
    assert trust.shows[0, index, -1, -1] < 0.5
    assert (trust.shows[:, 0] == 1).all()


def test_without_an_alarm_and_without_windows_nothing_changes(ensemble):
    described, trust = broken(ensemble)
    p = predictions((10, 12))
    mixed, _ = ensemble(described, p)
    ensemble.act = 'alarm'
    whole, _ = ensemble(described, p)
    torch.testing.assert_close(mixed[1], whole[1])
    assert not torch.allclose(mixed[0], whole[0])
    flat = [x.mean(dim=(2, 3)) for x in p]
    expected, _ = ensemble(described, flat)
    ensemble.act = 'windows'
    torch.testing.assert_close(ensemble(described, flat)[0], expected)


def test_what_is_absent_or_not_finite_has_no_weight_in_any_window(ensemble):
    described, _ = broken(ensemble)
    p = predictions()
    present = torch.tensor([[True, True], [False, True]])
    mixed, _ = ensemble(described, p, present)
    torch.testing.assert_close(mixed[1], p[1][1])
    described['a'][0, 4] = torch.nan
    p[0][0] = torch.nan
    p[2][0] = torch.nan
    mixed, trust = ensemble(described, p)
    assert bool(trust.alarm[0])
    torch.testing.assert_close(mixed[0], p[1][0])


@pytest.mark.parametrize('act', ['windows', 'alarm', 'posterior'])
def test_two_of_three_sensors_that_are_not_finite_leave_the_third(act):
    torch.manual_seed(0)
    names = ('a', 'b', 'c')
    ensemble = TrustedEnsemble(names, 12, (2, 3), act=act, directions=4)
    ensemble.trust.fit_descriptors({m: torch.randn(80, 6, 12) for m in names})
    ensemble.trust.calibrate({m: torch.randn(80, 6, 12) for m in names})
    described = {m: torch.randn(2, 6, 12) for m in names}
    p = [torch.rand(2, 5, 8, 9).softmax(dim=1) for _ in range(4)]
    for m, place in (('a', 0), ('b', 1)):
        described[m][0, 2, 3] = torch.nan
        p[place][0] = torch.nan
    p[3][0] = torch.inf
    mixed, trust = ensemble(described, p)
    torch.testing.assert_close(mixed[0], p[2][0])
    assert trust.trust[0].tolist() == [0.0, 0.0, 1.0]
    assert trust.maps[0, :2].max() == 0.0
    assert mixed[1].isfinite().all()
    torch.testing.assert_close(mixed[1].sum(dim=0), torch.ones(8, 9))


def test_maps_of_weights_are_interpolated_and_add_up():
    p = torch.ones(3, 2, 4, 9, 8)
    weights = torch.rand(2, 3, 3, 2)
    weights = weights / weights.sum(dim=1, keepdim=True)
    torch.testing.assert_close(mix(p, weights), torch.ones(2, 4, 9, 8))
