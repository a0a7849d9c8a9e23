"""The model zoo: small trained checkpoints that come with the package, by name.

They were trained on generated data (``tools/prepare/zoo.py`` makes them, and can again), so that
they hold nobody's data and a name works offline: ``MangoInferencer('mango-trust-rooms')``.
``zoo.json`` says of each its config, what it scored where, and the SHA-256 of its file.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import hashlib
import json
from pathlib import Path
from typing import Any

from mango_mm.shipped import shipped

__all__ = ['ZooModel', 'find_config', 'find_model', 'is_model_name', 'list_models']

FOLDER = Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class ZooModel:
    """A checkpoint of the zoo.

    Attributes:
        name: What it is asked for by.
        task: ``'segmentation'``, ``'movies'`` or ``'sequences'``.
        config: Of its training, from the folder ``configs`` on.
        data: How what it was trained on is generated.
        metric: Which score.
        score: What the file as shipped has on the test split of that data.
        sha256: Of the file.
        summary: One line for people.
    """

    name: str
    task: str
    config: str
    data: str
    metric: str
    score: float
    sha256: str
    summary: str

    @property
    def checkpoint(self) -> Path:
        """The file of its weights, float16.

        Raises:
            ValueError: If it is not the one that was published.
        """
        path = FOLDER / f'{self.name}.safetensors'
        if not path.is_file():
            raise FileNotFoundError(f'{path} does not exist; reinstall mango_mm.')
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != self.sha256:
            raise ValueError(
                f'{path} has SHA-256 {found[:16]}; the zoo lists {self.sha256[:16]}. '
                'Reinstall mango_mm, or make it again with tools/prepare/zoo.py.'
            )
        return path


@functools.cache
def _models() -> dict[str, ZooModel]:
    listed: dict[str, dict[str, Any]] = json.loads((FOLDER / 'zoo.json').read_text())
    return {name: ZooModel(name, **entry) for name, entry in listed.items()}


def list_models(pattern: str = '*', *, task: str | None = None) -> list[str]:
    """Names of the models that come with their weights.

    Args:
        pattern: Such as ``'mango*'``.
        task: Only those of this task; None: of any.

    Example:
        >>> list_models('mango-t*', task='segmentation')
        ['mango-trust-rooms']
    """
    return sorted(
        name
        for name, model in _models().items()
        if fnmatch.fnmatchcase(name, pattern) and task in (None, model.task)
    )


def is_model_name(given: object) -> bool:
    """True of a word that can only be meant as a model of the zoo: no file, no suffix, no folder.

    Example:
        >>> is_model_name('mango-trust-rooms'), is_model_name('configs/x.py'), is_model_name(None)
        (True, False, False)
    """
    return (
        isinstance(given, str)
        and (given in _models() or (not Path(given).suffix and '/' not in given))
        and not Path(given).exists()
    )


def find_model(name: str) -> ZooModel:
    """The model of a name.

    Raises:
        KeyError: If there is none; says which there are.
    """
    try:
        return _models()[name]
    except KeyError:
        raise KeyError(
            f'there is no model {name!r} in the zoo, and no such file; it has {list_models()}.'
        ) from None


def find_config(name: str) -> Path:
    """The config file of a model: in a checkout, or in the installed package.

    Raises:
        KeyError: If there is no such model.
        FileNotFoundError: If the package was installed without its configs.
    """
    return shipped(find_model(name).config)
