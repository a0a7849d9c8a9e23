"""An encoder that is not trained, and whose tokens may come out of a cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

from mango_mm.fusion.tokens import masked_mean
from mango_mm.models.cached_inputs import Cached
from mango_mm.registry import MODELS, build_ours

__all__ = ['FrozenEncoder']


@MODELS.register_module()
class FrozenEncoder(BaseModule):
    """Any encoder without gradients and in evaluation mode, pooled to one token if asked.

    Args:
        encoder: Config; returns tokens (B, N, C) and a mask (B, N) or None, and has ``out_dim``.
        pool: ``'mean'`` of the real tokens, one token; or None, all of them.
        norm: Give the channels of every token mean 0 and deviation 1: encoders differ by orders of
            magnitude. A cache holds what comes before.
        dropout: Probability with which training drops a channel of a token, after ``norm``: what is
            trained on few frozen features learns them by heart otherwise.
        init_cfg: The same as in mmengine.

    Raises:
        ValueError: If ``pool`` is unknown, or ``dropout`` not a probability.
    """

    def __init__(
        self,
        encoder: dict[str, Any],
        pool: str | None = 'mean',
        norm: bool = True,  # noqa: FBT001, FBT002  # a config's keyword
        dropout: float = 0.0,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if pool not in ('mean', None):
            raise ValueError(f"pool must be 'mean' or None; got {pool!r}.")
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f'dropout must be 0 or more and below 1; got {dropout}.')
        self.encoder, self.pool = build_ours(MODELS, dict(encoder)), pool
        self._norm, self._dropout = norm, dropout  # come after what is cached
        self._learning = False
        self.out_dim: int = self.encoder.out_dim
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> FrozenEncoder:  # noqa: FBT001, FBT002  # torch's
        """Stay in evaluation mode; dropout follows the mode that was asked for."""
        super().train(False)
        self._learning = mode
        return self

    def fit(self, texts: Sequence[str]) -> None:
        """Show the training texts to an encoder that builds a vocabulary."""
        if hasattr(self.encoder, 'fit'):
            self.encoder.fit(texts)

    def words(self, text: str) -> list[str]:
        """The words of a text that fit into the encoder."""
        found: list[str] = self.encoder.words(text)
        return found

    def forward(self, inputs: Any) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, out_dim) and mask (B, N), of what the encoder reads or of a cache."""
        tokens, mask = inputs if isinstance(inputs, Cached) else self.encode(inputs)
        if self._norm:
            tokens = F.layer_norm(tokens, tokens.shape[-1:])
        return F.dropout(tokens, self._dropout, self._learning), mask

    def encode(self, inputs: Any) -> tuple[Tensor, Tensor]:
        """The same of what the encoder reads, not normalised: what is cached."""
        with torch.no_grad():
            tokens, mask = self.encoder(inputs)
            if mask is None:
                mask = tokens.new_ones(tokens.shape[:2], dtype=torch.bool)
            if self.pool is None:
                return tokens, mask
            return masked_mean(tokens, mask)[:, None], mask.any(dim=1, keepdim=True)
