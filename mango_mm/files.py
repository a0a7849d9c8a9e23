"""The doors to the disk: lists, JSON, pictures, HDF5, folders that are there whole or not at all.

What comes in from a file is untrusted: names in it stay inside the root, a picture starts no
program, an HDF5 file reads no other. Every error names the file, what was required and what came.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import math
import os
import os.path as osp
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, UnidentifiedImageError

__all__ = [
    'append_line',
    'component',
    'decode_image',
    'inside',
    'is_made',
    'locked',
    'made_whole',
    'open_hdf5',
    'own_files',
    'read_image',
    'read_json',
    'read_json_lines',
    'read_lines',
]

# What data sets are made of. Pillow knows many more, one of which starts a program (EPS).
FORMATS = ('PNG', 'JPEG', 'TIFF', 'BMP', 'WEBP', 'PPM', 'GIF')
COMPLETE = 'complete.txt'  # in a folder made by us: what it was made by
MAX_TABLE = 2**30  # bytes that one table or row of an HDF5 file may ask for


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


def component(name: str, where: str) -> str:
    """``name``, if it can be the name of one folder below another.

    Args:
        name: As a file or an argument has it.
        where: For the error.

    Raises:
        ValueError: If it is empty, has a separator or a null character, or means another folder.
    """
    if not name or name in ('.', '..') or set(name) & set('/\\\0') or name.startswith('~'):
        raise ValueError(f'{where} must be the name of one folder; got {name!r}.')
    return name


def own_files(folder: str | Path, pattern: str) -> list[Path]:
    """The files in a folder that match a pattern, sorted.

    Raises:
        ValueError: If one is a link to a file outside: it might be anybody's.
    """
    folder = Path(folder)
    home, found = folder.resolve(), sorted(folder.glob(pattern))
    for path in found:
        if not path.resolve().is_relative_to(home):
            raise ValueError(f'{path} is a link to {path.resolve()}, outside of {folder}.')
    return found


CUT_TO_8_BITS = 'mango_mm cut to 8 bits'


def read_image(source: Any, what: str) -> Image.Image:
    """Open and fully decode a picture: the one opener there is.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not an image, is truncated, or claims more pixels than Pillow's
            bound against decompression bombs; names the file.
    """
    if not os.path.isfile(source):
        raise FileNotFoundError(f'the {what} file {source} does not exist.')
    try:
        with open(source, 'rb') as file:  # closed on errors too
            return _decoded(file, None)
    except Exception as error:  # its decoders raise anything on broken files
        raise ValueError(f'the {what} file {source} cannot be decoded: {error}.') from error


def decode_image(data: bytes, what: str, most_pixels: int) -> Image.Image:
    """A picture that somebody sent, by the same opener; decoded only if it is small enough.

    Raises:
        ValueError: If it is not an image, is truncated, or claims more than ``most_pixels``.
    """
    try:
        return _decoded(io.BytesIO(data), most_pixels)
    except Exception as error:
        said = 'it is no picture' if isinstance(error, UnidentifiedImageError) else str(error)
        raise ValueError(f'the {what} picture cannot be decoded: {said}.') from error


def _decoded(file: BinaryIO, most_pixels: int | None) -> Image.Image:
    image = Image.open(file, formats=FORMATS)
    if most_pixels is not None and image.width * image.height > most_pixels:
        raise ValueError(
            f'it claims {image.width} x {image.height} pixels, more than {most_pixels:,}'
        )
    # Pillow has no mode for colours of 16 bits, and cuts them to 8.
    cut = image.mode not in ('I', 'I;16') and ';16' in str([t[3] for t in image.tile])
    image.load()
    image.info[CUT_TO_8_BITS] = cut
    return image


@contextlib.contextmanager
def open_hdf5(path: str | Path, *keys: str) -> Iterator[Any]:
    """An HDF5 file, opened to read, whose tables ``keys`` are in the file itself.

    HDF5 can keep a table in other files, of any name: behind an external link, in external
    storage, or as a virtual data set. And it can claim any size.

    Args:
        path: The file.
        keys: Tables that will be read, where they are there.

    Raises:
        ValueError: If the file cannot be read, a table is elsewhere, or asks for too much memory.
    """
    import h5py

    try:
        file = h5py.File(path, 'r')
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(f'{path} cannot be read as HDF5: {error}.') from error
    with file:
        for key in keys:
            if key not in file and file.get(key, getlink=True) is None:
                continue
            link = file.get(key, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise ValueError(
                    f'{path}: {key!r} must be in the file itself; got a {type(link).__name__}.'
                )
            table = file[key]
            if not isinstance(table, h5py.Dataset):
                raise ValueError(f'{path}: {key!r} must be a table; got a {type(table).__name__}.')
            if table.external or table.is_virtual:
                how = 'external storage' if table.external else 'a virtual data set'
                raise ValueError(f'{path}: {key!r} must be in the file itself; got {how}.')
            row = math.prod(table.shape[1:]) * table.dtype.itemsize
            whole = math.prod(table.shape) * table.dtype.itemsize
            # Rows of images and features are read one by one, all other tables whole.
            if row > MAX_TABLE or (len(table.shape) <= 2 and row <= 4096 and whole > MAX_TABLE):
                raise ValueError(
                    f'{path}: {key!r} has {table.shape} {table.dtype}, which asks for more than '
                    f'{MAX_TABLE >> 20} MiB at a time.'
                )
        yield file


def append_line(path: str | Path, line: str) -> None:
    """Append a line in one write, behind a line that was cut off, if there is one."""
    path = Path(path)
    cut = b''
    if path.exists() and path.stat().st_size:
        with open(path, 'rb') as file:
            file.seek(-1, os.SEEK_END)
            cut = b'' if file.read(1) == b'\n' else b'\n'
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, cut + line.encode() + b'\n')
        os.fsync(handle)
    finally:
        os.close(handle)


def read_json_lines(path: str | Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The objects of a file with one a line, and what is said of lines that are none.

    A run that is killed leaves a line cut off; the others are whole.
    """
    found, said = [], []
    for number, line in read_lines(path):
        try:
            value = json.loads(line)
        except (json.JSONDecodeError, RecursionError):
            value = None
        if isinstance(value, dict):
            found.append(value)
        else:
            said.append(f'{path}, line {number}: left out, because it is no JSON object.')
    return found, said


@contextlib.contextmanager
def locked(path: str | Path, what: str, *, wait: bool = False) -> Iterator[None]:
    """Hold a lock file for a while; it is free again when the process ends, however it does.

    Args:
        path: Of the lock file, made if it is not there.
        what: For the error.
        wait: Until it is free, instead of an error.

    Raises:
        ValueError: If another process holds it.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'a') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise ValueError(f'{what} is in use by another process (lock {path}).') from error
        yield


def is_made(root: str | Path, recipe: str) -> bool:
    """Whether :func:`made_whole` has finished a folder by this recipe."""
    done = Path(root) / COMPLETE
    return done.is_file() and done.read_text() == recipe


@contextlib.contextmanager
def made_whole(root: str | Path, recipe: str) -> Iterator[Path]:
    """A new folder to write into, which takes the place of ``root`` when it is complete.

    Until then ``root`` is what it was. What an interrupted run has left is gone on with, if it was
    made by the same recipe, and removed otherwise.

    Args:
        root: The folder that is wanted.
        recipe: All that its content depends on; written into it as ``complete.txt``.

    Yields:
        The folder to write into.

    Raises:
        ValueError: If ``root`` is there and was not made by us, or is being made.
    """
    root = Path(root)
    if root.exists() and not root.is_dir():
        raise ValueError(f'{root} must be a folder to be written; it is a file.')
    if root.is_dir() and any(root.iterdir()) and not (root / COMPLETE).is_file():
        raise ValueError(
            f'{root} is there and not complete.txt in it, which this tool writes: it was made by '
            'something else, or by an earlier version. Remove it, or name another folder.'
        )
    begun = root.parent / f'.{root.name}.unfinished'
    with locked(root.parent / f'.{root.name}.lock', f'{root}'):
        note = begun / 'recipe.txt'
        if begun.exists() and not (note.is_file() and note.read_text() == recipe):
            shutil.rmtree(begun)
        begun.mkdir(parents=True, exist_ok=True)
        note.write_text(recipe)
        try:
            yield begun
        except BaseException:
            if [p.name for p in begun.iterdir()] == [note.name]:  # nothing to go on with
                shutil.rmtree(begun)
                (root.parent / f'.{root.name}.lock').unlink()
            raise
        note.replace(begun / COMPLETE)
        if root.exists():
            old = root.parent / f'.{root.name}.replaced'
            shutil.rmtree(old, ignore_errors=True)
            root.replace(old)
            begun.replace(root)
            shutil.rmtree(old)
        else:
            begun.replace(root)
    with contextlib.suppress(OSError):
        (root.parent / f'.{root.name}.lock').unlink()
