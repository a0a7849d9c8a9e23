"""Attention coupling: some tokens scale and shift others, through a transformer.

    h = transformer block over the fixed tokens, unmasked
    s, t = linear(LN(resample(h)))
    y_f = x_f,   y_m = x_m * exp(s) + t
    ln|det dy/dx| = sum of s over moved tokens and channels

Any network is allowed inside a coupling, because only the moved tokens have to be
recovered. Here every moved token and channel depends on all fixed tokens and
channels, where ICA mixes positions alone. With one modality fixed and the other
moved this is the *cross-modal coupling* that is not in the paper.

Shape letters: B batch, N tokens, m fixed tokens, D channels.

Source:
    the coupling is Dinh et al., RealNVP, https://arxiv.org/abs/1605.08803; attention in its
    conditioner as in Ho et al., Flow++, https://arxiv.org/abs/1902.00275, Section 3.3.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

from mango_mm.flows.affine_coupling import scale_and_shift, undo_scale_and_shift
from mango_mm.flows.bijection import Bijection
from mango_mm.flows.token_partition import TokenPartition

__all__ = ['AttentionCoupling']


class AttentionCoupling(Bijection):
    """Affine coupling between token sets, conditioned by self-attention.

    Args:
        dim: Channels D of every token.
        partition: Which positions condition and which move.
        num_heads: Heads of the conditioner's attention.
        hidden_dim: Width of its perceptron; None: 2 D.
        clamp: Bound of |s|, approached smoothly.

    Raises:
        ValueError: If the heads do not divide the channels.

    Example:
        >>> import torch
        >>> layer = AttentionCoupling(4, TokenPartition.mmca((2, 3), target=1), num_heads=2)
        >>> y, log_det = layer(torch.randn(2, 5, 4))
        >>> y.shape, log_det.tolist()
        (torch.Size([2, 5, 4]), [0.0, 0.0])
    """

    def __init__(
        self,
        dim: int,
        partition: TokenPartition,
        *,
        num_heads: int = 1,
        hidden_dim: int | None = None,
        clamp: float = 1.0,
    ) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f'num_heads must divide dim; got {num_heads} heads, {dim} channels.')
        self.partition = partition
        self.num_heads, self.clamp = num_heads, clamp
        hidden_dim = hidden_dim or 2 * dim
        self.norm_attention = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.project = nn.Linear(dim, dim)
        self.perceptron = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, dim)
        )
        self.norm_out = nn.LayerNorm(dim)
        self.to_scale_and_shift = nn.Linear(dim, 2 * dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.to_scale_and_shift.weight)
        nn.init.zeros_(self.to_scale_and_shift.bias)

    def transform(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        fixed, moved, pieces = self.partition.split(x)
        raw, moved_mask = self._conditions(fixed, mask)
        y, terms = scale_and_shift(moved, raw, self.clamp, moved_mask)
        return self.partition.merge(pieces, y), self.partition.place(terms, x.shape[1])

    def inverse_transform(self, y: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        fixed, moved, pieces = self.partition.split(y)
        raw, moved_mask = self._conditions(fixed, mask)
        x, terms = undo_scale_and_shift(moved, raw, self.clamp, moved_mask)
        return self.partition.merge(pieces, x), self.partition.place(terms, y.shape[1])

    def _conditions(self, fixed: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        visible = moved_mask = None
        if mask is not None:
            real, moved_mask, _ = self.partition.split(mask)
            # A sample without any real fixed token attends to zeros, not to nothing.
            fixed = fixed.masked_fill(~real[..., None], 0.0)
            visible = (real | ~real.any(dim=1, keepdim=True))[:, None, None]
        h = fixed + self._attend(self.norm_attention(fixed), visible)
        h = h + self.perceptron(h)
        conditions = self.partition.resample(h, mask)
        return self.to_scale_and_shift(self.norm_out(conditions)), moved_mask

    def _attend(self, fixed: Tensor, visible: Tensor | None) -> Tensor:
        """Unmasked multi-head self-attention over the fixed tokens, (B, m, D)."""
        q, k, v = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for part in self.qkv(fixed).chunk(3, dim=-1)
        )
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=visible)
        projected: Tensor = self.project(attended.transpose(1, 2).flatten(2))
        return projected
