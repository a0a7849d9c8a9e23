"""A vocabulary of words that travels with the checkpoint."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ['Vocabulary', 'split_words']

PAD, UNKNOWN, RESERVED = 0, 1, 2
MAX_BYTES = 32  # of a word
WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d+")


def split_words(text: str) -> list[str]:
    """Lower-case words; every number is the word ``0``."""
    return ['0' if word[0].isdigit() else word for word in WORD.findall(text.lower())]


class Vocabulary(nn.Module):
    """Words and their numbers; 0 is padding, 1 is any word not known.

    The words are a buffer of bytes, so that every checkpoint holds them, mmengine's own
    included, which leaves out ``get_extra_state``; and so that reading them runs no code.

    Args:
        size: Words at most, the two reserved ones included.
        min_count: Occurrences below which a word is unknown.
    """

    words: Tensor

    def __init__(self, size: int = 8000, min_count: int = 2) -> None:
        super().__init__()
        if size <= RESERVED:
            raise ValueError(f'a vocabulary must be larger than {RESERVED}; got {size}.')
        self.size, self.min_count = size, min_count
        self.register_buffer('words', torch.zeros(size, MAX_BYTES, dtype=torch.uint8))
        self._index: dict[str, int] | None = None

    def fit(self, texts: Iterable[str]) -> None:
        """Take the most frequent words of these texts; equally frequent ones by alphabet.

        Raises:
            ValueError: If there is no word that is frequent enough.
        """
        counts = Counter(word for text in texts for word in split_words(text))
        frequent = [
            word
            for word, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            if n >= self.min_count and len(word.encode()) <= MAX_BYTES
        ][: self.size - RESERVED]
        if not frequent:
            raise ValueError(
                f'the texts hold no word that occurs {self.min_count} times; got '
                f'{len(counts)} different words.'
            )
        self.words.zero_()
        for i, word in enumerate(frequent, RESERVED):
            code = word.encode()
            self.words[i, : len(code)] = torch.tensor(list(code), dtype=torch.uint8)
        self._index = None

    @property
    def index(self) -> dict[str, int]:
        """Number of every word."""
        if self._index is None:
            rows = self.words.cpu().numpy()
            words = (bytes(row).rstrip(b'\0').decode() for row in rows[RESERVED:])
            self._index = {word: i for i, word in enumerate(words, RESERVED) if word}
        return self._index

    def encode(self, text: str) -> list[int]:
        """Numbers of the words of a text.

        Raises:
            RuntimeError: If the vocabulary is empty.
        """
        if not self.index:
            raise RuntimeError(
                'the vocabulary is empty: train with the hook mango_mm.VocabularyHook, which '
                'fills it from the training texts, or load a checkpoint that has one.'
            )
        return [self.index.get(word, UNKNOWN) for word in split_words(text)]

    def forward(self, texts: Sequence[str], max_length: int) -> tuple[Tensor, Tensor]:
        """Numbers (B, N) and mask (B, N), N the longest text, at least 1, at most max_length."""
        encoded = [self.encode(text)[:max_length] for text in texts]
        length = max(1, *(len(x) for x in encoded))
        ids = torch.full((len(encoded), length), PAD, device=self.words.device)
        mask = torch.zeros_like(ids, dtype=torch.bool)
        for i, numbers in enumerate(encoded):
            ids[i, : len(numbers)] = torch.tensor(numbers, dtype=torch.long)
            mask[i, : len(numbers)] = True
        return ids, mask

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._index = None
