"""How FSDP cuts a model: one shard group per block of a flow, the rest in one."""

from __future__ import annotations

from typing import Any

from torch import nn

from mango_mm.flows import ActNorm, Chain
from mango_mm.registry import FUNCTIONS

__all__ = ['shard_blocks']


@FUNCTIONS.register_module()
def shard_blocks(
    module: nn.Module,
    recurse: bool,  # noqa: FBT001  # FSDP passes it by position
    nonwrapped_numel: int,
    **others: Any,
) -> bool:
    """FSDP's ``auto_wrap_policy`` for flows: gather, use and free one block after another.

    Encoders and heads stay whole, because toolboxes call their methods, which FSDP does not see.

    Args:
        module: Asked about.
        recurse: FSDP asks whether to look inside, not whether to wrap.
        nonwrapped_numel: Not used; FSDP passes it.
        others: Of FSDP's other versions.

    Raises:
        ValueError: If the flow has ActNorm, whose start from the first batch would be written
            into gathered weights and be lost.
    """
    if isinstance(module, ActNorm):
        raise ValueError(
            "FSDP cannot start ActNorm from data; leave 'actnorm' out of the recipe, or train with "
            'DistributedDataParallel.'
        )
    innermost = isinstance(module, Chain) and not any(
        isinstance(inner, Chain) for inner in module.modules() if inner is not module
    )
    return recurse or innermost
