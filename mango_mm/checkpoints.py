"""Finding and loading checkpoints."""

from __future__ import annotations

from pathlib import Path

import torch
from mmengine.runner import load_checkpoint

__all__ = ['find_checkpoint', 'load_weights']


def find_checkpoint(path: str | Path) -> str:
    """A checkpoint file; ``WORK_DIR/latest`` or ``WORK_DIR`` mean the newest in a work dir.

    Raises:
        FileNotFoundError: If there is none.
    """
    path = Path(path)
    folder = path.parent if path.name in ('latest', 'latest.pth') and not path.exists() else path
    if folder.is_dir():
        pointer = folder / 'last_checkpoint'
        if not pointer.is_file():
            raise FileNotFoundError(
                f'{folder} holds no last_checkpoint; has a run saved one there?'
            )
        path = Path(pointer.read_text().strip())
        if not path.exists():  # the work dir was moved
            path = folder / path.name
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {path} does not exist.')
    return str(path)


def load_weights(model: torch.nn.Module, checkpoint: str | Path) -> None:
    """Load a checkpoint that must fit, key by key; mmengine would only log what does not.

    Args:
        model: Built from the config of the checkpoint.
        checkpoint: As in :func:`find_checkpoint`.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is of another model; names the first keys that do not fit.
    """
    path = find_checkpoint(checkpoint)
    try:
        load_checkpoint(model, path, map_location='cpu', strict=True)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ValueError(
            f"the checkpoint {path} is not of this config's model: {' '.join(lines)[:400]}"
        ) from error
