"""Registered adapters between config words and ``flows`` and ``fusion``.

What needs mmsegmentation is a placeholder that says so where it is missing.
"""

from mango_mm.hosts import has_host
from mango_mm.models import fusions
from mango_mm.models.backbones import MultiStreamBackbone
from mango_mm.models.necks import FusionNeck
from mango_mm.models.placeholders import register_placeholders

__all__ = ['FusionNeck', 'MultiStreamBackbone', 'fusions']

if has_host('mmseg'):
    from mango_mm.models import segmentors

    __all__ += ['segmentors']
else:
    register_placeholders('mmseg', ('MultimodalEncoderDecoder', 'MultimodalSegDataPreProcessor'))
