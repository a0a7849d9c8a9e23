"""Files that are there whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

__all__ = ['PARTIAL', 'WholeFileBackend', 'remove_partial_files', 'write_whole']

PARTIAL = '.partial'  # how the name of a file ends that is still being written


def write_whole(path: str | Path, content: bytes) -> None:
    """Write beside the file, flush to the disk, then rename: a kill leaves the old or the new.

    Args:
        path: Its folder is made if need be.
        content: All of it.

    Raises:
        OSError: If the disk is full or the folder cannot be written to; says how much was
            needed and how much is free. What was at ``path`` before is untouched.
    """
    path = Path(path)
    beside = path.with_name(f'.{path.name}.{os.getpid()}{PARTIAL}')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, 'wb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
        _flush_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise OSError(error.errno, _explain(error, path, len(content)), str(path)) from error


def _flush_folder(folder: Path) -> None:
    """The rename itself reaches the disk; not every file system lets one ask for it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _explain(error: OSError, path: Path, size: int) -> str:
    free = ''
    with contextlib.suppress(OSError):
        free = f', {shutil.disk_usage(path.parent).free / 1e6:.1f} MB are free'
    return (
        f'{error.strerror}: writing it takes {size / 1e6:.1f} MB{free}. Nothing that was saved '
        'before is lost: make room and go on with --resume'
    )


def remove_partial_files(folder: str | Path) -> list[str]:
    """Remove what writers that were killed left behind.

    Args:
        folder: Where checkpoints are; no other run may be writing there.

    Returns:
        The names removed.
    """
    left = sorted(Path(folder).glob(f'.*{PARTIAL}'))
    for path in left:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return [p.name for p in left]


class WholeFileBackend(LocalBackend):
    """mmengine's local files, written by :func:`write_whole`."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        write_whole(filepath, obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        write_whole(filepath, obj.encode(encoding))


register_backend('mango_mm.whole_files', WholeFileBackend, force=True)
