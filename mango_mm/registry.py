"""The project's registries: children of mmengine's, scope ``mango_mm``.

From a config of any toolbox a name of ours is ``mango_mm.Name``; inside our own
adapters the prefix may be left out. The modules behind a registry are imported when
a name is first looked up, so that nothing is paid for before.
"""

from __future__ import annotations

from typing import Any

from mango_mm.hosts import has_host, require_host

require_host('mmengine', 'mango_mm.registry')

import mmengine.registry as root  # noqa: E402  # after the check above
from mmengine.registry import Registry  # noqa: E402

__all__ = [
    'DATASETS',
    'DATA_SAMPLERS',
    'FUNCTIONS',
    'FUSIONS',
    'HOOKS',
    'METRICS',
    'MODELS',
    'MODEL_WRAPPERS',
    'STRATEGIES',
    'TRANSFORMS',
    'VISUALIZERS',
    'build_ours',
]

SCOPE = 'mango_mm'

MODELS = Registry('model', parent=root.MODELS, scope=SCOPE, locations=['mango_mm.models'])
MODEL_WRAPPERS = Registry(
    'model wrapper', parent=root.MODEL_WRAPPERS, scope=SCOPE, locations=['mango_mm.models']
)
DATASETS = Registry('dataset', parent=root.DATASETS, scope=SCOPE, locations=['mango_mm.datasets'])
DATA_SAMPLERS = Registry(
    'data sampler', parent=root.DATA_SAMPLERS, scope=SCOPE, locations=['mango_mm.datasets']
)
TRANSFORMS = Registry(
    'transform', parent=root.TRANSFORMS, scope=SCOPE, locations=['mango_mm.datasets.transforms']
)
METRICS = Registry(
    'metric', parent=root.METRICS, scope=SCOPE, locations=['mango_mm.evaluation.metrics']
)
HOOKS = Registry('hook', parent=root.HOOKS, scope=SCOPE, locations=['mango_mm.engine.hooks'])
FUNCTIONS = Registry(
    'function', parent=root.FUNCTIONS, scope=SCOPE, locations=['mango_mm.engine.sharding']
)
STRATEGIES = Registry(
    'strategy', parent=root.STRATEGIES, scope=SCOPE, locations=['mango_mm.engine.fsdp_strategy']
)
VISUALIZERS = Registry(
    'visualizer',
    parent=root.VISUALIZERS,
    scope=SCOPE,
    locations=['mango_mm.visualization' + ('.seg_visualizer' if has_host('mmseg') else '')],
)
FUSIONS = MODELS  # every Fusion is registered beside the models; see models/fusions.py


def build_ours(registry: Registry, config: dict[str, Any], **given: Any) -> Any:
    """Build a config nested in one of our adapters.

    An unprefixed type is looked up among ours first, whatever the default scope is,
    and then as mmengine would.

    Args:
        registry: One of the registries of this module.
        config: With a ``type``: a name or a class.
        given: Arguments that the adapter knows; the config may override them.

    Raises:
        TypeError: If the config has no type.
        KeyError: If the type is nowhere registered.
    """
    if 'type' not in config:
        raise TypeError(f'a nested config must name its type; got {dict(config)}.')
    arguments = {**given, **config}
    kind = arguments.pop('type')
    if isinstance(kind, str) and (own := registry.get(kind)) is not None and '.' not in kind:
        return own(**arguments)
    return registry.build({**arguments, 'type': kind})
