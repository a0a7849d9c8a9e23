"""The contract of a fusion inside the blocks of a backbone: as many features out as in.

Where a :class:`~mango_mm.fusion.Fusion` makes one feature of many at the end, a block fusion
lets the streams exchange while they are computed. ``models.backbones.BlockFusionBackbone`` puts
it into any backbone. Shape letters: B batch, N tokens of a modality, D channels.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence

from torch import Tensor, nn

from mango_mm.flows import reset_tree

__all__ = ['BlockFusion']


class BlockFusion(nn.Module, abc.ABC):
    """Exchanges between the streams of several modalities at one place of a backbone.

    A subclass implements :meth:`forward` and nothing else, and is final.

    Args:
        modalities: Their names, in order; at least two.
        dim: Channels D of every modality's features.

    Raises:
        ValueError: If there are fewer than two distinct modalities.
    """

    def __init__(self, modalities: Sequence[str], dim: int) -> None:
        super().__init__()
        if len(modalities) < 2 or len(set(modalities)) != len(modalities):
            raise ValueError(
                f'{type(self).__name__} needs two modalities or more, each named once; '
                f'got {tuple(modalities)}.'
            )
        self.modalities = tuple(modalities)
        self.dim = dim

    @abc.abstractmethod
    def forward(
        self,
        features: Sequence[Tensor],
        *,
        entered: Sequence[Tensor] | None = None,
        scales: Sequence[Tensor] | None = None,
        masks: Sequence[Tensor] | None = None,
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """One exchange.

        Args:
            features: (B, N, D) of each modality, at the same positions.
            entered: What came into the block, before its normalisation, (B, N, D) each; None
                stands for ``features``.
            scales: Scale parameters of that normalisation, (D,) of each modality.
            masks: Real tokens, bool (B, N) of each modality; None: all.

        Returns:
            The features after it, and losses by name, weighted.
        """

    def reset_parameters(self) -> None:
        """Put every layer back to its start, for hosts that initialise from outside."""
        for child in self.children():
            reset_tree(child)
