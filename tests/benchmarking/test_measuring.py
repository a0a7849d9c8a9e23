"""Measuring: known bytes, known operations, everybody's turn."""

import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch_features import needs_flash_on_cpu

from mango_mm.benchmarking.measuring import (
    Spread,
    count_flops,
    describe_machine,
    keep_freed_memory,
    peak_bytes,
    take_turns,
)
from mango_mm.flows import InvertibleCrossAttention, TokenPartition


def test_spread_is_the_quartiles():
    numbers = [3.0, 1.0, 7.0, 2.0, 9.0, 4.0]
    assert tuple(Spread.of(numbers)) == pytest.approx(np.percentile(numbers, [25, 50, 75]))
    assert tuple(Spread.of([2.0])) == (2.0, 2.0, 2.0)
    assert str(Spread((1, 2, 3))) == '2.00 (1.00-3.00)'


def test_everybody_has_as_many_turns_and_not_always_after_the_same_one():
    calls = []
    works = {name: lambda name=name: calls.append(name) for name in 'abc'}
    times = take_turns(works, rounds=8, seconds=0)
    assert {name: len(seconds) for name, seconds in times.items()} == {'a': 8, 'b': 8, 'c': 8}
    assert calls[:3] == ['a', 'b', 'c']  # untimed
    rounds = [''.join(calls[i : i + 3]) for i in range(3, 27, 3)]
    assert all(sorted(turn) == ['a', 'b', 'c'] for turn in rounds)
    assert len(set(rounds)) > 1
    assert min(min(seconds) for seconds in times.values()) >= 0


def test_peak_bytes_counts_what_lives_at_the_same_time():
    def one_after_the_other():
        for _ in range(3):
            torch.empty(2**18)  # 1 MiB in float32

    def together():
        return [torch.empty(2**18) for _ in range(3)]

    assert peak_bytes(one_after_the_other) == 2**20
    assert peak_bytes(together) == 3 * 2**20


@needs_flash_on_cpu
def test_flops_of_products_and_attention_are_those_of_the_formula():
    linear, x = nn.Linear(5, 7, bias=False), torch.randn(3, 5, requires_grad=True)
    assert count_flops(lambda: linear(x)) == 2 * 3 * 5 * 7
    assert count_flops(lambda: linear(x).sum().backward()) == 3 * 2 * 3 * 5 * 7
    q = torch.randn(2, 3, 16, 8, requires_grad=True)
    full = 2 * 2 * 3 * 16 * 16 * 8 * 2  # two products, two operations per multiply-add

    def attend(causal):
        return F.scaled_dot_product_attention(q, q, q, is_causal=causal)

    assert count_flops(lambda: attend(False)) == full
    assert count_flops(lambda: attend(True)) == full // 2
    assert count_flops(lambda: attend(True).sum().backward()) == full // 2 * 7 // 2


@needs_flash_on_cpu
def test_ica_does_the_work_of_causal_attention_and_no_more():
    n, d = 300, 16
    ica = InvertibleCrossAttention(d, TokenPartition.mmca((n, n), target=1), kernel='fused')
    x = torch.randn(1, 2 * n, d)
    with torch.no_grad():
        flops = count_flops(lambda: ica(x))
    assert flops == 2 * 2 * n * d * d + 2 * n * n * d


def test_the_machine_is_described():
    machine = describe_machine()
    assert machine['threads'] == torch.get_num_threads()
    assert machine['torch'] == torch.__version__
    assert machine['matmul_gflops'] > 0.1
    assert keep_freed_memory() == sys.platform.startswith('linux')
