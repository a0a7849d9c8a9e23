"""Paths out of lists stay inside the data root."""

from __future__ import annotations

import os.path as osp
from pathlib import Path

__all__ = ['inside']


def inside(root: str | Path | None, path: str, where: str) -> str:
    """``path`` below ``root``; symbolic links inside the root may point where they like.

    Args:
        root: The data root; None: the working directory.
        path: Relative, as a list has it.
        where: The list and the line, for the error.

    Raises:
        ValueError: If the path is absolute, leaves the root, or holds a null character.
    """
    plain = osp.normpath(path)
    if '\0' in path or osp.isabs(path) or plain == '..' or plain.startswith('..' + osp.sep):
        raise ValueError(f'{where}: paths must stay inside {root or "."}; got {path!r}.')
    return osp.join(root or '', path)
