"""Over sizes, dtypes, heads and masks: what goes in comes out, and volumes cancel."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mango_mm.fusion.mango_block import STEPS, LayerOptions, build_block

TOLERANCE = {torch.float32: 2e-4, torch.float64: 1e-10}


@given(
    lengths=st.lists(st.integers(1, 7), min_size=1, max_size=3),
    heads=st.sampled_from([1, 2]),
    width=st.integers(1, 3),
    dtype=st.sampled_from(list(TOLERANCE)),
    recipe=st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=4),
    halves=st.sampled_from(['contiguous', 'interleaved']),
    kernel=st.sampled_from(['dense', 'chunked', 'fused']),
    masked=st.booleans(),
    seed=st.integers(0, 999),
)
def test_any_block_is_a_bijection(
    lengths, heads, width, dtype, recipe, halves, kernel, masked, seed
):
    torch.manual_seed(seed)
    dim, total = 2 * width, sum(lengths)
    options = LayerOptions(num_heads=heads, halves=halves, kernel=kernel).with_gates_for(2)
    block = build_block(recipe, dim, lengths, seed % 2, options).to(dtype).eval()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        x = torch.randn(2, total, dim, dtype=dtype)
        mask = torch.rand(2, total) > 0.3 if masked else None
        y, log_det = block(x, mask=mask)
        again, back = block.inverse(y, mask=mask)
    same = {'rtol': TOLERANCE[dtype], 'atol': TOLERANCE[dtype]}
    assert (y.dtype, log_det.dtype) == (dtype, dtype)
    torch.testing.assert_close(again, x, **same)
    torch.testing.assert_close(back, -log_det, **same)


def test_unresolved_gates_are_an_error():
    with pytest.raises(ValueError, match='gates must be resolved first'):
        build_block(('mmca',), 4, (2, 2), 0, LayerOptions())
