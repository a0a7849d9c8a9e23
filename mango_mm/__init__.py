"""MANGO and its baselines: explicit multimodal fusion by invertible attention.

``mango_mm.flows`` and ``mango_mm.fusion`` need torch and numpy alone. With OpenMMLab
installed, importing this package makes its registries known, so that a config can
say ``custom_imports = dict(imports=['mango_mm'])`` and ``type='mango_mm.FusionNeck'``;
the modules behind a name are imported when it is first asked for.
"""

from mango_mm.hosts import has_host
from mango_mm.version import __version__
from mango_mm.zoo import list_models

__all__ = ['__version__', 'list_models']

if has_host('mmengine'):
    import mango_mm.registry  # noqa: F401  # makes the names known
    from mango_mm.hosts import make_checkpoints_safe_to_load

    make_checkpoints_safe_to_load()
