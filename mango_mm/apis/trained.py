"""A trained model, ready to be looked into."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mango_mm.apis.run import load_config, load_weights
from mango_mm.fusion import Fusion
from mango_mm.registry import MODELS

__all__ = ['fusions_of', 'load_trained']


def load_trained(
    config: str | Path,
    checkpoint: str | Path | None,
    options: Mapping[str, Any] | None = None,
) -> tuple[Config, Any]:
    """The config and its model with a checkpoint's weights, in evaluation mode.

    Of a strategy it is the student that is returned.

    Args:
        config: File.
        checkpoint: File, or a work dir; None: weights as built.
        options: Overrides of the config.

    Raises:
        FileNotFoundError: If config or checkpoint do not exist.
        ValueError: If the checkpoint is of another model.
    """
    read = load_config(config, options=options)
    init_default_scope(read.get('default_scope', 'mmengine'))
    model: Any = MODELS.build(read.model)
    if checkpoint is not None:
        load_weights(model, checkpoint)
    return read, getattr(model, 'student', model).eval()


def fusions_of(model: torch.nn.Module) -> list[Fusion]:
    """The fusions of several modalities in a model, in the order of its layers.

    Raises:
        TypeError: If there is none.
    """
    found = [m for m in model.modules() if isinstance(m, Fusion) and len(m.modalities) > 1]
    if not found:
        raise TypeError(f'{type(model).__name__} has no fusion of several modalities.')
    return found
