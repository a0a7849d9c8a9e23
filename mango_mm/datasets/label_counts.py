"""What a data set's labels really are, beside what its options make of them.

A label map whose 0 is the background and one whose 0 is void look alike to a program, and the
wrong reading trains to a high score on labels shifted by one. The counts show it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ['LabelCounts']

IGNORED = 255
MOST_VOID = 0.4  # of all pixels: more of label 0 is hardly void


@dataclasses.dataclass
class LabelCounts:
    """Pixels by label as stored, over some label maps of a data set.

    Attributes:
        void_zero: Whether label 0 is void and labels 1..K become 0..K-1.
        classes: Their names; empty: unknown.
        seen: Label maps counted.
        total: Label maps there are.
    """

    void_zero: bool
    classes: Sequence[str] = ()
    seen: int = 0
    total: int = 0

    def __post_init__(self) -> None:
        self.stored: NDArray[np.int64] = np.zeros(256, np.int64)

    def add(self, stored: NDArray[np.integer]) -> None:
        """Count a label map as stored, 0..255."""
        self.stored += np.bincount(stored.reshape(-1), minlength=256)[:256]
        self.seen += 1

    def shares(self, num_classes: int) -> NDArray[np.float64]:
        """Share of every class among the pixels that count, (K,)."""
        first = int(self.void_zero)
        counts = self.stored[first : first + num_classes].astype(np.float64)
        return counts / max(1.0, counts.sum())

    def problems(self, num_classes: int) -> list[str]:
        """What does not fit together, with the option that would mend it."""
        found = []
        every = max(1, int(self.stored.sum()))
        used = np.flatnonzero(self.stored[:IGNORED])
        highest = int(used.max()) if used.size else -1
        zero = self.stored[0] / every
        if self.void_zero and self.stored[0] and highest == num_classes - 1:
            found.append(
                f'labels are stored as 0..{highest} and read as 1..{num_classes} with 0 = void: '
                f'every class would be shifted by one, {100 * zero:.0f} % of the pixels (label 0) '
                f'count nowhere and the last class never occurs. If 0 is a class, set '
                'void_zero=False in the data set.'
            )
        elif self.void_zero and zero > MOST_VOID:
            found.append(
                f'{100 * zero:.0f} % of the pixels have label 0, which is void here and counts '
                'nowhere. If it is the background, set void_zero=False in the data set and count '
                'it in num_classes.'
            )
        elif not self.void_zero and used.size and not self.stored[0] and highest < IGNORED:
            found.append(
                f'label 0 never occurs (labels are stored as {int(used.min())}..{highest}). If '
                'they begin at 1, with or without 0 = void, set void_zero=True in the data set.'
            )
        beyond = [int(v) for v in used if v - int(self.void_zero) >= num_classes]
        if beyond:
            found.append(
                f'labels {beyond} are stored, and there are {num_classes} classes'
                f'{" after 0 = void" if self.void_zero else ""}. Set num_classes, or void_zero.'
            )
        return found

    def never(self, num_classes: int) -> list[str]:
        """The classes that do not occur in what was counted."""
        names = list(self.classes) if len(self.classes) == num_classes else range(num_classes)
        return [str(n) for n, share in zip(names, self.shares(num_classes)) if not share]

    def __str__(self) -> str:
        stored = ', '.join(f'{v}: {n}' for v, n in enumerate(self.stored) if n)
        return f'{self.seen} of {self.total} label maps, pixels by stored label: {stored}'

    def table(self, num_classes: int) -> str:
        """Classes and their shares, in one line, and what never occurs."""
        names = list(self.classes) if len(self.classes) == num_classes else range(num_classes)
        shares = ', '.join(
            f'{name} {100 * share:.1f} %'
            for name, share in zip(names, self.shares(num_classes))
            if share
        )
        never = self.never(num_classes)
        return (
            f'labels of {self.seen} of {self.total} samples: {shares or "none"}'
            + (f'; never: {", ".join(never)}' if never else '')
        )  # fmt: skip
