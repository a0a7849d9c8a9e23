"""AttnFlow's map-based attention: some tokens weigh others, one weight per position.

    h   = self-attention over the fixed tokens, resampled to the moved positions
    s_i = c tanh(w . h_i / c)
    y_f = x_f,   y_i = x_i * exp(s_i)          all D channels alike
    ln|det dy/dx| = D * sum_i s_i

Shape letters: B batch, N tokens, m fixed tokens, D channels.

Source:
    Sukthanker et al., Generative Flows with Invertible Attentions, CVPR 2022,
    https://arxiv.org/abs/2106.03959: attention weights learnt on one split of a feature map
    multiply the other. No code was released, and only the abstract was at hand.
Decided here:
    exp of a clamped logit as weight, so that no weight is zero and the start is the identity;
    their scaled dot-product variant, masked, is the triangular attention that ICA is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

from mango_mm.flows.bijection import Bijection
from mango_mm.flows.token_partition import TokenPartition

__all__ = ['MapAttention']


class MapAttention(Bijection):
    """Scales every moved token by one number that attention over the fixed ones gives.

    Args:
        dim: Channels D of every token.
        partition: Which positions condition and which move.
        num_heads: Heads of the attention.
        clamp: Bound of |s|, approached smoothly.

    Raises:
        ValueError: If the heads do not divide the channels.

    Example:
        >>> layer = MapAttention(4, TokenPartition.mmca((2, 3), target=1))
        >>> y, log_det = layer(torch.randn(2, 5, 4))
        >>> y.shape, log_det.tolist()
        (torch.Size([2, 5, 4]), [0.0, 0.0])
    """

    def __init__(
        self, dim: int, partition: TokenPartition, *, num_heads: int = 1, clamp: float = 1.0
    ) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f'num_heads must divide dim; got {num_heads} heads, {dim} channels.')
        self.partition, self.num_heads, self.clamp = partition, num_heads, clamp
        self.norm_in = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.norm_out = nn.LayerNorm(dim)
        self.to_map = nn.Linear(dim, 1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.to_map.weight)
        nn.init.zeros_(self.to_map.bias)

    def transform(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        fixed, moved, pieces = self.partition.split(x)
        log_map = self._log_map(fixed, mask)
        y = self.partition.merge(pieces, moved * log_map.exp())
        return y, x.shape[-1] * self.partition.place(log_map[..., 0], x.shape[1])

    def inverse_transform(self, y: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        fixed, moved, pieces = self.partition.split(y)
        log_map = self._log_map(fixed, mask)
        x = self.partition.merge(pieces, moved * (-log_map).exp())
        return x, -y.shape[-1] * self.partition.place(log_map[..., 0], y.shape[1])

    def _log_map(self, fixed: Tensor, mask: Tensor | None) -> Tensor:
        """s of every moved token, (B, moved, 1); zero where it is padding."""
        visible = moved_mask = None
        if mask is not None:
            real, moved_mask, _ = self.partition.split(mask)
            fixed = fixed.masked_fill(~real[..., None], 0.0)
            visible = (real | ~real.any(dim=1, keepdim=True))[:, None, None]
        q, k, v = (
            t.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for t in self.qkv(self.norm_in(fixed)).chunk(3, dim=-1)
        )
        h = F.scaled_dot_product_attention(q, k, v, attn_mask=visible).transpose(1, 2).flatten(2)
        raw = self.to_map(self.norm_out(self.partition.resample(h, mask)))
        log_map: Tensor = self.clamp * torch.tanh(raw / self.clamp)
        return log_map if moved_mask is None else torch.where(moved_mask[..., None], log_map, 0.0)
