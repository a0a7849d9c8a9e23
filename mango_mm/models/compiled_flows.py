"""``compile=`` of a neck, classifier or translator: torch.compile of the flows in it.

A flow is many small operators. On small token grids their number, not their size, is what takes
the time, and a compiled flow joins them; see docs/performance.md for when it pays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mango_mm.fusion import MangoFusion

__all__ = ['compile_flows']


def compile_flows(
    fusions: Iterable[Any],
    options: bool | Mapping[str, Any],  # noqa: FBT001  # a config's value
) -> int:
    """Compile the flow of every ``MangoFusion``, in place: names and checkpoints stay.

    The forward pass is compiled, when it first runs; the inverse is not. Other fusions stay as
    they are, so that swapping the fusion of a config is still one line.

    Args:
        fusions: Of a model.
        options: True, or options of ``torch.compile`` (``backend``, ``mode``, ...); False: nothing.

    Returns:
        How many flows were compiled.

    Raises:
        TypeError: If ``options`` is neither a bool nor a dict.
    """
    if not isinstance(options, (bool, Mapping)):
        raise TypeError(
            f'compile must be True, False or a dict of options of torch.compile; got {options!r}.'
        )
    if options is False:
        return 0
    chosen = {} if options is True else dict(options)
    flows = [fusion.flow for fusion in fusions if isinstance(fusion, MangoFusion)]
    for flow in flows:
        flow.compile(**chosen)
    return len(flows)
