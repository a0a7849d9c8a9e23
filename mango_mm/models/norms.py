"""Modalities that share all weights of a network but its normalisation layers.

Two ways: one network for a batch that holds all modalities, its norms made private; or one
network per modality, all parameters but the norms' tied.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ['PrivateNorm', 'make_norms_private', 'share_all_but_norms']

NORMS = (
    nn.LayerNorm,
    nn.GroupNorm,
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
)


class PrivateNorm(nn.Module):
    """M copies of a normalisation layer, one for each modality's part of the batch.

    Args:
        norm: The layer to copy.
        count: M. The batch holds the modalities one after the other, M parts of one size.
    """

    def __init__(self, norm: nn.Module, count: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(copy.deepcopy(norm) for _ in range(count))

    def forward(self, x: Tensor) -> Tensor:
        """Each part through its own layer; shape unchanged."""
        parts = x.chunk(len(self.norms))
        return torch.cat([norm(part) for norm, part in zip(self.norms, parts)])

    def scales(self) -> list[Tensor]:
        """The scale parameters of every modality, (D,) each.

        Raises:
            TypeError: If the layer has none.
        """
        found = [getattr(norm, 'weight', None) for norm in self.norms]
        if any(scale is None for scale in found):
            raise TypeError(f'{self.norms[0]} has no scale parameters.')
        return found  # type: ignore[return-value]  # none is None

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        """Weights of the plain layer, as in any pretrained backbone, fit every copy."""
        for key in [k for k in state_dict if k.startswith(prefix)]:
            name = key[len(prefix) :]
            if '.' not in name:
                value = state_dict.pop(key)
                for i in range(len(self.norms)):
                    state_dict[f'{prefix}norms.{i}.{name}'] = value
        super()._load_from_state_dict(state_dict, prefix, *others)


def make_norms_private(network: nn.Module, count: int) -> None:
    """Replace every normalisation layer of a network by one per modality."""
    for parent in list(network.modules()):
        if isinstance(parent, PrivateNorm):
            continue
        for name, child in list(parent.named_children()):
            if isinstance(child, NORMS):
                setattr(parent, name, PrivateNorm(child, count))


def share_all_but_norms(networks: Sequence[nn.Module]) -> None:
    """Tie the parameters of networks of one architecture, except the normalisation layers'."""
    first, *others = networks
    for other in others:
        for path, module in other.named_modules():
            if isinstance(module, NORMS):
                continue
            original = first.get_submodule(path)
            for name, _ in list(module.named_parameters(recurse=False)):
                setattr(module, name, getattr(original, name))
