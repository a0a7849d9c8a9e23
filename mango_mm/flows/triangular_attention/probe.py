"""May a flash kernel be trusted on this device? Measured once, against the definition.

Private operators come and go, and have been silently wrong (a log-sum-exp off by ln 2 in
one backend). So before the first use on a device and dtype, outputs, log-sum-exp and all
gradients are compared with the dense kernel in float64, with and without padding, at sizes
below and above the kernels' own blocks. If anything differs or fails, the chunked
kernel runs instead, and one line in the log says so.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Callable

import torch
from torch import Tensor

from mango_mm.flows.tracing import constant_in_traces
from mango_mm.flows.triangular_attention.flash import KERNELS
from mango_mm.flows.triangular_attention.fused import mix_fused
from mango_mm.flows.triangular_attention.reference import mix_dense

__all__ = ['forget', 'is_trusted', 'measure_error']

Mix = Callable[..., tuple[Tensor, Tensor]]

logger = logging.getLogger(__name__)

# Relative, in the largest norm; measured: 4e-7 and 1e-15 on CPU. ln 2 would be above 0.1.
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
SIZES = (5, 777)  # tokens; kernels cut at 32 to 512
CHANNELS = 16

_verdicts: dict[tuple[str, torch.dtype], bool] = {}


@constant_in_traces
def is_trusted(device_type: str, dtype: torch.dtype) -> bool:
    """Whether the fused kernel of this device and dtype exists and is right."""
    key = (device_type, dtype)
    if key not in KERNELS:
        return False
    if key not in _verdicts:
        if type(torch.empty(1)) is not torch.Tensor:
            return False  # inside a tracer there are no numbers to compare; ask again later
        # In a thread of its own: the first use may be inside gradient checkpointing, whose hooks
        # would count what the probe saves for its own backward pass among the model's.
        with ThreadPoolExecutor(1) as pool:
            _verdicts[key] = pool.submit(_probe, device_type, dtype).result()
    return _verdicts[key]


def forget() -> None:
    """Forget all verdicts, so that the next use measures again."""
    _verdicts.clear()


def _probe(device_type: str, dtype: torch.dtype) -> bool:
    try:
        error = measure_error(device_type, dtype)
    except Exception as failure:  # noqa: BLE001  # a private operator may fail in any way
        reason = f'it failed ({type(failure).__name__}: {str(failure).splitlines()[0]})'
    else:
        if error <= TOLERANCE[dtype]:
            return True
        reason = f'it is off by {error:.1e} (allowed {TOLERANCE[dtype]:.0e})'
    logger.warning(
        'mango_mm: no fused attention on %s in %s: %s; the chunked kernel runs instead.',
        device_type, dtype, reason,
    )  # fmt: skip
    return False


def measure_error(device_type: str, dtype: torch.dtype) -> float:
    """The largest relative error of anything the fused path returns."""
    kernel = KERNELS[device_type, dtype]
    errors: list[Tensor] = []
    plain = torch.autocast(device_type, enabled=False)
    with torch.inference_mode(mode=False), torch.enable_grad(), plain:
        for n in SIZES:
            q, k, x, dy, c, gate = _example(n, device_type, dtype)
            masks: list[Tensor | None] = [None]
            if kernel.takes_mask:
                masks.append((torch.arange(2 * n, device=device_type) % 7 > 1).view(2, n))
            for mask in masks:
                errors += _compare(q, k, x, gate, mask, dy, c)
    return float(torch.stack(errors).max())


def _example(n: int, device: str, dtype: torch.dtype) -> list[Tensor]:
    # Sines instead of random numbers, so that nobody's generator is moved.
    wave = torch.arange(4 * 2 * 2 * n * CHANNELS, dtype=torch.float64, device=device)
    wave = torch.sin(wave * wave % 1009).view(4, 2, n, 2, CHANNELS).transpose(2, 3)
    q, k, x, dy = wave.to(dtype)
    gate = torch.tensor([0.9, -0.4], dtype=dtype, device=device)
    return [q, k, x, dy, 3 * dy[..., 1], gate]


def _compare(
    q: Tensor, k: Tensor, x: Tensor, gate: Tensor, mask: Tensor | None, dy: Tensor, c: Tensor
) -> list[Tensor]:
    real = None if mask is None else mask[:, None, :]
    results = []
    ways: list[tuple[Mix, torch.dtype]] = [(mix_fused, q.dtype), (mix_dense, torch.float64)]
    for mix, dtype in ways:
        leaves = [t.detach().to(dtype).requires_grad_() for t in (q, k, x, gate)]
        y, log_diagonal = mix(*leaves, mask)
        if real is not None:
            y = torch.where(real[..., None], y, 0.0)
            log_diagonal = torch.where(real, log_diagonal, 0.0)
        gradients = torch.autograd.grad([y, log_diagonal], leaves, [dy.to(dtype), c.to(dtype)])
        results.append([y.detach(), log_diagonal.detach(), *gradients])
    return [_relative(got, wanted) for got, wanted in zip(*results)]


def _relative(got: Tensor, wanted: Tensor) -> Tensor:
    return (got.double() - wanted).abs().max() / wanted.abs().max()
