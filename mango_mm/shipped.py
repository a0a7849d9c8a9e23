"""Where configs and tools are: in a checkout, or in the installed package. Needs nothing."""

from __future__ import annotations

from pathlib import Path

__all__ = ['shipped']


def shipped(path: str) -> Path:
    """A file or folder that comes along, from ``configs`` or ``tools`` on: of a checkout, or of
    the installed package, where MIM puts it.

    Raises:
        FileNotFoundError: If the package was installed without it.
    """
    package = Path(__file__).parent
    for base in (package / '.mim', package.parent):
        if (base / path).exists():
            return base / path
    raise FileNotFoundError(f'{path} is neither in {package / ".mim"} nor in {package.parent}.')
