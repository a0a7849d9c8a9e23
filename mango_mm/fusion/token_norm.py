"""Normalisation of tokens before a flow: every one by itself, without parameters.

Shape letters: B batch, N tokens, D channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

__all__ = ['Statistics', 'TokenNorm']

EPS = 1e-5
Statistics = tuple[Tensor, Tensor]
"""Mean and standard deviation of every token, (B, N, 1) each."""


class TokenNorm(nn.Module):
    """Gives every token mean 0 and variance 1 over its channels, and takes it back.

    Without it a density of features has a trivial optimum: encoders that answer a constant.

    Args:
        enabled: False leaves tokens as they are; they are in float32 at least all the same.

    Example:
        >>> norm = TokenNorm()
        >>> x = 3 + 2 * torch.randn(2, 5, 8)
        >>> (normalised,), statistics = norm([x])
        >>> bool(torch.allclose(norm.undo([normalised], statistics)[0], x, atol=1e-5))
        True
    """

    def __init__(self, *, enabled: bool = True) -> None:
        super().__init__()
        self.enabled = enabled

    def forward(self, tokens: Sequence[Tensor]) -> tuple[list[Tensor], list[Statistics] | None]:
        """Normalised tokens, and what :meth:`undo` needs; None where nothing is normalised.

        Args:
            tokens: (B, N, D) of each modality.
        """
        wide = [x.float() if x.dtype in (torch.float16, torch.bfloat16) else x for x in tokens]
        if not self.enabled:
            return wide, None
        statistics = [statistics_of(x) for x in wide]
        return [F.layer_norm(x, x.shape[-1:], eps=EPS) for x in wide], statistics

    @staticmethod
    def undo(tokens: Sequence[Tensor], statistics: Sequence[Statistics] | None) -> list[Tensor]:
        """The tokens that :meth:`forward` was given."""
        if statistics is None:
            return list(tokens)
        return [x * deviation + mean for x, (mean, deviation) in zip(tokens, statistics)]

    def extra_repr(self) -> str:
        return f'enabled={self.enabled}'


def statistics_of(x: Tensor) -> Statistics:
    """Mean and standard deviation of each token as layer_norm takes them."""
    variance, mean = torch.var_mean(x, dim=-1, keepdim=True, correction=0)
    return mean, (variance + EPS).sqrt()
