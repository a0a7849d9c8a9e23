"""Fits and calibrates the trust of a model that is trained already.

What ``TrustHook`` does at the end of a training, again: with another grid, rate or seed, on other
clean samples (those of the camera that a model has been moved to), or for the first time, of
experts and a fused head that were trained by another combination.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import save_checkpoint

from mango_mm.apis.open_model import model_config
from mango_mm.apis.run import hold_out_for_trust, load_config, use_feature_cache
from mango_mm.checkpoints import find_checkpoint, load_safely
from mango_mm.engine.console_runner import quiet_hosts
from mango_mm.engine.hooks import TrustHook
from mango_mm.models.trusted_ensemble import TrustedEnsemble
from mango_mm.pipelines import name_of
from mango_mm.registry import MODELS

__all__ = ['calibrate_trust']


def calibrate_trust(
    config: str | Path | Config,
    checkpoint: str | Path,
    out: str | Path,
    *,
    options: Mapping[str, Any] | None = None,
    **hook: Any,
) -> TrustedEnsemble:
    """Fit and calibrate the trust of a checkpoint, and save a checkpoint that has it.

    The promise of the alarm holds if the model was not trained on the samples held out.

    Args:
        config: With ``combine='trust'``.
        checkpoint: File, or a work dir. What it has of a trust is not read.
        out: File to write.
        options: Overrides of the config.
        **hook: Those of ``TrustHook`` that are to differ from the config's.

    Raises:
        TypeError: If the config's model has no trust.
        ValueError: If the checkpoint is of another model, or lacks a head that is combined; or the
            held-out samples are too few for the stated rate.
        FileNotFoundError: If config or checkpoint do not exist.
        FloatingPointError: If the density's loss stops being finite.
    """
    read, path = load_config(config, options=options), find_checkpoint(checkpoint)
    if read.get('train_dataloader') is None:
        raise ValueError(f'{config} has no train_dataloader: a trust is fitted to its samples.')
    init_default_scope(read.get('default_scope', 'mmengine'))
    settings = _settings(read, hook)
    use_feature_cache(read)
    hold_out_for_trust(read)
    with quiet_hosts():
        model = MODELS.build(model_config(read))
    ensemble: TrustedEnsemble = model.trusted_ensemble
    _load(model, ensemble, path)
    TrustHook(**settings).fit_model(model.eval(), read)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint({'state_dict': model.state_dict(), 'meta': {'trust': settings}}, str(out))
    return ensemble


def _settings(config: Config, changed: Mapping[str, Any]) -> dict[str, Any]:
    """Options of the config's TrustHook, changed; the config is changed likewise."""
    hooks = [*(config.get('custom_hooks') or ())]
    found = next((h for h in hooks if name_of(h) == 'TrustHook'), None)
    if found is None:
        found = Config({'hook': {'type': 'mango_mm.TrustHook'}}).hook
        config.custom_hooks = [*hooks, found]
    found.update(changed)
    return {k: v for k, v in found.items() if k != 'type'}


def _load(model: torch.nn.Module, ensemble: TrustedEnsemble, path: str) -> None:
    """Load all but the trust."""
    prefix = next(name for name, module in model.named_modules() if module is ensemble) + '.'
    stored = load_safely(path, 'cpu')
    weights = stored.get('state_dict', stored)
    kept = {k: v for k, v in weights.items() if not k.startswith(prefix)}
    own = {k for k in model.state_dict() if not k.startswith(prefix)}
    lacking, strange = sorted(own - set(kept)), sorted(set(kept) - own)
    if lacking or strange:
        raise ValueError(
            f'{path} is not of this model, trust apart: it lacks {lacking[:3]}, {len(lacking)} in '
            f'all, and has {strange[:3]}, {len(strange)} in all, that are none of its.'
        )
    try:
        model.load_state_dict(kept, strict=False)
    except RuntimeError as error:
        raise ValueError(f'{path} is not of this model: {" ".join(str(error).split())}') from None
