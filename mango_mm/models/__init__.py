"""Registered adapters between config words and ``flows`` and ``fusion``.

What needs mmsegmentation is a placeholder that says so where it is missing; what needs
mmagic is imported when it is built.
"""

from mango_mm.hosts import has_host
from mango_mm.models import fusions
from mango_mm.models.backbones import ConvPyramid, MultiStreamBackbone
from mango_mm.models.heads import UNetDecoder
from mango_mm.models.lazy import register_lazily
from mango_mm.models.necks import FusionNeck
from mango_mm.models.placeholders import register_placeholders

__all__ = ['ConvPyramid', 'FusionNeck', 'MultiStreamBackbone', 'UNetDecoder', 'fusions']

register_lazily(
    'mmagic', 'mango_mm.models.editors', ('MultimodalTranslator', 'TranslationDataPreprocessor')
)

if has_host('mmseg'):
    from mango_mm.models import segmentors

    __all__ += ['segmentors']
else:
    register_placeholders('mmseg', ('MultimodalEncoderDecoder', 'MultimodalSegDataPreProcessor'))
