"""Registered adapters between config words and ``flows`` and ``fusion``.

What needs mmagic is imported when it is built; what needs a missing host says so then.
"""

from mango_mm.hosts import has_host
from mango_mm.models import fusions
from mango_mm.models.algorithms import MIND, MLA, UMT, AlternatingDataParallel, UmURL, UnimodalProbe
from mango_mm.models.autoencoders import LatentFlow, MaskedAutoencoder
from mango_mm.models.backbones import (
    BlockFusionBackbone,
    ConvPyramid,
    MultiStreamBackbone,
    PatchPixels,
)
from mango_mm.models.classifiers import MultimodalClassifier
from mango_mm.models.extractors import RandomFeatures
from mango_mm.models.heads import (
    EnsembleHead,
    LatentDecoder,
    MultiClassHead,
    MultiLabelHead,
    PixelShuffleDecoder,
    RegressionHead,
    UNetDecoder,
)
from mango_mm.models.lazy import register_lazily
from mango_mm.models.losses import AsymmetricLoss, MultiLabelBCELoss
from mango_mm.models.necks import FusionNeck
from mango_mm.models.text import TransformersTextEncoder, WordTextEncoder

__all__ = [
    'MIND',
    'MLA',
    'UMT',
    'AlternatingDataParallel',
    'UmURL',
    'UnimodalProbe',
    'AsymmetricLoss',
    'BlockFusionBackbone',
    'ConvPyramid',
    'EnsembleHead',
    'FusionNeck',
    'LatentDecoder',
    'LatentFlow',
    'MaskedAutoencoder',
    'MultiLabelBCELoss',
    'MultiClassHead',
    'MultiLabelHead',
    'MultiStreamBackbone',
    'MultimodalClassifier',
    'PatchPixels',
    'PixelShuffleDecoder',
    'RandomFeatures',
    'RegressionHead',
    'TransformersTextEncoder',
    'UNetDecoder',
    'WordTextEncoder',
    'fusions',
]

register_lazily(
    'mmagic',
    'mango_mm.models.editors',
    ('InceptionFeatures', 'MultimodalTranslator', 'TranslationDataPreprocessor'),
)

if has_host('mmseg'):
    from mango_mm.models import segmentors

    __all__ += ['segmentors']
else:
    register_lazily(
        'mmseg',
        'mango_mm.models.segmentors',
        (
            'MultimodalCascadeEncoderDecoder',
            'MultimodalEncoderDecoder',
            'MultimodalSegDataPreProcessor',
        ),
    )
