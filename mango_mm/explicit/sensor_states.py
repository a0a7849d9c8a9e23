"""The states that a sample's sensors can be in, their log-odds against `ok`, and what follows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ['anything_but_ok', 'probabilities', 'state_log_odds', 'state_names']


def state_names(modalities: Sequence[str]) -> tuple[str, ...]:
    """``ok``, ``<m> broken`` for each, and ``apart`` of two modalities or ``<m> apart`` of more."""
    broken = [f'{m} broken' for m in modalities]
    apart = ['apart'] if len(modalities) == 2 else [f'{m} apart' for m in modalities]
    return ('ok', *broken, *apart)


def state_log_odds(apart: Tensor, broken: Tensor) -> Tensor:
    """Log-odds of every state against ``ok``, (..., S), in the order of :func:`state_names`.

    Args:
        apart: -i_m, or what stands for it, (..., M).
        broken: ln q(x_m) - ln p(x_m), or what stands for it, (..., M).
    """
    two = apart.shape[-1] == 2
    return torch.cat(
        [torch.zeros_like(apart[..., :1]), apart + broken, apart.mean(-1, True) if two else apart],
        dim=-1,
    )


def anything_but_ok(odds: Tensor) -> Tensor:
    """Log-odds (...) of all other states together, of (..., S)."""
    return odds[..., 1:].logsumexp(dim=-1)


def probabilities(odds: Tensor) -> Tensor:
    """Of states, of log-odds (..., S) some of which may be infinite: those share everything."""
    certain = odds == torch.inf
    shared = certain.double() / certain.sum(dim=-1, keepdim=True).clamp(min=1)
    some = certain.any(dim=-1, keepdim=True)
    return torch.where(some, shared, odds.masked_fill(certain, 0.0).softmax(dim=-1))
