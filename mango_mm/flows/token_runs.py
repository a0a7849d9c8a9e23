"""Taking sets of tokens out of a sequence and putting one of them back, cheaply.

A set of positions is a few runs of neighbours, read upwards or downwards. One
``split`` of the sequence at the ends of all runs gives views; a set is their
concatenation, and the way back is one concatenation. Then the backward pass is one
concatenation, too, where an index costs a scatter for every use. Sets of many runs
(even and odd positions) go through one permutation instead, whose gradient is the
permutation back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mango_mm.flows.tracing import is_transformed

__all__ = ['MAX_RUNS', 'Run', 'TokenRuns', 'find_runs']

MAX_RUNS = 8  # above this many, one permutation is cheaper than so many small copies
Run = tuple[int, int, bool]  # start, end, whether it is read downwards


def find_runs(positions: Sequence[int]) -> list[Run]:
    """The runs of neighbours that ``positions`` reads one after the other."""
    runs: list[Run] = []
    for position in positions:
        if runs:
            start, end, down = runs[-1]
            if position == end and (not down or end - start == 1):
                runs[-1] = (start, end + 1, False)
                continue
            if position == start - 1 and (down or end - start == 1):
                runs[-1] = (start - 1, end, True)
                continue
        runs.append((position, position + 1, False))
    return runs


class TokenRuns:
    """Two disjoint sets of positions as runs of one sequence.

    Args:
        fixed: The first set, in reading order.
        moved: The second set, in reading order.
    """

    def __init__(self, fixed: Sequence[int], moved: Sequence[int]) -> None:
        self.runs = find_runs(fixed), find_runs(moved)
        covered = max([*fixed, *moved], default=-1) + 1
        edges = sorted(
            {0, covered, *(edge for runs in self.runs for run in runs for edge in run[:2])}
        )
        pieces = list(zip(edges[:-1], edges[1:]))
        self.covered = covered
        self.sizes = [end - start for start, end in pieces]
        at = {start: index for index, (start, _) in enumerate(pieces)}
        # A run has no edge of another inside it: the sets are disjoint.
        self.places = tuple([(at[start], down) for start, _, down in runs] for runs in self.runs)
        self.moved_sizes = [end - start for start, end, _ in self.runs[1]]

    def __len__(self) -> int:
        return len(self.runs[0]) + len(self.runs[1])

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Both sets, and the pieces of the whole that :meth:`merge` wants."""
        pieces = x.split([*self.sizes, x.shape[1] - self.covered], dim=1)
        fixed, moved = (self._gather(x, pieces, places) for places in self.places)
        return fixed, moved, pieces

    def merge(self, pieces: Sequence[Tensor], moved: Tensor) -> Tensor:
        """The whole, with ``moved`` in the place of the second set."""
        whole = list(pieces)
        for (place, down), part in zip(self.places[1], moved.split(self.moved_sizes, dim=1)):
            whole[place] = part.flip(1) if down else part
        return torch.cat(whole, dim=1)

    @staticmethod
    def _gather(x: Tensor, pieces: Sequence[Tensor], places: list[tuple[int, bool]]) -> Tensor:
        parts = [pieces[place].flip(1) if down else pieces[place] for place, down in places]
        if not parts:
            return x[:, :0]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


class _Permute(torch.autograd.Function):
    """x[:, order]; its gradient is a permutation too, where indexing would scatter."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, order: Tensor, back: Tensor) -> Tensor:
        ctx.save_for_backward(order, back)
        return x.index_select(1, order)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None]:
        order, back = ctx.saved_tensors
        return permute(dy, back, order), None, None


def permute(x: Tensor, order: Tensor, back: Tensor) -> Tensor:
    """``x[:, order]`` where ``back`` is the inverse of the permutation ``order``."""
    if is_transformed(x):
        return x.index_select(1, order)
    return _Permute.apply(x, order, back)  # type: ignore[no-untyped-call]
