"""What could be had: the mixture of the true state."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from mango_mm.explicit.sensor_states import state_names
from mango_mm.explicit.state_weights import StateWeights, mix

__all__ = ['oracle_mixture']


def oracle_mixture(
    probabilities: Tensor, weights: StateWeights, broken: Collection[str], *, blamable: bool = True
) -> Tensor:
    """The prediction of whoever is told which sensors are broken.

    Args:
        probabilities: (K, B, C, ...), experts and fused.
        weights: Of the states.
        broken: Modalities; none: all is well.
        blamable: False: told no more than one frame can show, that something is wrong.
    """
    names, count = state_names(weights.modalities), probabilities.shape[1]
    states = torch.zeros(count, len(names), dtype=torch.double)
    present = None
    if broken and not blamable and 'apart' in names:
        states[:, names.index('apart')] = 1
    elif broken and set(broken) != set(weights.modalities):
        states[:, names.index(f'{min(broken)} broken')] = 1
        present = torch.tensor([[m not in broken for m in weights.modalities]]).repeat(count, 1)
    else:
        states[:, 0] = 1
    return mix(probabilities, weights(states.to(probabilities), present))
