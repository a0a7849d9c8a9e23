"""Token partitions: the paper's index sets, and resampling of unequal counts."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mango_mm import flows
from mango_mm.flows import TokenPartition
from mango_mm.flows.token_runs import MAX_RUNS
from mango_mm.testing import assert_is_bijection

A1, A2, B1, B2 = [0, 1], [2, 3], [4, 5, 6], [7, 8]


@pytest.mark.parametrize(
    ('variant', 'fixed', 'moved'),
    [(0, A1 + B1, A2 + B2), (1, A1 + B2, A2 + B1), (2, A2 + B1, A1 + B2), (3, A2 + B2, A1 + B1)],
)
def test_imca_variants_are_those_of_the_paper_in_its_order(variant, fixed, moved):
    partition = TokenPartition.imca((4, 5), variant=variant)
    assert (partition.fixed.tolist(), partition.moved.tolist()) == (fixed, moved)


def test_interleaved_halves_are_even_and_odd_positions():
    partition = TokenPartition.imca((3, 4), variant=0, interleaved=True)
    assert partition.fixed.tolist() == [0, 2, 3, 5]
    assert partition.moved.tolist() == [1, 4, 6]


def test_reversal_reads_from_the_end():
    partition = TokenPartition.mmca((2, 3), target=1, reverse=True)
    assert (partition.fixed.tolist(), partition.moved.tolist()) == ([1, 0], [4, 3, 2])


def test_three_modalities_condition_segment_by_segment():
    partition = TokenPartition.mmca((2, 2, 2), target=1)
    x = torch.tensor([1.0, 2, 0, 0, 5, 6]).view(1, 6, 1)
    # position i of the target sees the mean of position i of the two others
    assert partition.condition(x).flatten().tolist() == [3.0, 4.0]


def test_resampling_uses_the_bins_of_adaptive_pooling():
    partition = TokenPartition.mmca((5, 3), target=1)
    x = torch.arange(8.0).view(1, 8, 1)
    # bins [0,2), [1,4), [3,5) of 0..4
    assert partition.condition(x).flatten().tolist() == [0.5, 2.0, 3.5]


@given(
    lengths=st.lists(st.integers(1, 6), min_size=2, max_size=3),
    pads=st.lists(st.integers(0, 3), min_size=3, max_size=3),
    reverse=st.booleans(),
)
def test_padding_at_the_tail_of_a_modality_changes_no_condition(lengths, pads, reverse):
    x = [torch.randn(1, n, 2, dtype=torch.double) for n in lengths]
    padded = [
        torch.cat([t, torch.full((1, p, 2), float('nan'), dtype=torch.double)], 1)
        for t, p in zip(x, pads)
    ]
    mask = torch.cat([torch.arange(t.shape[1])[None] < n for t, n in zip(padded, lengths)], 1)
    for target in range(len(lengths)):
        plain = TokenPartition.mmca(lengths, target=target, reverse=reverse)
        wide = TokenPartition.mmca([t.shape[1] for t in padded], target=target, reverse=reverse)
        expected = plain.condition(torch.cat(x, 1))
        _, real, _ = wide.split(mask)
        got = wide.condition(torch.cat(padded, 1), mask)[real][None]
        torch.testing.assert_close(got, expected)


def test_a_modality_that_is_missing_altogether_conditions_as_zero():
    partition = TokenPartition.mmca((2, 3), target=1)
    mask = torch.tensor([[False, False, True, True, True]])
    assert not partition.condition(torch.randn(1, 5, 4), mask).any()


def test_merge_puts_moved_tokens_where_they_came_from():
    x = torch.randn(2, 7, 3)
    for partition in (
        TokenPartition(fixed=(0, 5), moved=(6, 1, 3)),
        TokenPartition.mmca((3, 4), target=1),
    ):
        _, moved, pieces = partition.split(x)
        torch.testing.assert_close(partition.merge(pieces, moved), x, rtol=0, atol=0)
        changed = partition.merge(pieces, moved + 1)
        assert (changed != x).any(-1).sum().item() == 2 * len(partition.moved)


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: TokenPartition(fixed=(0, 1), moved=(1, 2)), 'disjoint'),
        (lambda: TokenPartition(fixed=(0, -1), moved=(2,)), 'non-negative'),
        (lambda: TokenPartition((0, 1), (2,), segments=(1,)), 'add up to the 2 fixed'),
        (lambda: TokenPartition.mmca((2, 3), target=2), 'one of 2 modalities; got 2'),
        (lambda: TokenPartition.imca((2, 3), variant=4), 'variant must be 0, 1, 2 or 3; got 4'),
        (lambda: TokenPartition.halves(0), 'at least one token'),
        (lambda: TokenPartition.halves(9).split(torch.randn(1, 8, 2)), '9 tokens; got 8'),
    ],
)
def test_wrong_partitions_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize('reverse', [False, True])
@pytest.mark.parametrize('lengths', [(3, 4), (40, 31)], ids=['runs', 'permuted'])
def test_what_is_split_is_merged_where_it_was(lengths, reverse):
    partition = TokenPartition.imca(lengths, variant=1, interleaved=True, reverse=reverse)
    assert partition.permutes == (max(lengths) > 4 * MAX_RUNS)
    x = torch.randn(2, sum(lengths) + 3, 5)  # and tokens that it does not address
    fixed, moved, pieces = partition.split(x)
    torch.testing.assert_close(fixed, x[:, partition.fixed])
    torch.testing.assert_close(moved, x[:, partition.moved])
    replaced = torch.randn_like(moved)
    wanted = x.clone()
    wanted[:, partition.moved] = replaced
    torch.testing.assert_close(partition.merge(pieces, replaced), wanted)


@pytest.mark.parametrize('kernel', ['auto', 'dense'])
def test_ica_of_many_runs_is_a_bijection(kernel):
    partition = TokenPartition.imca((21, 19), variant=1, interleaved=True)
    assert partition.permutes
    layer = flows.InvertibleCrossAttention(3, partition, kernel=kernel).double()
    with torch.no_grad():
        for p in layer.parameters():
            p.add_(0.2 * torch.randn_like(p))
    x = torch.randn(2, 40, 3, dtype=torch.double)
    mask = torch.ones(2, 40, dtype=torch.bool)
    mask[1, 35:] = False
    for real in (None, mask):
        assert_is_bijection(layer, x, mask=real)
