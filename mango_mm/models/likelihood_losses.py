"""What a flow's likelihood adds to the losses of any model: its weight and its line in the log."""

from __future__ import annotations

from torch import Tensor

__all__ = ['likelihood_losses']


def likelihood_losses(nll_per_dim: Tensor | None, weight: float) -> dict[str, Tensor]:
    """``loss_nll``, weighted and to be minimised, and ``nll_per_dim``, for the log alone.

    Args:
        nll_per_dim: -ln p in nats per dimension of every sample, (B,); None: no density, no loss.
        weight: Of the loss. Eq. 13 of MANGO leaves it open.
    """
    if nll_per_dim is None:
        return {}
    mean = nll_per_dim.mean()
    return {'loss_nll': weight * mean, 'nll_per_dim': mean.detach()}
