"""FID, KID and pixel errors against other implementations and closed forms."""

import math

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st
from mmagic.evaluation import FrechetInceptionDistance
from sklearn.metrics import mean_absolute_error, mean_squared_error
from sklearn.metrics.pairwise import polynomial_kernel

from mango_mm.evaluation.functional import (
    PixelErrorSums,
    frechet_distance,
    kernel_distance,
)
from mango_mm.evaluation.functional.feature_distances import frechet_from_moments


def features(n, d, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d)


@given(n=st.integers(30, 60), d=st.integers(1, 12), seed=st.integers(0, 99))
def test_frechet_agrees_with_mmagic_and_scipy(n, d, seed):
    x, y = features(n, d, seed), features(n + 7, d, seed + 1000)
    got = frechet_distance(x, y)
    moments = [(t.mean(0), np.atleast_2d(np.cov(t, rowvar=False))) for t in (x, y)]
    (mean_x, cov_x), (mean_y, cov_y) = moments
    root = scipy.linalg.sqrtm(cov_x @ cov_y)
    wanted = ((mean_x - mean_y) ** 2).sum() + np.trace(cov_x + cov_y - 2 * np.real(root))
    assert got == pytest.approx(wanted, rel=1e-6)
    theirs, _, _ = FrechetInceptionDistance._calc_fid(mean_x, cov_x, mean_y, cov_y)
    assert got == pytest.approx(theirs, rel=1e-6)


def test_frechet_of_gaussians_in_closed_form():
    # Commuting covariances: |m|^2 + sum (sigma_1 - sigma_2)^2.
    mean = np.array([1.0, -2.0, 0.5])
    first, second = np.array([1.0, 4.0, 0.0]), np.array([9.0, 0.25, 1.0])
    got = frechet_from_moments(mean, np.diag(first**2), 0 * mean, np.diag(second**2))
    assert got == pytest.approx(5.25 + ((first - second) ** 2).sum(), rel=1e-12)
    rotation = scipy.linalg.expm(np.array([[0, 0.3, 1], [-0.3, 0, 2], [-1, -2, 0.0]]))
    turned = [rotation @ np.diag(s**2) @ rotation.T for s in (first, second)]
    again = frechet_from_moments(rotation @ mean, turned[0], 0 * mean, turned[1])
    # A root of the zero variance turns rounding of 1e-16 into 1e-8.
    assert again == pytest.approx(got, rel=1e-6)


def test_frechet_of_samples_approaches_that_of_their_gaussians():
    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 1, (200_000, 2)), rng.normal(1, 2, (200_000, 2))
    assert frechet_distance(x, y) == pytest.approx(2 * 1 + 2 * (1 - 2) ** 2, rel=0.02)


def test_a_set_is_at_distance_zero_from_itself_even_with_fewer_samples_than_features():
    x = features(5, 9, 0)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-5 * np.trace(np.cov(x.T)))


@given(n=st.integers(2, 20), m=st.integers(2, 20), d=st.integers(1, 6), seed=st.integers(0, 99))
def test_kernel_distance_is_the_unbiased_mmd_of_the_cubic_kernel(n, m, d, seed):
    x, y = features(n, d, seed), features(m, d, seed + 1000)

    def kernel(a, b):
        return polynomial_kernel(a, b, degree=3, gamma=None, coef0=1)

    within = [k.sum() - np.trace(k) for k in (kernel(x, x), kernel(y, y))]
    wanted = within[0] / (n * (n - 1)) + within[1] / (m * (m - 1)) - 2 * kernel(x, y).mean()
    got, spread = kernel_distance(x, y)
    assert spread == 0
    assert got == pytest.approx(wanted, rel=1e-6, abs=1e-9 * abs(within[0]))


def test_kernel_distance_over_subsets_is_unbiased_and_repeatable():
    rng = np.random.default_rng(1)
    x, y = rng.normal(0, 1, (300, 4)), rng.normal(0.5, 1, (400, 4))
    whole, _ = kernel_distance(x, y)
    mean, spread = kernel_distance(x, y, subset_size=60, num_subsets=400)
    assert 0 < spread < 1
    assert mean == pytest.approx(whole, abs=4 * spread / math.sqrt(400))
    assert kernel_distance(x, y, subset_size=60, num_subsets=400) == (mean, spread)
    same = [
        kernel_distance(rng.normal(size=(50, 4)), rng.normal(size=(50, 4)))[0] for _ in range(200)
    ]
    assert abs(np.mean(same)) < 4 * np.std(same) / math.sqrt(200)  # zero in expectation


@pytest.mark.parametrize(
    ('x', 'y', 'message'),
    [
        (np.ones((3, 2)), np.ones((3, 4)), r'must be \(n, d\) and \(m, d\); got \(3, 2\)'),
        (np.ones((1, 2)), np.ones((3, 2)), 'at least 2 samples; got 1 and 3'),
        (np.full((3, 2), np.nan), np.ones((3, 2)), 'features must be finite'),
    ],
)
def test_features_that_cannot_be_compared_are_named(x, y, message):
    for distance in (frechet_distance, kernel_distance):
        with pytest.raises(ValueError, match=message):
            distance(x, y)
    with pytest.raises(ValueError, match='subset_size must be at least 2; got 1'):
        kernel_distance(np.ones((3, 2)), np.ones((3, 2)), subset_size=1)


@given(shape=st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5)),
       masked=st.booleans(), seed=st.integers(0, 99))  # fmt: skip
def test_pixel_errors_over_several_images_are_those_of_all_measured_values(shape, masked, seed):
    rng = np.random.default_rng(seed)
    total, predictions, targets = PixelErrorSums(), [], []
    for _ in range(3):
        prediction, target = rng.uniform(-1, 1, (2, *shape)).astype(np.float32)
        mask = rng.random(shape[1:]) > 0.4
        mask[0, 0] = True
        total = total + PixelErrorSums.of(prediction, target, mask if masked else None)
        keep = np.broadcast_to(mask if masked else True, shape)
        predictions.append(prediction[keep])
        targets.append(target[keep])
    p, t = np.concatenate(predictions).astype(float), np.concatenate(targets).astype(float)
    errors = total.errors()
    assert errors['MAE'] == pytest.approx(mean_absolute_error(t, p), rel=1e-6)
    assert errors['MSE'] == pytest.approx(mean_squared_error(t, p), rel=1e-6)
    assert errors['RMSE'] == pytest.approx(math.sqrt(mean_squared_error(t, p)), rel=1e-6)


def test_errors_that_do_not_exist_are_named():
    image = np.zeros((1, 2, 2))
    nothing = PixelErrorSums.of(image, image, np.zeros((2, 2), bool))
    with pytest.raises(ValueError, match='no pixel of any target was measured'):
        nothing.errors()
    with pytest.raises(ValueError, match='must have one shape'):
        PixelErrorSums.of(image, np.zeros((1, 2, 3)))
    with pytest.raises(ValueError, match='NaN or infinite'):
        PixelErrorSums.of(image * np.nan, image)
    # What was not measured may hold anything.
    holes = np.where([[True, False], [True, True]], 0.0, np.nan)[None]
    mask = ~np.isnan(holes[0])
    assert PixelErrorSums.of(image + 1, holes, mask).errors()['MAE'] == 1.0
