"""Fits the density of a trust to the windows of training samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Callable

import torch
from torch import Tensor

from mango_mm.explicit.trust import SensorTrust

__all__ = ['fit_trust']

WEIGHT_DECAY = 0.05


def fit_trust(
    trust: SensorTrust,
    described: Mapping[str, Tensor],
    iterations: int,
    batch_size: int = 16,
    learning_rate: float = 2e-3,
    seed: int = 0,
    progress: Callable[[range], Iterable[int]] = iter,
) -> None:
    """Fit a trust's density to windows of training samples; the descriptors are fitted before.

    Args:
        trust: Its density is started anew.
        described: (N, W, F) of each modality.
        iterations: Batches.
        batch_size: Samples of each.
        learning_rate: The highest of AdamW's one-cycle schedule.
        seed: Of the start, the order and the noise.
        progress: Put around the iterations, as ``tqdm`` is.

    Raises:
        FloatingPointError: If the loss stops being finite.
    """
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    trust.density.flow.reset_parameters()
    with torch.no_grad():
        tokens = trust.tokens(described)
    trust.density.requires_grad_(requires_grad=True)
    trust.density.flow.reduce.requires_grad_(requires_grad=False)  # nothing is fused here
    parameters = [p for p in trust.density.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, learning_rate, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, iterations)
    count = len(next(iter(tokens.values())))
    trust.density.train()
    with torch.enable_grad():
        for iteration in progress(range(iterations)):
            rows = torch.randint(count, (batch_size,), generator=generator)
            loss = trust.density.loss({m: x[rows] for m, x in tokens.items()})
            if not torch.isfinite(loss):
                raise FloatingPointError(
                    f'the loss of the trust is {float(loss.detach())} at iteration '
                    f'{iteration + 1}; lower its learning_rate.'
                )
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
    optimizer.zero_grad()
    trust.density.requires_grad_(requires_grad=False).eval()
