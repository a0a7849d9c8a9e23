"""Names whose module is imported when one of them is built, and not before.

``mmagic.models`` takes seconds to import and brings dozens of packages, which a user of
mmsegmentation never needs.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any

from mango_mm.hosts import require_host
from mango_mm.registry import MODELS

__all__ = ['register_lazily']


def register_lazily(host: str, module: str, names: Iterable[str]) -> None:
    """Register ``names`` of ``module`` as functions that import it and build the class.

    A missing host is named, with the command to install it, when one is built.
    """
    for name in names:
        # Bound as a default: a closure over the loop variable would take the last name.
        def build(*args: Any, name: str = name, **options: Any) -> Any:
            require_host(host, name)
            return getattr(importlib.import_module(module), name)(*args, **options)

        build.__name__ = name
        MODELS.register_module(name=name, module=build)
