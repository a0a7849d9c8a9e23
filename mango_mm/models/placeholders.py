"""Names that cannot work without a missing host, and say so when they are built."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mango_mm.hosts import require_host
from mango_mm.registry import MODELS

__all__ = ['register_placeholders']


def register_placeholders(host: str, names: Iterable[str]) -> None:
    """Register ``names`` as classes whose constructor raises an ImportError.

    The error names the class asked for, the missing host and the command to install it.
    """
    for name in names:
        # Bound as a default: a closure over the loop variable would blame the last name.
        def build(self: Any, *_: Any, name: str = name, **__: Any) -> None:
            require_host(host, name)

        MODELS.register_module(name=name, module=type(name, (), {'__init__': build}))
