"""Lists and JSON from disk, with errors that name the file; paths in them stay inside the root."""

from __future__ import annotations

import json
import os.path as osp
from pathlib import Path
from typing import Any

__all__ = ['inside', 'read_json', 'read_lines']


def read_lines(path: str | Path) -> list[tuple[int, str]]:
    """The lines of a list that are not blank, with their numbers from 1, without outer spaces.

    Lines end where editors end them, not at every character that Unicode calls a separator:
    names of files may hold those.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not text in UTF-8.
    """
    text = _read_text(path)
    lines = text.replace('\r\n', '\n').replace('\r', '\n').split('\n')
    return [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]


def read_json(path: str | Path) -> Any:
    """What a JSON file holds.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not JSON in UTF-8.
    """
    try:
        return json.loads(_read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f'{path} must be JSON; {error}.') from error
    except RecursionError as error:
        raise ValueError(f'{path} must be JSON; it is nested too deeply.') from error


def _read_text(path: str | Path) -> str:
    try:
        return Path(path).read_bytes().decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} must be text in UTF-8; {error}.') from error


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
