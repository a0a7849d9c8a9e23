"""Late fusion and the formulas of training algorithms, against independent computations."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Bernoulli, Categorical, kl_divergence

from mango_mm.fusion.late import certainty, combine_logits
from mango_mm.objectives import (
    GradientProjection,
    covariance_penalty,
    distill_categories,
    distill_labels,
    umurl_loss,
    variance_penalty,
)


def test_certainty_is_minus_the_entropy():
    logits = torch.randn(2, 3, 4, 5)
    wanted = -Categorical(logits=logits.movedim(2, -1)).entropy()
    torch.testing.assert_close(certainty(logits)[:, :, 0], wanted)
    labels = torch.randn(2, 3, 4) * 20
    wanted = -Bernoulli(logits=labels).entropy().sum(-1, keepdim=True)
    torch.testing.assert_close(certainty(labels, multi_label=True), wanted, rtol=1e-4, atol=1e-5)


def test_what_is_absent_counts_for_nothing():
    logits = torch.randn(3, 4, 5)
    logits[1, 0] = float('nan')
    present = torch.tensor([[1, 0, 1], [1, 1, 1], [0, 0, 1], [0, 0, 0]]).bool()
    scores = torch.tensor([0.3, -1.0, 2.0]).view(3, 1, 1)
    got = combine_logits(logits, scores, present)
    share = torch.tensor([0.3, 2.0]).softmax(0)
    torch.testing.assert_close(got[0], share[0] * logits[0, 0] + share[1] * logits[2, 0])
    torch.testing.assert_close(got[2], logits[2, 2])
    everything = (scores.softmax(0) * logits).sum(0)
    torch.testing.assert_close(got[[1, 3]], everything[[1, 3]])


def test_the_projection_is_recursive_least_squares():
    """P after each turn is, up to its norm, the inverse of (P before)^-1 + r r' / alpha."""
    torch.manual_seed(0)
    projection = GradientProjection(5).double()
    expected = torch.eye(5, dtype=torch.float64)
    for alpha in (0.1, 0.05, 0.02):
        r = torch.randn(5, dtype=torch.float64)
        expected = torch.linalg.inv(torch.linalg.inv(expected) + torch.outer(r, r) / alpha)
        expected = expected / torch.linalg.matrix_norm(expected)
        projection.update(r, alpha)
        torch.testing.assert_close(projection.matrix, expected)
    gradient = torch.randn(3, 5, 1, 1, dtype=torch.float64)
    projected = projection.project(gradient)
    assert projected.shape == gradient.shape
    torch.testing.assert_close(projected[..., 0, 0], gradient[..., 0, 0] @ expected)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), channels=st.integers(2, 12))
def test_earlier_inputs_do_not_see_a_projected_update(seed, channels):
    generator = torch.Generator().manual_seed(seed)
    projection = GradientProjection(channels).double()
    r = torch.randn(channels, generator=generator, dtype=torch.float64)
    projection.update(r, 1e-9)
    gradient = torch.randn(4, channels, generator=generator, dtype=torch.float64)
    before = (gradient @ r).abs().max()
    after = (projection.project(gradient) @ r).abs().max()
    assert after <= 1e-6 * max(1.0, before)
    assert projection.project(gradient).norm() > 1e-3 * gradient.norm() / channels or channels == 1


@pytest.mark.parametrize('temperature', [1.0, 3.0])
def test_distillation_is_kullback_leibler(temperature):
    student, teacher = torch.randn(2, 5, 3, 4), torch.randn(2, 5, 3, 4)
    pair = (Categorical(logits=x.movedim(1, -1) / temperature) for x in (teacher, student))
    wanted = temperature**2 * kl_divergence(*pair).mean((1, 2))
    torch.testing.assert_close(distill_categories(student, teacher, temperature), wanted)
    flat = (Bernoulli(logits=x[..., 0, 0] / temperature) for x in (teacher, student))
    wanted = temperature**2 * kl_divergence(*flat).sum(1)
    got = distill_labels(student[..., 0, 0], teacher[..., 0, 0], temperature)
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)
    assert distill_labels(teacher[..., 0, 0], teacher[..., 0, 0]).abs().max() < 1e-6


def test_vicreg_terms_equal_numpys():
    z = torch.randn(7, 4) * torch.tensor([0.1, 0.5, 1.0, 3.0])
    values = z.numpy()
    std = np.sqrt(values.var(axis=0, ddof=1) + 1e-4)
    np.testing.assert_allclose(variance_penalty(z), np.maximum(0, 1 - std).mean(), rtol=1e-5)
    cov = np.cov(values, rowvar=False)
    off = (cov**2).sum() - (np.diag(cov) ** 2).sum()
    np.testing.assert_allclose(covariance_penalty(z), off / 4, rtol=1e-4)


def test_umurls_terms():
    alone, parts = torch.randn(3, 6, 4), torch.randn(3, 6, 4)
    terms = umurl_loss(list(alone), list(parts), consistency_weight=2.0)
    a, p = alone.numpy(), parts.numpy()
    intra = sum(((a[m] - p[m]) ** 2).mean() for m in range(3))
    inter = sum(((a[m] - a.mean(0)) ** 2).mean() for m in range(3))
    np.testing.assert_allclose(terms['intra'], 2 * intra, rtol=1e-5)
    np.testing.assert_allclose(terms['inter'], 2 * inter, rtol=1e-5)
    collapsed = umurl_loss([torch.ones(6, 4)] * 2, [torch.ones(6, 4)] * 2)
    assert collapsed['intra'] == collapsed['inter'] == 0
    np.testing.assert_allclose(collapsed['variance'], 5 * 4 * (1 - 0.01), rtol=1e-5)
    with pytest.raises(ValueError, match='two samples or more per process; got 1'):
        umurl_loss(list(alone[:, :1]), list(parts[:, :1]))
