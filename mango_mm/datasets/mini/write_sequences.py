"""Write generated sequences in the layout of ``TokenSequenceDataset``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mango_mm.datasets.mini.sequences import MODALITIES, make_sequence
from mango_mm.files import is_made, made_whole

__all__ = ['write_sequences']


def write_sequences(
    root: str | Path, *, train: int = 2000, val: int = 500, test: int = 500, seed: int = 0
) -> Path:
    """Write ``train.npz``, ``val.npz`` and ``test.npz``; nothing if exactly they are there.

    Args:
        root: Folder to write to.
        train: Samples for training.
        val: Samples for validation.
        test: Samples for testing.
        seed: Another seed, other samples.

    Returns:
        ``root``.

    Raises:
        ValueError: If a number is not positive, or ``root`` holds something else.
    """
    root = Path(root)
    if min(train, val, test) < 1:
        raise ValueError(f'numbers of samples must be positive; got {train}, {val}, {test}.')
    recipe = f'sequences {train} {val} {test} {seed} v1'
    if not is_made(root, recipe):
        with made_whole(root, recipe) as folder:
            first = seed * 1_000_003
            for split, count in (('train', train), ('val', val), ('test', test)):
                made = [make_sequence(first + i) for i in range(count)]
                first += count
                tables = {m: np.stack([s.tokens[m] for s in made]) for m in MODALITIES}
                lengths = {
                    f'{m}_length': np.array([s.lengths[m] for s in made]) for m in MODALITIES
                }
                label = np.array([s.label for s in made], np.float32)
                np.savez_compressed(folder / f'{split}.npz', label=label, **tables, **lengths)
    return root
