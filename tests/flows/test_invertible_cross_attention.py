"""Peculiar facts of ICA: its triangle, its options, how deep a stack may be."""

import math

import pytest
import torch

from mango_mm.flows import Chain, InvertibleCrossAttention, TokenPartition


@pytest.mark.parametrize('reverse', [False, True])
def test_it_is_the_papers_formula_over_the_tokens_in_reading_order(reverse):
    """y_m = (I + g P) x_m, P = softmax over j >= i of q_i . k_j / s, log|det| = D sum ln A_ii."""
    ica = InvertibleCrossAttention(
        4, TokenPartition.mmca((3, 3), target=1, reverse=reverse), gate_init=0.6
    ).double()
    with torch.no_grad():
        ica.raw_log_temperature.fill_(0.3)
    x = torch.randn(1, 6, 4, dtype=torch.double)
    order = [2, 1, 0] if reverse else [0, 1, 2]
    fixed, moved = x[0, :3][order], x[0, 3:][order]
    bound = math.log(8 * 2)  # s stays between 1/8 and 8 d
    temperature = torch.exp(bound * torch.tanh(torch.tensor(0.3 / bound, dtype=torch.double)))
    scores = ica.query(fixed) @ ica.key(fixed).T / (2.0 * temperature)
    p = scores.masked_fill(torch.ones(3, 3).tril(-1).bool(), -math.inf).softmax(-1)
    a = torch.eye(3, dtype=torch.double) + 0.6 * p
    y, log_det = ica(x)
    torch.testing.assert_close(y[0, 3:][order], a @ moved)
    assert torch.equal(y[:, :3], x[:, :3])
    torch.testing.assert_close(log_det[0], 4 * a.diagonal().log().sum())


@pytest.mark.parametrize('dim', [4, 64, 256])
def test_the_authors_start_of_the_temperature_is_in_range(dim):
    partition = TokenPartition.halves(8)
    ica = InvertibleCrossAttention(dim, partition, temperature=1.0).double()
    x = torch.randn(1, 8, dim, dtype=torch.double)
    q, _ = ica._queries_and_keys(x[:, :4])
    torch.testing.assert_close(q[:, 0], ica.query(x[:, :4]))  # divided by 1
    with pytest.raises(ValueError, match='temperature must lie between 1/8 and 8 d'):
        InvertibleCrossAttention(dim, partition, temperature=9.0 * dim)


def stack(depth, gate, dim=16, n=64, **options):
    return Chain(
        *(
            InvertibleCrossAttention(
                dim,
                TokenPartition.mmca((n, n), target=i % 2, reverse=i % 4 > 1),
                gate=gate,
                **options,
            )
            for i in range(depth)
        )
    ).eval()


def relative_error(flow, x):
    with torch.no_grad():
        again, _ = flow.inverse(flow(x)[0])
    return float((again - x).norm() / x.norm())


def test_96_bounded_layers_round_trip_in_float32():
    flow = stack(96, 'bounded', gate_init=1 / 48, gate_max=4 / 48)
    assert relative_error(flow, torch.randn(1, 128, 16)) < 1e-5
    with torch.no_grad():  # every gate at its bound: what training can do at worst
        for layer in flow:
            layer.raw_gate.fill_(20.0)
    assert relative_error(flow, torch.randn(1, 128, 16)) < 1e-4


def test_the_papers_gate_round_trips_at_depth_8_and_not_at_96():
    assert relative_error(stack(8, 'paper'), torch.randn(1, 128, 16)) < 1e-5
    # Documents why the gate is bounded; float64 does not help either.
    deep = stack(96, 'paper').double()
    assert relative_error(deep, torch.randn(1, 128, 16, dtype=torch.double)) > 1e-4


def test_the_condition_bound_reports_the_gate():
    ica = InvertibleCrossAttention(4, TokenPartition.halves(6), gate_init=0.5)
    assert ica.condition_bound().tolist() == pytest.approx([3.0])
    paper = InvertibleCrossAttention(4, TokenPartition.halves(6), gate='paper')
    assert paper.condition_bound().tolist() == [6.0]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'num_heads': 3}, 'num_heads must divide dim; got 3 heads, 8 channels'),
        ({'gate': 'open'}, "gate must be one of .*got 'open'"),
        ({'gate_max': 1.0}, 'gate_max must lie in'),
        ({'gate_init': 0.95}, r'\|gate_init\| below it'),
        ({'kernel': 'x'}, 'kernel must be one of'),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        InvertibleCrossAttention(8, TokenPartition.halves(4), **options)
