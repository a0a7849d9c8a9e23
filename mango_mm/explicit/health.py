"""Is a flow still invertible? Numbers that go wrong before a training does.

round_trip        max |f^-1(f(x)) - x| / std(x): the inverse that the likelihood promises
log_det_spread    standard deviation over samples of ln|det| per dimension, in nats
gate              largest |g| of all ICA layers, below their gate_max
condition         sum over ICA layers of log10 of the bound (1 + |g|) / (1 - |g|) of the condition
                  number: an upper bound of the decimal digits that the flow may lose
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mango_mm.flows import Bijection, InvertibleCrossAttention

__all__ = ['first_flows', 'flow_health', 'layer_health']


@torch.no_grad()
def flow_health(flow: Bijection, x: Tensor, mask: Tensor | None = None) -> dict[str, float]:
    """The numbers of this module's table, for one flow and some of its inputs.

    The flow is evaluated as it stands, in evaluation mode, and left in the mode it was in.

    Args:
        flow: The bijection.
        x: Tokens that it has seen, (B, N, D).
        mask: Real tokens, (B, N).

    Returns:
        By name; ``log_det_spread`` only with two samples or more, ``gate`` and ``condition``
        only with ICA layers. NaN where the flow gave none that is finite.
    """
    training = flow.training
    flow.eval()
    try:
        z, log_det = flow(x, mask=mask)
        back, _ = flow.inverse(z, mask=mask)
    finally:
        flow.train(training)
    error, scale = (back - x).abs(), x
    if mask is not None:
        error, scale = error[mask], x[mask]
    found = {'round_trip': float(error.max() / scale.std().clamp(min=1e-12))}
    if len(x) > 1:
        dims = x[0].numel() if mask is None else mask.sum(dim=1).clamp(min=1) * x.shape[2]
        found['log_det_spread'] = float((log_det / dims).std())
    layers = [m for m in flow.modules() if isinstance(m, InvertibleCrossAttention)]
    if layers:
        found['gate'] = max(float(layer.gates().abs().max()) for layer in layers)
        found['condition'] = sum(
            math.log10(float(layer.condition_bound().max())) for layer in layers
        )
    return found


@torch.no_grad()
def layer_health(flow: Bijection) -> dict[str, dict[str, float]]:
    """``gate`` and ``condition`` of every ICA layer by itself, by its path in the flow."""
    return {
        path: {
            'gate': float(layer.gates().abs().max()),
            'condition': math.log10(float(layer.condition_bound().max())),
        }
        for path, layer in flow.named_modules()
        if isinstance(layer, InvertibleCrossAttention)
    }


def first_flows(model: nn.Module) -> dict[str, Bijection]:
    """The outermost bijections of a model, by the path of each."""
    found: dict[str, Bijection] = {}
    for path, module in model.named_modules():
        inside = any(path.startswith(f'{outer}.') or not outer for outer in found)
        if isinstance(module, Bijection) and not inside:
            found[path] = module
    return found
