"""Token partitions: which positions condition and which move (MMCA, IMCA, halves).

An invertible layer lets some tokens (``fixed``) decide how others (``moved``)
are changed. Tokens come modality by modality, [a_1..a_n, b_1..b_m, ...]:

    MMCA  (Eq. 7-8)    fixed = all other modalities   moved = all of one modality
    IMCA  (Eq. 9-10)   fixed = one half of each       moved = the other half of each
    halves (LICA)      fixed = first half             moved = second half

For two modalities IMCA has four variants, one bit per modality: bit 0 lets the
first half condition. In the paper's order: ([A1,B1],[A2,B2]), ([A1,B2],[A2,B1]),
([A2,B1],[A1,B2]), ([A2,B2],[A1,B1]).

ICA needs as many conditioning as moved tokens, which the paper assumes. Where the
counts differ (77 words, 256 patches; odd halves; three modalities) the fixed tokens
are resampled to the moved ones: token i of n averages the fixed tokens
floor(i m / n) to ceil((i+1) m / n), the bins of adaptive average pooling. Every
fixed token takes part, equal counts are left as they are, and nothing is lost,
because only the conditioning is resampled: the fixed tokens themselves pass
unchanged. With a mask the bins count real tokens only, so padding has no effect.

Shape letters: B batch, N tokens, n moved tokens, m fixed tokens, D channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

from mango_mm.flows.token_runs import MAX_RUNS, TokenRuns, permute

__all__ = ['TokenPartition']


class TokenPartition(nn.Module):
    """Two disjoint sets of positions; the rest, if any, is left alone.

    Args:
        fixed: Positions that condition, in the order in which they are read.
        moved: Positions that are changed, in the order in which the triangular
            mask sees them.
        segments: Lengths of runs of ``fixed``, each of which is resampled to all
            moved tokens by itself before the runs are averaged. None: one run.

    Raises:
        ValueError: If a position occurs twice or is negative, or if the segments
            do not add up.

    Example:
        >>> partition = TokenPartition.mmca((2, 3), target=1)
        >>> partition.fixed.tolist(), partition.moved.tolist()
        ([0, 1], [2, 3, 4])
        >>> TokenPartition.imca((2, 4), variant=1).fixed.tolist()
        [0, 4, 5]
    """

    fixed: Tensor
    moved: Tensor
    order: Tensor
    back: Tensor

    def __init__(
        self, fixed: Sequence[int], moved: Sequence[int], *, segments: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        positions = [*fixed, *moved]
        if len(set(positions)) != len(positions) or min(positions, default=0) < 0:
            raise ValueError(
                'fixed and moved must be disjoint sets of non-negative positions; '
                f'got fixed {tuple(fixed)} and moved {tuple(moved)}.'
            )
        self.segments = tuple(segments) if segments is not None else (len(fixed),)
        if sum(self.segments) != len(fixed):
            raise ValueError(
                f'segments must add up to the {len(fixed)} fixed tokens; got {self.segments}.'
            )
        self.num_tokens = max(positions, default=-1) + 1
        self.register_buffer('fixed', torch.tensor(list(fixed), dtype=torch.long), persistent=False)
        self.register_buffer('moved', torch.tensor(list(moved), dtype=torch.long), persistent=False)
        self.runs = TokenRuns(fixed, moved)
        self.permutes = len(self.runs) > MAX_RUNS
        if self.permutes:  # [fixed, moved, others], so that each set is one run
            others = sorted(set(range(self.num_tokens)) - set(positions))
            order = torch.tensor([*positions, *others], dtype=torch.long)
            self.register_buffer('order', order, persistent=False)
            self.register_buffer('back', order.argsort(), persistent=False)
            cut = len(fixed)
            self.runs = TokenRuns(range(cut), range(cut, len(positions)))

    @classmethod
    def mmca(cls, lengths: Sequence[int], *, target: int, reverse: bool = False) -> TokenPartition:
        """Across modalities: all others condition, modality ``target`` moves."""
        _check_lengths(lengths)
        if not 0 <= target < len(lengths):
            raise ValueError(f'target must be one of {len(lengths)} modalities; got {target}.')
        blocks = _blocks(lengths)
        fixed = [i for m, block in enumerate(blocks) for i in block if m != target]
        segments = [n for m, n in enumerate(lengths) if m != target]
        return cls._ordered(fixed, blocks[target], segments, reverse=reverse)

    @classmethod
    def imca(
        cls,
        lengths: Sequence[int],
        *,
        variant: int,
        interleaved: bool = False,
        reverse: bool = False,
    ) -> TokenPartition:
        """Within modalities: one half of each conditions, the other half moves.

        Args:
            lengths: Tokens of each modality.
            variant: 0 to 3. For two modalities the paper's four, in its order.
                For M > 2: all first halves, alternating, its complement, all second.
            interleaved: Halves are even and odd positions (the authors' code)
                instead of first and second (the paper).
            reverse: Read both sets from the last token to the first.
        """
        _check_lengths(lengths)
        if not 0 <= variant < 4:
            raise ValueError(f'variant must be 0, 1, 2 or 3; got {variant}.')
        fixed: list[int] = []
        moved: list[int] = []
        for m, block in enumerate(_blocks(lengths)):
            first, second = _halves(block, interleaved=interleaved)
            second_conditions = variant == 3 or (
                variant in (1, 2) and (m % 2 == 1) == (variant == 1)
            )
            fixed += second if second_conditions else first
            moved += first if second_conditions else second
        return cls._ordered(fixed, moved, None, reverse=reverse)

    @classmethod
    def halves(
        cls, num_tokens: int, *, swap: bool = False, reverse: bool = False
    ) -> TokenPartition:
        """First half conditions, second half moves; ``swap``: the other way round."""
        _check_lengths([num_tokens])
        first, second = _halves(list(range(num_tokens)), interleaved=False)
        fixed, moved = (second, first) if swap else (first, second)
        return cls._ordered(fixed, moved, None, reverse=reverse)

    @classmethod
    def _ordered(
        cls,
        fixed: list[int],
        moved: list[int],
        segments: list[int] | None,
        *,
        reverse: bool,
    ) -> TokenPartition:
        if not reverse:
            return cls(fixed, moved, segments=segments)
        return cls(fixed[::-1], moved[::-1], segments=segments[::-1] if segments else None)

    def flipped(self) -> TokenPartition:
        """The same sets, read from the last token to the first."""
        return TokenPartition(
            self.fixed.tolist()[::-1], self.moved.tolist()[::-1], segments=self.segments[::-1]
        )

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Take both sets out of tokens (B, N, D), or of a mask (B, N).

        Returns:
            fixed: (B, m, D), in reading order.
            moved: (B, n, D), in reading order.
            pieces: The whole of ``x`` for :meth:`merge`.
        """
        if x.shape[1] < self.num_tokens:
            raise ValueError(
                f'this partition addresses {self.num_tokens} tokens; got {x.shape[1]}.'
            )
        if not self.permutes:
            return self.runs.split(x)
        rest = x[:, self.num_tokens :]
        fixed, moved, pieces = self.runs.split(
            permute(x[:, : self.num_tokens], self.order, self.back)
        )
        return fixed, moved, (*pieces[:-1], rest)

    def merge(self, pieces: Sequence[Tensor], moved: Tensor) -> Tensor:
        """The whole that was split, with its moved tokens replaced, (B, N, D)."""
        if not self.permutes:
            return self.runs.merge(pieces, moved)
        whole = self.runs.merge(pieces[:-1], moved)
        return torch.cat([permute(whole, self.back, self.order), pieces[-1]], dim=1)

    def place(self, terms: Tensor, length: int) -> Tensor:
        """One number per moved token, (B, n), at its position among ``length``; 0 elsewhere."""
        return terms.new_zeros(terms.shape[0], length).index_copy(1, self.moved, terms)

    def condition(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """The fixed tokens of ``x``, resampled to one per moved token, (B, n, D)."""
        return self.resample(self.split(x)[0], mask)

    def resample(self, fixed: Tensor, mask: Tensor | None = None) -> Tensor:
        """One token per moved token out of one per fixed token, (B, m, D) to (B, n, D)."""
        n = len(self.moved)
        if fixed.shape[1] == 0 or n == 0:
            return fixed.new_zeros(fixed.shape[0], n, fixed.shape[2])
        if mask is not None:
            return self._resample_real(fixed, mask)
        runs = [
            run if run.shape[1] == n else F.adaptive_avg_pool1d(run.mT, n).mT
            for run in fixed.split(self.segments, dim=1)
            if run.shape[1]
        ]
        return runs[0] if len(runs) == 1 else torch.stack(runs).mean(0)

    def _resample_real(self, fixed: Tensor, mask: Tensor) -> Tensor:
        fixed_mask, moved_mask, _ = self.split(mask)
        n_real = moved_mask.sum(1, keepdim=True).clamp(min=1)
        rank = (moved_mask.cumsum(1) - 1).clamp(min=0)
        total, runs = torch.zeros_like(fixed[:, :1]), torch.zeros_like(n_real)
        start = 0
        for length in self.segments:
            end = start + length
            real = fixed_mask[:, start:end]
            m_real = real.sum(1, keepdim=True)
            first = torch.div(rank * m_real, n_real, rounding_mode='floor')
            last = -torch.div(-(rank + 1) * m_real, n_real, rounding_mode='floor')
            at = (real.cumsum(1) - 1)[:, None, :]
            bins = (at >= first[..., None]) & (at < last[..., None]) & real[:, None, :]
            weights = bins.to(fixed.dtype)
            weights = weights / weights.sum(-1, keepdim=True).clamp(min=1)
            # where, not a product: padding may hold anything, NaN included.
            tokens = torch.where(real[..., None], fixed[:, start:end], 0.0)
            total = total + weights @ tokens
            runs = runs + (m_real > 0)
            start = end
        return total / runs.clamp(min=1)[..., None]

    def extra_repr(self) -> str:
        return f'{len(self.fixed)} fixed, {len(self.moved)} moved'


def _blocks(lengths: Sequence[int]) -> list[list[int]]:
    starts = [sum(lengths[:m]) for m in range(len(lengths))]
    return [list(range(s, s + n)) for s, n in zip(starts, lengths)]


def _halves(block: list[int], *, interleaved: bool) -> tuple[list[int], list[int]]:
    """Of an odd count, the first half has one more."""
    if interleaved:
        return block[0::2], block[1::2]
    cut = (len(block) + 1) // 2
    return block[:cut], block[cut:]


def _check_lengths(lengths: Sequence[int]) -> None:
    if len(lengths) == 0 or min(lengths) < 1:
        raise ValueError(f'every modality must have at least one token; got {tuple(lengths)}.')
