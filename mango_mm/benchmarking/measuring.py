"""How long, how much memory: measured side by side, so that only ratios are claimed.

Times of one machine drift by tens of percent from minute to minute. So the functions
under comparison take turns, and each turn gives one ratio; its median and quartiles are
the result.
"""

from __future__ import annotations

import ctypes
import gc
import platform
import random
import statistics
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable

import torch

__all__ = [
    'Spread',
    'count_flops',
    'describe_machine',
    'keep_freed_memory',
    'matmul_peak',
    'peak_bytes',
    'take_turns',
]

Work = Callable[[], Any]


class Spread(tuple[float, float, float]):
    """Lower quartile, median and upper quartile of some numbers."""

    @classmethod
    def of(cls, numbers: list[float]) -> Spread:
        if len(numbers) == 1:
            return cls((numbers[0],) * 3)
        low, median, high = statistics.quantiles(numbers, n=4, method='inclusive')
        return cls((low, median, high))

    @classmethod
    def of_ratios(cls, mine: list[float], reference: list[float]) -> Spread:
        """Of the ratios turn by turn."""
        return cls.of([m / r for m, r in zip(mine, reference)])

    @property
    def median(self) -> float:
        return self[1]

    def __str__(self) -> str:
        return f'{self[1]:.2f} ({self[0]:.2f}-{self[2]:.2f})'


def take_turns(
    works: Mapping[str, Work], *, device: str = 'cpu', rounds: int = 7, seconds: float = 2.0
) -> dict[str, list[float]]:
    """Run every function once per round and return the seconds of each.

    Args:
        works: What to run, by name. Each is run once before, untimed.
        device: Where they run; a GPU is waited for.
        rounds: Rounds at least.
        seconds: Go on until so much time has been spent, but for at most 20 times ``rounds``.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    names, order = list(works), random.Random(0)
    start, done = time.perf_counter(), 0
    while done < rounds or (time.perf_counter() - start < seconds and done < 20 * rounds):
        for name in names:
            _wait(device)
            begin = time.perf_counter()
            works[name]()
            _wait(device)
            times[name].append(time.perf_counter() - begin)
        # Caches are warm from whoever went before: let it not always be the same one.
        order.shuffle(names)
        done += 1
    return times


def _wait(device: str) -> None:
    if device.startswith('cuda'):
        torch.cuda.synchronize()


def peak_bytes(work: Work, *, device: str = 'cpu') -> int:
    """The most memory that ``work`` had allocated at any one time, beyond what was there.

    On a CPU the allocations of torch's operators are added up, which is exact and does
    not depend on what the allocator hands back to the system; on a GPU the caching
    allocator is asked.
    """
    gc.collect()
    if device.startswith('cuda'):
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        work()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    activities = [torch.profiler.ProfilerActivity.CPU]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the profiler tells how to keep several cycles
        with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
            work()
    now = top = 0
    for event in profile.profiler.kineto_results.events():  # type: ignore[union-attr]
        if event.name() == '[memory]':
            now += event.nbytes()
            top = max(top, now)
    return top


def count_flops(work: Work) -> int:
    """Floating-point operations of ``work``: two per multiply-add of products and attention.

    Counted by torch's dispatcher. What it does not know counts as nothing: element-wise
    operations, and triangular solves.
    """
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False, custom_mapping=_cpu_flash_flops()) as counter:
        work()
    return int(counter.get_total_flops())


def _cpu_flash_flops() -> dict[Any, Any]:
    """Formulas for the CPU's flash attention, which torch's counter lacks; causal is half."""
    aten = torch.ops.aten

    def forward(q: Any, k: Any, v: Any, *rest: Any, **_: Any) -> int:
        batch, heads, n, d = q
        causal = len(rest) > 1 and rest[1]  # after the dropout probability
        return 4 * batch * heads * n * k[2] * d // (2 if causal else 1)

    def backward(do: Any, q: Any, k: Any, v: Any, o: Any, lse: Any, *rest: Any, **_: Any) -> int:
        return forward(q, k, v, *rest) * 5 // 2

    return {
        aten._scaled_dot_product_flash_attention_for_cpu: forward,
        aten._scaled_dot_product_flash_attention_for_cpu_backward: backward,
    }


def matmul_peak(device: str = 'cpu', dtype: torch.dtype = torch.float32) -> float:
    """Floating-point operations per second of a large matrix product, here and now."""
    n = 2048 if device == 'cpu' else 8192
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    times = take_turns({'matmul': lambda: a @ b}, device=device, rounds=5, seconds=0.5)['matmul']
    return 2.0 * n**3 / min(times)


def describe_machine(device: str = 'cpu') -> dict[str, Any]:
    """Processor, threads and versions, for the head of a table."""
    name = platform.processor() or platform.machine()
    info = Path('/proc/cpuinfo')
    if info.is_file():
        lines = [line.split(':', 1) for line in info.read_text().splitlines() if ':' in line]
        fields = {key.strip(): value.strip() for key, value in lines}
        flags = fields.get('flags', '').split()
        best = next((f for f in ('avx512f', 'avx2') if f in flags), 'no AVX2')
        name = f'{fields.get("model name", name)} ({best})'
    machine: dict[str, Any] = {
        'device': torch.cuda.get_device_name() if device.startswith('cuda') else name,
        'threads': torch.get_num_threads(),
        'torch': torch.__version__,
        'python': platform.python_version(),
        'date': time.strftime('%Y-%m-%d'),
        'matmul_gflops': round(matmul_peak(device) / 1e9, 1),
    }
    return machine


def keep_freed_memory() -> bool:
    """Let glibc keep what is freed instead of returning it to the system at once.

    Every training step frees and asks for the same gigabytes; each page that comes back
    from the system costs a fault. Returns False where there is no glibc.
    """
    if not sys.platform.startswith('linux'):
        return False
    try:
        mallopt = ctypes.CDLL('libc.so.6').mallopt
    except (OSError, AttributeError):  # musl and others
        return False
    trim_threshold, mmap_max = -1, -4  # of <malloc.h>
    return bool(mallopt(mmap_max, 0) and mallopt(trim_threshold, 2**31 - 1))
