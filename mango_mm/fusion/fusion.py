"""The contract of every fusion: tokens of all modalities in, one feature out.

Shape letters: B batch, N_m tokens of modality m, D channels in, E channels out.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mango_mm.flows import reset_tree

__all__ = ['Fusion', 'FusionOutput', 'fusions_of']


@dataclasses.dataclass
class FusionOutput:
    """What a fusion returns.

    Attributes:
        fused: The fused feature, (B, N, E). N is the tokens of one modality, or of
            all together where the modalities differ in length.
        mask: Real tokens of ``fused``, bool (B, N); None: all.
        log_prob: ln p of the fused tokens in nats, summed, (B,); None where a
            fusion has no density.
        num_dims: Dimensions of that density, (B,).
        latents: The tokens of each modality after fusion, (B, N_m, D) each.
        losses: Losses of the fusion's own, to be minimised too, by name.
        extras: Anything else a fusion wants to show.
    """

    fused: Tensor
    mask: Tensor | None = None
    log_prob: Tensor | None = None
    num_dims: Tensor | None = None
    latents: dict[str, Tensor] = dataclasses.field(default_factory=dict)
    losses: dict[str, Tensor] = dataclasses.field(default_factory=dict)
    extras: dict[str, Any] = dataclasses.field(default_factory=dict)

    def nll_per_dim(self) -> Tensor | None:
        """-ln p in nats per dimension, (B,), or None without a density."""
        if self.log_prob is None or self.num_dims is None:
            return None
        return -self.log_prob / self.num_dims.clamp(min=1)


class Fusion(nn.Module, abc.ABC):
    """Fuses the tokens of several modalities.

    A subclass implements :meth:`forward` and nothing else, and is final.

    Attributes:
        lengths: Tokens of each modality that it was built for; None: any.

    Args:
        modalities: Their names, in token order; at least one.
        dim: Channels D of every modality's tokens.
        out_dim: Channels E of the fused feature; None: D.

    Raises:
        ValueError: If a modality is named twice or none is.
    """

    def __init__(self, modalities: Sequence[str], dim: int, out_dim: int | None = None) -> None:
        super().__init__()
        if not modalities or len(set(modalities)) != len(modalities):
            raise ValueError(f'modalities must be distinct names; got {tuple(modalities)}.')
        self.modalities = tuple(modalities)
        self.lengths: tuple[int, ...] | None = None
        self.dim = dim
        self.out_dim = dim if out_dim is None else out_dim

    @abc.abstractmethod
    def forward(
        self,
        features: Mapping[str, Tensor],
        *,
        masks: Mapping[str, Tensor] | None = None,
        grid: tuple[int, int] | None = None,
    ) -> FusionOutput:
        """Fuse one batch.

        Args:
            features: Tokens of each modality, (B, N_m, D).
            masks: Real tokens of each modality, bool (B, N_m). A modality left out
                has no padding.
            grid: Height and width in tokens, where every modality is a map of that
                size, N_m = height * width, rows first.
        """

    def reset_parameters(self) -> None:
        """Put every layer back to its start, zeros and gates included.

        For hosts that initialise a whole model from outside: call it last.
        """
        for child in self.children():
            reset_tree(child)

    def check(
        self, features: Mapping[str, Tensor], masks: Mapping[str, Tensor] | None
    ) -> list[Tensor]:
        """The tokens in the order of ``modalities``, after checking their shapes.

        Raises:
            KeyError: If a modality is missing.
            ValueError: If channels, batch sizes or masks do not fit.
        """
        missing = [m for m in self.modalities if m not in features]
        if missing:
            raise KeyError(
                f'{type(self).__name__} fuses {self.modalities}; the input lacks {missing} '
                f'(it has {list(features)}).'
            )
        tokens = [features[m] for m in self.modalities]
        for name, x in zip(self.modalities, tokens):
            if x.dim() != 3 or x.shape[2] != self.dim or x.shape[0] != tokens[0].shape[0]:
                raise ValueError(
                    f'{type(self).__name__} needs tokens (B, N, {self.dim}) of one batch size; '
                    f'got {tuple(x.shape)} for {name!r}.'
                )
            mask = (masks or {}).get(name)
            if mask is not None and (mask.dtype != torch.bool or mask.shape != x.shape[:2]):
                raise ValueError(
                    f'the mask of {name!r} must be bool {tuple(x.shape[:2])}; '
                    f'got {mask.dtype} {tuple(mask.shape)}.'
                )
        return tokens

    def joint_mask(
        self, tokens: Sequence[Tensor], masks: Mapping[str, Tensor] | None
    ) -> Tensor | None:
        """One mask over the tokens of all modalities, (B, sum N_m), or None."""
        if not masks or not any(m in masks for m in self.modalities):
            return None
        return torch.cat(
            [
                masks[m] if m in masks else x.new_ones(x.shape[:2], dtype=torch.bool)
                for m, x in zip(self.modalities, tokens)
            ],
            dim=1,
        )


def fusions_of(model: nn.Module) -> list[Fusion]:
    """The fusions of several modalities in a model, in the order of its layers.

    Raises:
        TypeError: If there is none.
    """
    found = [m for m in model.modules() if isinstance(m, Fusion) and len(m.modalities) > 1]
    if not found:
        raise TypeError(f'{type(model).__name__} has no fusion of several modalities.')
    return found
