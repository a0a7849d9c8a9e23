"""TokenLinear: an invertible linear map over the token axis, in PLU form.

    y = W x,   W = P L (U + diag(s)),   applied alike to each of D channels
    ln|det dy/dx| = D * sum_i ln s_i

P is a fixed permutation of positions, L lower and U upper triangular with unit
and zero diagonal. Neither W nor its inverse is ever formed: the forward is two
triangular products, the inverse two triangular solves. This is the W that the
learnable partition (LICA, Eq. 11) mixes positions with.

Shape letters: B batch, N tokens, D channels.

Source:
    Truong et al., MANGO, https://arxiv.org/abs/2508.10133, Eq. 11-12; the PLU form is
    that of Kingma & Dhariwal, Glow, https://arxiv.org/abs/1807.03039, Section 3.2.
Differs from them:
    starts as P alone (L = I, U = 0, s = 1), not as a random rotation, so that a
    sandwich starts out as its filling; ln s is soft-clamped, which bounds the
    condition number of the diagonal; s > 0, because the sign of W changes
    nothing that a flow can see.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mango_mm.flows.bijection import Bijection
from mango_mm.flows.precision import float32_island

__all__ = ['TokenLinear']

PERMUTATIONS = ('identity', 'flip', 'random')


class TokenLinear(Bijection):
    """Invertible mixing of N positions by a learnable matrix W.

    With a mask, the rows and columns of padded tokens are those of the identity.

    Args:
        num_tokens: N, the positions that are mixed. The matrix is N x N: use
            windows for more than about a thousand.
        permutation: P: ``'identity'``, ``'flip'`` or ``'random'`` (drawn once, saved).
        clamp: Bound of |ln s|, approached smoothly.

    Raises:
        ValueError: If ``permutation`` is unknown or the tokens given are not N.

    Example:
        >>> layer = TokenLinear(num_tokens=6)
        >>> y, log_det = layer(torch.randn(2, 6, 3))
        >>> y.shape, log_det.tolist()
        (torch.Size([2, 6, 3]), [0.0, 0.0])
    """

    permutation: Tensor

    def __init__(
        self, num_tokens: int, *, permutation: str = 'identity', clamp: float = 1.0
    ) -> None:
        super().__init__()
        if permutation not in PERMUTATIONS:
            raise ValueError(f'permutation must be one of {PERMUTATIONS}; got {permutation!r}.')
        self.num_tokens = num_tokens
        self.clamp = clamp
        self.lower = nn.Parameter(torch.empty(num_tokens, num_tokens))
        self.upper = nn.Parameter(torch.empty(num_tokens, num_tokens))
        self.raw_log_diagonal = nn.Parameter(torch.empty(num_tokens))
        order = torch.arange(num_tokens)
        if permutation == 'flip':
            order = order.flip(0)
        elif permutation == 'random':
            order = torch.randperm(num_tokens)
        self.permutes = permutation != 'identity'
        self.register_buffer('permutation', order)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.lower)
        nn.init.zeros_(self.upper)
        nn.init.zeros_(self.raw_log_diagonal)

    @float32_island
    def forward(self, x: Tensor, *, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        self._check(x)
        lower, upper, log_diagonal = self._factors(mask)
        if mask is None:
            flat = x.transpose(0, 1).flatten(1)  # (N, B D): one product for the whole batch
            y = (lower @ (upper @ flat)).unflatten(1, (x.shape[0], x.shape[2])).transpose(0, 1)
        else:
            y = lower @ (upper @ x)
        if self.permutes:
            order = self._order(mask, x.shape[0])
            y = y.gather(1, order[..., None].expand_as(y))
        return y, self._log_det(log_diagonal, x)

    @float32_island
    def inverse(self, y: Tensor, *, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        self._check(y)
        lower, upper, log_diagonal = self._factors(mask)
        if self.permutes:
            back = self._order(mask, y.shape[0]).argsort(dim=1)
            y = y.gather(1, back[..., None].expand_as(y))
        right = y.transpose(0, 1).flatten(1) if mask is None else y
        solved = torch.linalg.solve_triangular(lower, right, upper=False, unitriangular=True)
        solved = torch.linalg.solve_triangular(upper, solved, upper=True)
        if mask is None:
            solved = solved.unflatten(1, (y.shape[0], y.shape[2])).transpose(0, 1)
        return solved, -self._log_det(log_diagonal, y)

    def _check(self, x: Tensor) -> None:
        if x.shape[1] != self.num_tokens:
            raise ValueError(
                f'TokenLinear mixes {self.num_tokens} tokens; got {x.shape[1]}. Give the layer '
                'its real number of tokens, or let the fusion cut the grid into windows.'
            )

    def _factors(self, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """L and U + diag(s), (N, N) or per sample (B, N, N), and ln s."""
        log_diagonal = self.clamp * torch.tanh(self.raw_log_diagonal / self.clamp)
        lower, upper = self.lower.tril(-1), self.upper.triu(1)
        if mask is not None:
            # A principal minor of L U is the product of their minors only for a
            # leading block; masking the factors is invertible for every mask.
            pairs = (mask[:, :, None] & mask[:, None, :]).to(lower.dtype)
            lower, upper = lower * pairs, upper * pairs
            log_diagonal = log_diagonal * mask.to(lower.dtype)
        eye = torch.eye(self.num_tokens, dtype=lower.dtype, device=lower.device)
        return lower + eye, upper + torch.diag_embed(log_diagonal.exp()), log_diagonal

    @staticmethod
    def _log_det(log_diagonal: Tensor, x: Tensor) -> Tensor:
        return (x.shape[-1] * log_diagonal.sum(-1)).expand(x.shape[0])

    def _order(self, mask: Tensor | None, batch: int) -> Tensor:
        """Where each position takes its token from, (B, N); padded ones stay."""
        order = self.permutation.expand(batch, -1)
        if mask is None:
            return order
        # Real slots in rising order receive the real tokens in the order of P.
        slots = (~mask).to(torch.uint8).argsort(dim=1, stable=True)
        ranks = (~mask[:, self.permutation]).to(torch.uint8).argsort(dim=1, stable=True)
        sources = order.gather(1, ranks)
        is_real = mask.gather(1, slots)
        return torch.empty_like(slots).scatter(1, slots, torch.where(is_real, sources, slots))
