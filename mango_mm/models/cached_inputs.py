"""Features of ``CachedFeatures`` in place of images and texts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

__all__ = ['stack_features', 'weights_hash']

NO_SETTINGS = ('training', 'name_or_path')  # of transformers: where it was read from
PLAIN = (str, bool, int, float, tuple, type(None))


def stack_features(
    inputs: Mapping[str, Sequence[Sequence[Tensor]]],
) -> dict[str, tuple[Tensor, ...]]:
    """Collated features, a list over samples of every stage, to batches in float32.

    Masks keep their type.
    """
    return {
        m: tuple(_float32(torch.stack(list(samples))) for samples in stages)
        for m, stages in inputs.items()
    }


def _float32(x: Tensor) -> Tensor:
    return x.float() if x.is_floating_point() else x


def weights_hash(*modules: nn.Module) -> str:
    """SHA-256 of every parameter, buffer and plain setting of all parts, by name.

    Whether a buffer is saved does not matter, nor whether a part is in training mode.
    """
    digest = hashlib.sha256()
    for module in modules:
        tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        for name, value in sorted(tensors.items()):
            digest.update(f'{name} {tuple(value.shape)}'.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        for name, part in module.named_modules():
            settings = {
                key: value
                for key, value in vars(part).items()
                if not key.startswith('_') and key not in NO_SETTINGS and isinstance(value, PLAIN)
            }
            digest.update(f'{name} {type(part).__name__} {sorted(settings.items())}'.encode())
    return digest.hexdigest()
