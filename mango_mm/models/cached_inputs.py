"""Features of ``CachedFeatures`` in place of images and texts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ['Cached', 'stack_features', 'weights_hash']

# Change no feature; the last is a record that transformers keeps.
NO_SETTINGS = ('training', 'name_or_path', 'init_cfg', 'process_group', 'warnings_issued')
PLAIN = (str, bool, int, float, tuple, list, dict, type(None))


class Cached(tuple[Tensor, ...]):
    """Features out of a cache, of every stage; what an encoder would have made."""


def stack_features(inputs: Mapping[str, Sequence[Sequence[Tensor]]]) -> dict[str, Cached]:
    """Collated features, a list over samples of every stage, to batches in float32.

    Masks keep their type.
    """
    return {
        m: Cached(_float32(torch.stack(list(samples))) for samples in stages)
        for m, stages in inputs.items()
    }


def _float32(x: Tensor) -> Tensor:
    return x.float() if x.is_floating_point() else x


def weights_hash(*modules: nn.Module, **settings: Any) -> str:
    """SHA-256 of every parameter, buffer, plain setting and vocabulary of all parts, by name.

    Whether a buffer is saved does not matter, whether a part is in training mode, where it was read
    from, nor which batch normalisation it is: synchronised ones are exchanged by the runner.

    Args:
        *modules: All that features depend on.
        **settings: Of what is around them.
    """
    digest = hashlib.sha256(_text(settings))
    for module in modules:
        tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        for name, value in sorted(tensors.items()):
            digest.update(f'{name} {tuple(value.shape)}'.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        for name, part in module.named_modules():
            kind = 'BatchNorm' if isinstance(part, _BatchNorm) else type(part).__name__
            digest.update(f'{name} {kind}'.encode())
            digest.update(_text(_settings_of(part)))
            if hasattr(part, 'tokenizer'):
                digest.update(_text(part.tokenizer.get_vocab()))
    return digest.hexdigest()


def _settings_of(part: nn.Module) -> dict[str, Any]:
    return {
        key: value
        for key, value in vars(part).items()
        if not key.startswith('_') and key not in NO_SETTINGS and isinstance(value, PLAIN)
    }


def _text(settings: Mapping[str, Any]) -> bytes:
    plain = {key: value for key, value in settings.items() if not _holds_objects(value)}
    return json.dumps(plain, sort_keys=True).encode()


def _holds_objects(value: Any) -> bool:
    """Whether something in it has no text that stays the same from run to run."""
    try:
        json.dumps(value, sort_keys=True)
    except (TypeError, ValueError):
        return True
    return False
