"""Maps, tokens and windows undo each other."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from mango_mm.fusion.tokens import (
    map_to_tokens,
    merge_windows,
    split_windows,
    tokens_to_map,
    window_mask,
)


@given(h=st.integers(1, 6), w=st.integers(1, 6), wh=st.integers(1, 4), ww=st.integers(1, 4))
def test_windows_undo(h, w, wh, ww):
    x = torch.randn(2, h * w, 3)
    windows = split_windows(x, (h, w), (wh, ww))
    assert windows.shape[1:] == (wh * ww, 3)
    torch.testing.assert_close(merge_windows(windows, (h, w), (wh, ww)), x, rtol=0, atol=0)
    mask = window_mask(None, 2, (h, w), (wh, ww), x.device)
    assert (mask is None) == (h % wh == 0 and w % ww == 0)
    if mask is not None:
        assert mask.sum().item() == 2 * h * w


def test_a_window_holds_neighbours():
    x = torch.arange(16.0).view(1, 16, 1)
    first = split_windows(x, (4, 4), (2, 2))[0].flatten()
    assert first.tolist() == [0, 1, 4, 5]


def test_tokens_undo_maps():
    x = torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(tokens_to_map(map_to_tokens(x), (4, 5)), x)
