"""LICA: invertible cross-attention between the halves of a learned mixing of positions.

    x' = W x                          all positions mixed, W = P L (U + diag(s))
    x'_m -> A x'_m                    ICA: one half of x' conditions, the other moves
    y = W^-1 x'                       unmixed

W acts alike on every channel and its determinant does not depend on x, so that its two
terms cancel exactly; the log-determinant is that of ICA alone. And because only half of
x' changes, W^-1 W x need not be computed:

    y = x + W^-1_{:,m} (A x'_m - x'_m)

which is half of the product and returns what does not move without rounding.

Shape letters: B batch, N tokens, n moved tokens, D channels.

Source:
    Truong et al., MANGO, NeurIPS 2025, https://arxiv.org/abs/2508.10133, Eq. 11-12.
Differs from the authors' release (uark-cviu/MANGO, models/inv_attention.py):
    it forms W^-1 by ``inverse`` in every pass, and its forward drops the log-determinant
    of the unmixing.
"""

from __future__ import annotations

from typing import Any, Callable

import torch
from torch import Tensor

from mango_mm.flows.bijection import Bijection
from mango_mm.flows.invertible_cross_attention import InvertibleCrossAttention
from mango_mm.flows.lu_products import apply_matrix
from mango_mm.flows.token_linear import TokenLinear
from mango_mm.flows.token_partition import TokenPartition

__all__ = ['LearnableCrossAttention']


class LearnableCrossAttention(Bijection):
    """ICA in the coordinates of a learned mixing of all positions.

    Args:
        dim: Channels D of every token.
        num_tokens: N, at least 1. The mixing has N x N parameters, twice.
        swap: Let the second half of the mixed positions condition.
        reverse: Read both halves from the last position to the first.
        permutation: P of the mixing: see :class:`~mango_mm.flows.TokenLinear`.
        **attention: Options of :class:`~mango_mm.flows.InvertibleCrossAttention`.

    Raises:
        ValueError: If the tokens given are not N, or an option is wrong.

    Example:
        >>> import torch
        >>> lica = LearnableCrossAttention(dim=4, num_tokens=6)
        >>> x = torch.randn(2, 6, 4)
        >>> y, log_det = lica(x)
        >>> torch.allclose(lica.inverse(y)[0], x, atol=1e-5)
        True
    """

    mixes_positions = True

    def __init__(
        self,
        dim: int,
        num_tokens: int,
        *,
        swap: bool = False,
        reverse: bool = False,
        permutation: str = 'identity',
        **attention: Any,
    ) -> None:
        super().__init__()
        self.mixing = TokenLinear(num_tokens, permutation=permutation)
        halves = TokenPartition.halves(num_tokens, swap=swap, reverse=reverse)
        self.attention = InvertibleCrossAttention(dim, halves, **attention)

    def transform(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        return self._map(self.attention.mix, x, mask)

    def inverse_transform(self, y: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        return self._map(self.attention.unmix, y, mask)

    def _map(
        self, attend: Callable[..., tuple[Tensor, Tensor]], x: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """All tokens, with what moves in the mixed ones put through ``attend``."""
        tokens = self.attention.last_first
        self.mixing.check(x)
        if self.mixing.forms(x, mask):
            # The order of the tokens is that of W's rows and columns: nothing is copied.
            whole, unmixing = self.mixing.matrices(x.dtype, tokens.moved)
            fixed = apply_matrix(whole.index_select(0, tokens.fixed), x)
            moved = apply_matrix(whole.index_select(0, tokens.moved), x)
            new, terms = attend(tokens.resample(fixed), moved)
            return x + apply_matrix(unmixing, new - moved), tokens.place(terms, x.shape[1])
        mixed, _ = self.mixing.transform(x, mask)
        fixed, moved, pieces = tokens.split(mixed)
        moved_mask = None
        if mask is not None:
            moved_mask = tokens.split(mask)[1]
            moved = moved.masked_fill(~moved_mask[..., None], 0.0)
        new, terms = attend(tokens.resample(fixed, mask), moved, moved_mask)
        step = tokens.merge([piece.new_zeros(()).expand_as(piece) for piece in pieces], new - moved)
        change, _ = self.mixing.inverse_transform(step, mask)
        y = x + change
        terms = tokens.place(terms, x.shape[1])
        return y if mask is None else torch.where(mask[..., None], y, x), terms
