"""TokenLinear: an invertible linear map over the token axis, in PLU form.

    y = W x,   W = P L (U + diag(s)),   applied alike to each of D channels
    ln|det dy/dx| = D * sum_i ln s_i

P is a fixed permutation of positions, L lower and U upper triangular with unit
and zero diagonal: the determinant is read off, and the inverse is two triangular
solves. This is the W that the learnable partition (LICA, Eq. 11) mixes positions with.
Whether W is formed is a matter of cost: see ``token_mixing``.

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

from typing import Any

import torch
from torch import Tensor, nn

from mango_mm.flows.bijection import Bijection
from mango_mm.flows.lu_products import apply_matrix, form, forming_pays
from mango_mm.flows.token_runs import permute
from mango_mm.flows.tracing import is_compiling

__all__ = ['TokenLinear']

PERMUTATIONS = ('identity', 'flip', 'random')


class TokenLinear(Bijection):
    """Invertible mixing of N positions by a learnable matrix W.

    With a mask, the rows and columns of padded tokens are those of the identity.
    In eval mode without gradients W and its inverse are formed once and kept until a
    parameter changes or ``train`` or ``eval`` is called.

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

    mixes_positions = True
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
        self._kept: tuple[Any, tuple[Tensor, Tensor]] | None = None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.lower)
        nn.init.zeros_(self.upper)
        nn.init.zeros_(self.raw_log_diagonal)

    def train(self, mode: bool = True) -> TokenLinear:  # noqa: FBT001, FBT002  # torch's own
        # Weights written through ``.data`` (EMA hooks do) leave no trace on a parameter.
        self._kept = None
        return super().train(mode)

    def transform(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        self.check(x)
        if self.forms(x, mask):
            return apply_matrix(self.matrices(x.dtype)[0], x), self._terms(self._log_diagonal(), x)
        lower, upper, log_diagonal = self._factors(mask)
        terms = self._terms(log_diagonal, x)
        if mask is None:
            y = apply_matrix(lower, apply_matrix(upper, x))
            if self.permutes:
                y = permute(y, self.permutation, self.permutation.argsort())
            return y, terms
        y = lower @ (upper @ x.masked_fill(~mask[..., None], 0.0))
        if self.permutes:
            order = self._order(mask, x.shape[0])
            y = y.gather(1, order[..., None].expand_as(y))
        return torch.where(mask[..., None], y, x), terms

    def inverse_transform(self, y: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        self.check(y)
        if self.forms(y, mask):
            terms = self._terms(self._log_diagonal(), y)
            return apply_matrix(self.matrices(y.dtype)[1], y), -terms
        lower, upper, log_diagonal = self._factors(mask)
        terms = -self._terms(log_diagonal, y)
        if mask is None:
            x = permute(y, self.permutation.argsort(), self.permutation) if self.permutes else y
            flat = x.transpose(0, 1).flatten(1)  # (N, B D): one solve for the whole batch
            x = _solve(lower, upper, flat).unflatten(1, (y.shape[0], y.shape[2]))
            return x.transpose(0, 1), terms
        x = y.masked_fill(~mask[..., None], 0.0)
        if self.permutes:
            back = self._order(mask, y.shape[0]).argsort(dim=1)
            x = x.gather(1, back[..., None].expand_as(x))
        return torch.where(mask[..., None], _solve(lower, upper, x), y), terms

    def forms(self, x: Tensor, mask: Tensor | None = None) -> bool:
        """Whether W itself is used for these tokens, rather than its factors."""
        return mask is None and (
            self._keeps() or forming_pays(self.num_tokens, x.shape[0], x.shape[2])
        )

    def matrices(self, dtype: torch.dtype, columns: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """W, (N, N), and W^-1 or those of its columns at ``columns``, (N, c)."""
        if self._keeps():
            whole, inverse = self._matrices_kept(dtype)
            return whole, inverse if columns is None else inverse.index_select(1, columns)
        return self._form(dtype, columns)

    def _form(self, dtype: torch.dtype, columns: Tensor | None) -> tuple[Tensor, Tensor]:
        lower, upper, _ = self._factors(None)
        wanted = torch.eye(self.num_tokens, dtype=lower.dtype, device=lower.device)
        if self.permutes:  # W = P L U, so column c of W^-1 is column P(c) of (L U)^-1
            wanted = wanted.index_select(1, self.permutation)
        if columns is not None:
            wanted = wanted.index_select(1, columns)
        whole, inverse = form(lower, upper, wanted)
        if self.permutes:
            whole = whole.index_select(0, self.permutation)
        return whole.to(dtype), inverse.to(dtype)

    def _keeps(self) -> bool:
        """Whether what is formed now may be used again."""
        return not (self.training or torch.is_grad_enabled() or is_compiling())

    def _matrices_kept(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        parameters = (self.lower, self.upper, self.raw_log_diagonal)
        state = (dtype, *((p.data_ptr(), p._version) for p in parameters))
        if self._kept is None or self._kept[0] != state:
            self._kept = state, self._form(dtype, None)
        return self._kept[1]

    def check(self, x: Tensor) -> None:
        """Raise a ValueError unless ``x`` has N tokens."""
        if x.shape[1] != self.num_tokens:
            raise ValueError(
                f'TokenLinear mixes {self.num_tokens} tokens; got {x.shape[1]}. Give the layer '
                'its real number of tokens, or let the fusion cut the grid into windows.'
            )

    def _factors(self, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """L and U + diag(s), (N, N) or per sample (B, N, N), and ln s."""
        log_diagonal = self._log_diagonal()
        lower, upper = self.lower.tril(-1), self.upper.triu(1)
        if mask is not None:
            # A principal minor of L U is the product of their minors only for a
            # leading block; masking the factors is invertible for every mask.
            pairs = (mask[:, :, None] & mask[:, None, :]).to(lower.dtype)
            lower, upper = lower * pairs, upper * pairs
            log_diagonal = log_diagonal * mask.to(lower.dtype)
        eye = torch.eye(self.num_tokens, dtype=lower.dtype, device=lower.device)
        return lower + eye, upper + torch.diag_embed(log_diagonal.exp()), log_diagonal

    def _log_diagonal(self) -> Tensor:
        return self.clamp * torch.tanh(self.raw_log_diagonal / self.clamp)

    @staticmethod
    def _terms(log_diagonal: Tensor, x: Tensor) -> Tensor:
        return (x.shape[-1] * log_diagonal).expand(x.shape[:2])

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


def _solve(lower: Tensor, upper: Tensor, right: Tensor) -> Tensor:
    """(L U)^-1 applied to ``right``."""
    right = torch.linalg.solve_triangular(lower, right, upper=False, unitriangular=True)
    return torch.linalg.solve_triangular(upper, right, upper=True)
