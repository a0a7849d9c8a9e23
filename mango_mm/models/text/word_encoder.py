"""Words to tokens by embedding and a transformer, trained from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn

from mango_mm.models.text.vocabulary import Vocabulary, split_words
from mango_mm.registry import MODELS

__all__ = ['WordTextEncoder']


@MODELS.register_module()
class WordTextEncoder(BaseModule):
    """Own vocabulary, embedding, positions, transformer. Needs no download.

    Args:
        dim: Channels of the tokens.
        vocabulary: Options of :class:`Vocabulary`.
        max_length: Words of a text at most; the rest is cut off.
        depth: Transformer layers.
        num_heads: Heads of each.
        dropout: Of embeddings and layers.
        init_cfg: The same as in mmengine.
    """

    def __init__(
        self,
        dim: int = 128,
        vocabulary: dict[str, Any] | None = None,
        max_length: int = 64,
        depth: int = 2,
        num_heads: int = 4,
        dropout: float = 0.1,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.out_dim, self.max_length = dim, max_length
        self.vocabulary = Vocabulary(**(vocabulary or {}))
        self.embed = nn.Embedding(self.vocabulary.size, dim)
        self.positions = nn.Embedding(max_length, dim)
        for table in (self.embed, self.positions):
            nn.init.normal_(table.weight, std=dim**-0.5)
        self.drop = nn.Dropout(dropout)
        layer = nn.TransformerEncoderLayer(
            dim, num_heads, 2 * dim, dropout, activation='gelu', batch_first=True, norm_first=True
        )
        # Nested tensors would change the padded length behind our back.
        self.layers = nn.TransformerEncoder(
            layer, depth, norm=nn.LayerNorm(dim), enable_nested_tensor=False
        )

    def fit(self, texts: Sequence[str]) -> None:
        """Build the vocabulary, unless a checkpoint has brought one."""
        if not self.vocabulary.index:
            self.vocabulary.fit(texts)

    def forward(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, dim) and mask (B, N) of B texts.

        Raises:
            TypeError: If they are no strings.
        """
        if not all(isinstance(text, str) for text in texts):
            raise TypeError(f'texts must be strings; got {type(texts[0]).__name__}.')
        ids, mask = self.vocabulary(texts, self.max_length)
        x = self.embed(ids) + self.positions.weight[: ids.shape[1]]
        # An empty text attends to its padding, because a softmax over nothing is NaN.
        hidden = ~mask & mask.any(dim=1, keepdim=True)
        x = self.layers(self.drop(x), src_key_padding_mask=hidden)
        return x.masked_fill(~mask[..., None], 0.0), mask

    def words(self, text: str) -> list[str]:
        """The words that the encoder sees of a text, for those who look into it."""
        return split_words(text)[: self.max_length]
