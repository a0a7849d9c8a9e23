"""Reduction: how the tokens of M modalities become one feature.

concat      W [z_1; ...; z_M] at every position      equal token counts
sum         W (z_1 + ... + z_M) at every position    equal token counts
sequence    W z for every token of every modality    any token counts
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ['Reduction']

HOW = ('concat', 'sum', 'sequence')


class Reduction(nn.Module):
    """Merges per-modality tokens, the last step of a fusion.

    Args:
        num_modalities: M.
        dim: Channels D of the tokens.
        out_dim: Channels E of the result.
        how: ``'concat'``, ``'sum'`` or ``'sequence'``.

    Raises:
        ValueError: If ``how`` is unknown.

    Example:
        >>> reduce = Reduction(2, dim=4, out_dim=6)
        >>> reduce([torch.randn(1, 5, 4), torch.randn(1, 5, 4)])[0].shape
        torch.Size([1, 5, 6])
    """

    def __init__(self, num_modalities: int, dim: int, out_dim: int, how: str = 'concat') -> None:
        super().__init__()
        if how not in HOW:
            raise ValueError(f'reduction must be one of {HOW}; got {how!r}.')
        self.how = how
        self.project = nn.Linear(num_modalities * dim if how == 'concat' else dim, out_dim)

    def forward(
        self, tokens: Sequence[Tensor], masks: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """The feature, (B, N, E), and its mask, (B, N) or None.

        Raises:
            ValueError: If positions have to match and the token counts differ.
        """
        if self.how == 'sequence':
            mask = None if masks is None else torch.cat(list(masks), dim=1)
            return self.project(torch.cat(list(tokens), dim=1)), mask
        lengths = [x.shape[1] for x in tokens]
        if len(set(lengths)) > 1:
            raise ValueError(
                f'reduction={self.how!r} needs as many tokens of each modality; got {lengths}. '
                "Use reduction='sequence'."
            )
        joint = torch.cat(list(tokens), dim=2) if self.how == 'concat' else sum(tokens)
        mask = None if masks is None else torch.stack(list(masks)).any(dim=0)
        return self.project(joint), mask
