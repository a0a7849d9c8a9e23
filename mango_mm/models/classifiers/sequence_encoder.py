"""Token sequences to tokens of one width: time series, words, audio frames, skeletons, patches."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mango_mm.registry import MODELS

__all__ = ['SequenceEncoder']


@MODELS.register_module()
class SequenceEncoder(BaseModule):
    """A convolution over time, positions, a transformer.

    Args:
        in_channels: Of the tokens as they come.
        out_dim: Of the tokens as they go on.
        max_length: Tokens of a sequence at most.
        kernel: Of the convolution over neighbours, odd; 1: each token by itself (MulT's).
        depth: Transformer layers; 0: none.
        num_heads: Heads of each.
        dropout: Of the tokens and layers.
        init_cfg: The same as in mmengine.

    Raises:
        ValueError: If the kernel is even, or a sequence is longer than ``max_length``.
    """

    def __init__(
        self,
        in_channels: int,
        out_dim: int = 64,
        max_length: int = 512,
        kernel: int = 3,
        depth: int = 1,
        num_heads: int = 4,
        dropout: float = 0.1,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if kernel % 2 != 1:
            raise ValueError(f'kernel must be odd; got {kernel}.')
        self.out_dim, self.max_length = out_dim, max_length
        self.project = nn.Conv1d(in_channels, out_dim, kernel, padding=kernel // 2)
        self.positions = nn.Parameter(torch.randn(max_length, out_dim) * 0.02)
        self.drop = nn.Dropout(dropout)
        self.layers: nn.TransformerEncoder | None = None
        if depth:
            layer = nn.TransformerEncoderLayer(
                out_dim, num_heads, 2 * out_dim, dropout, activation='gelu', batch_first=True,
                norm_first=True,
            )  # fmt: skip
            # Nested tensors would change the padded length behind our back.
            self.layers = nn.TransformerEncoder(
                layer, depth, norm=nn.LayerNorm(out_dim), enable_nested_tensor=False
            )

    def forward(self, sequence: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Tokens (B, T, out_dim) and mask (B, T) of tokens (B, T, C) and their mask."""
        tokens, mask = sequence
        if tokens.shape[1] > self.max_length:
            raise ValueError(
                f'SequenceEncoder was built for {self.max_length} tokens; got {tokens.shape[1]}. '
                'Set max_length, or tokens of the modality in the data set.'
            )
        x = self.project(tokens.masked_fill(~mask[..., None], 0.0).mT).mT
        x = self.drop(x + self.positions[: tokens.shape[1]])
        if self.layers is not None:
            # A sequence without a token attends to its padding: a softmax over nothing is NaN.
            x = self.layers(x, src_key_padding_mask=~mask & mask.any(dim=1, keepdim=True))
        return x.masked_fill(~mask[..., None], 0.0), mask
