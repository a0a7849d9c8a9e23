"""Finding and loading checkpoints; loading one never runs code that is in it."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from mmengine.model import is_model_wrapper
from mmengine.runner import CheckpointLoader, load_checkpoint

__all__ = ['find_checkpoint', 'load_safely', 'load_weights', 'said_of', 'unwrapped']


SAFETENSORS = '.safetensors'


def load_safely(filename: str | Path, map_location: Any = None) -> Any:
    """Read a checkpoint by torch's safe loader, which builds tensors and plain values alone.

    Or, if it is called so, a file of safetensors, which holds nothing else.

    Importing this module makes it mmengine's loader of local files, for resuming, testing and
    ``init_cfg`` alike: mmengine asks for torch's default, which before torch 2.6 runs whatever
    code a file brings.

    Args:
        filename: A local file.
        map_location: The same as of ``torch.load``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no checkpoint, a truncated one, or holds anything else.
    """
    path = Path(filename).expanduser()
    if not path.is_file():
        how = '; tools/prepare/encoders.py installs encoders' if path.suffix == SAFETENSORS else ''
        raise FileNotFoundError(f'checkpoint {path} does not exist{how}.')
    try:
        if path.suffix == SAFETENSORS:
            from safetensors.torch import load_file

            return load_file(path, device=str(map_location or 'cpu'))
        return torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        reason = next((x for x in str(error).splitlines() if 'nsupported' in x), str(error))
        raise ValueError(
            f'the checkpoint {path} holds more than tensors and plain values and is not loaded, '
            f'because that could run code. If you trust who made it, load it yourself with '
            f'torch.load(..., weights_only=False) and save its state_dict alone. '
            f'({" ".join(reason.split())[:200]})'
        ) from error
    except Exception as error:  # a broken archive ends in anything
        raise ValueError(
            f'the checkpoint {path} ({path.stat().st_size} bytes) cannot be read; was it copied '
            f'in full? ({" ".join(str(error).split())[:200]})'
        ) from error


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """:func:`load_safely` under the name that mmengine's log prints a part of."""
    return load_safely(filename, map_location)


CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)


def find_checkpoint(path: str | Path) -> str:
    """A checkpoint file; ``WORK_DIR/latest`` or ``WORK_DIR`` mean the newest in a work dir.

    Raises:
        FileNotFoundError: If there is none.
    """
    path = given = Path(path)
    folder = path.parent if path.name in ('latest', 'latest.pth') and not path.exists() else path
    if folder.is_dir():
        pointer = folder / 'last_checkpoint'
        if not pointer.is_file():
            raise FileNotFoundError(
                f'{folder} holds no last_checkpoint; has a run saved one there?'
            )
        named = pointer.read_text(errors='replace').strip()
        if not named:
            raise FileNotFoundError(f'{pointer} is empty; name a checkpoint file instead.')
        path = folder / Path(named).name  # mmengine keeps the old path where a work dir is copied
        if not path.is_file():
            path = Path(named)
    if not path.is_file():
        named = '' if path == given else f' ({given} names it)'
        raise FileNotFoundError(f'checkpoint {path} does not exist{named}.')
    return str(path)


def load_weights(model: torch.nn.Module, checkpoint: str | Path) -> None:
    """Load a checkpoint that must fit, key by key; mmengine would only log what does not.

    Args:
        model: Built from the config of the checkpoint.
        checkpoint: The same as in :func:`find_checkpoint`.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is of another model; names the first keys that do not fit.
    """
    path = find_checkpoint(checkpoint)
    with said_of(path):
        load_checkpoint(model, path, map_location='cpu', strict=True)


@contextlib.contextmanager
def said_of(path: str | Path) -> Iterator[None]:
    """Turns torch's error over keys that do not fit into one that names the file.

    Raises:
        ValueError: In the place of torch's RuntimeError.
    """
    try:
        yield
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ValueError(
            f"the checkpoint {path} is not of this config's model: {' '.join(lines)[:400]}"
        ) from error


def unwrapped(model: torch.nn.Module) -> torch.nn.Module:
    """The model inside a wrapper for several processes, or the model."""
    return model.module if is_model_wrapper(model) else model  # type: ignore[return-value]
