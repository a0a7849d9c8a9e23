"""Overrides of a config: keys that exist, counts that can be counts.

mmengine takes any key, so that a misspelt one changes nothing and says nothing.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from typing import Any

import mmengine.registry as root
from mmengine.config import Config
from mmengine.registry import Registry
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mango_mm import registry as ours
from mango_mm.explicit.trust import SensorTrust
from mango_mm.fusion.mango_block import LayerOptions
from mango_mm.models.trusted_ensemble import TrustedEnsemble

__all__ = ['check_counts', 'check_keys', 'check_model_name']

# What Runner and our own apis read at the top of a config, beside what the config has.
TOP = set(inspect.signature(Runner.__init__).parameters) | {
    'tta_model',
    'tta_pipeline',
    'strategy',
    'feature_cache',
    'hold_out',
}
# Dicts that name no type, and what they may hold; None: anything.
LOADER = {*inspect.signature(DataLoader.__init__).parameters, 'num_batch_per_epoch'} - {'self'}
TYPELESS: dict[str, set[str | None]] = {
    **dict.fromkeys(('train_dataloader', 'val_dataloader', 'test_dataloader'), {*LOADER}),
    'randomness': {'seed', 'diff_rank_seed', 'deterministic'},
    'optim_wrapper': {
        'type', 'optimizer', 'constructor', 'paramwise_cfg', 'clip_grad', 'accumulative_counts',
        'loss_scale', 'dtype', 'use_fsdp',
    },
    'default_hooks': {None},
    'custom_keys': {None},
}  # fmt: skip


def _named(*callables: Any) -> set[str | None]:
    """Names of their arguments."""
    found = {p for c in callables for p in inspect.signature(c).parameters.values()}
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {p.name for p in found if p.kind not in kinds}


# Likewise, where there is no ``type`` in them: parts of a model whose owner knows the class.
UNTYPED: dict[str, set[str | None]] = {
    'trust': _named(TrustedEnsemble, SensorTrust) - {'modalities', 'features', 'values'}
    | {'in_channels'},
    'layers': _named(LayerOptions),
    'unimodal_heads': {'combine', 'shared', 'trust'},
    'unimodal_decoders': {'combine', 'decoder', 'trust'},
    'test_cfg': {'mode', 'crop_size', 'stride'},
    'train_cfg': {'label_stride'},
}
TYPE = '.type'
COUNTS = {  # least value by key
    'train_cfg.max_iters': 1,
    'train_cfg.max_epochs': 1,
    'train_cfg.val_interval': 1,
    **{f'{p}_dataloader.batch_size': 1 for p in ('train', 'val', 'test')},
    **{f'{p}_dataloader.num_workers': 0 for p in ('train', 'val', 'test')},
    'hold_out': 1,
    'default_hooks.logger.interval': 1,
    'optim_wrapper.accumulative_counts': 1,
}


def check_keys(config: Config, options: Mapping[str, Any]) -> None:
    """Raise unless every key, with dots, is in the config or is an argument of what it configures.

    Args:
        config: As it was read.
        options: Overrides. One of a ``type`` counts for the arguments beside it.

    Raises:
        KeyError: Naming the key, and those that are nearly the same.
    """
    types = {key[: -len(TYPE)]: kind for key, kind in options.items() if key.endswith(TYPE)}
    for key in options:
        node: Any = config._cfg_dict
        path = key.split('.')
        for depth, name in enumerate(path):
            if isinstance(node, (list, tuple)):
                if not name.isdigit() or int(name) >= len(node):
                    raise KeyError(
                        f'{key}: {".".join(path[:depth])} is a list of {len(node)}; got {name!r}.'
                    )
                node = node[int(name)]
                continue
            known = set(node) if isinstance(node, Mapping) else set()
            if name in known:
                node = node[name]
                continue
            if isinstance(node, Mapping) and '.'.join(path[:depth]) in types:
                node = {**node, 'type': types['.'.join(path[:depth])]}
            known |= _arguments(node, path[depth - 1]) if depth else TOP
            if name not in known and None not in known:
                near = difflib.get_close_matches(name, [k for k in known if k], 3)
                raise KeyError(
                    f'the config has no key {key!r}: {".".join(path[:depth]) or "it"} has '
                    f'{sorted(k for k in known if k)}'
                    + (f'; {near[0]!r} is meant?' if near else '.')
                    + ' --allow-new-keys takes it all the same.'
                )
            break  # a new argument: what is below it is its own


def _arguments(node: Any, name: str) -> set[str | None]:
    """Arguments of the class that a dict configures; None among them: nobody knows."""
    if not isinstance(node, Mapping):
        return set()
    if name in TYPELESS:
        return set(TYPELESS[name])
    if not node:
        return {None}
    kind = node.get('type')
    if kind is None:
        return set(UNTYPED.get(name, ()))
    if isinstance(kind, str):
        kind = _look_up(kind)
    if not inspect.isclass(kind):
        return {None}
    found: set[str | None] = set()
    for cls in kind.__mro__:
        if '__init__' not in vars(cls):
            continue
        parameters = inspect.signature(vars(cls)['__init__']).parameters.values()
        found |= {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        if not any(p.kind == p.VAR_KEYWORD for p in parameters):
            return found - {'self'}
    return found | {None} if found else {None}


def _look_up(name: str) -> Any:
    # Ours first, as ``build_ours`` does.
    for registry in (*vars(ours).values(), *vars(root).values()):
        if isinstance(registry, Registry):
            try:
                kind = registry.get(name)
            except Exception:  # noqa: BLE001  # a host that is not there
                kind = None
            if kind is not None:
                return kind
    return None


def check_model_name(config: Config) -> None:
    """Raise unless the model's type is a name of ours with its prefix, or none of ours.

    mmseg has a class ``MultimodalEncoderDecoder`` too, of which mmengine would build the one that
    the default scope names.

    Raises:
        ValueError: Naming both.
    """
    kind = config.model.get('type') if isinstance(config.model, Mapping) else None
    scope = config.get('default_scope', 'mmengine')
    if not isinstance(kind, str) or '.' in kind or scope == ours.SCOPE:
        return
    own = ours.MODELS.get(kind)
    if own is None or not own.__module__.startswith('mango_mm.'):
        return
    with root.MODELS.switch_scope_and_registry(scope) as registry:
        theirs = registry.get(kind)
    meant = (
        f'which {scope} has too, another class ({theirs.__module__})'
        if theirs not in (None, own)
        else f'which {scope} does not have'
    )
    or_theirs = f", or '{scope}.{kind}'" if theirs not in (None, own) else ''
    raise ValueError(f"model.type is {kind!r}, {meant}: write type='mango_mm.{kind}'{or_theirs}.")


def check_counts(config: Config) -> None:
    """Raise unless numbers of iterations, samples and workers can be such.

    Raises:
        ValueError: Naming the key, what it must be at least, and what came.
    """
    for key, least in COUNTS.items():
        node: Any = config._cfg_dict
        for name in key.split('.'):
            node = node.get(name) if isinstance(node, Mapping) else None
        if node is None:
            continue
        if isinstance(node, bool) or not isinstance(node, int) or node < least:
            raise ValueError(f'{key} must be a whole number of at least {least}; got {node!r}.')
