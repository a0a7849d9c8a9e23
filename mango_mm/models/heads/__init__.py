"""Heads that make an output of features, where no host has one; and one per modality."""

from mango_mm.models.heads.ensemble_head import EnsembleHead
from mango_mm.models.heads.latent_decoder import LatentDecoder
from mango_mm.models.heads.multi_class_head import MultiClassHead
from mango_mm.models.heads.multi_label_head import MultiLabelHead
from mango_mm.models.heads.pixel_shuffle_decoder import PixelShuffleDecoder
from mango_mm.models.heads.regression_head import RegressionHead
from mango_mm.models.heads.unet_decoder import UNetDecoder

__all__ = [
    'EnsembleHead',
    'LatentDecoder',
    'MultiClassHead',
    'MultiLabelHead',
    'PixelShuffleDecoder',
    'RegressionHead',
    'UNetDecoder',
]
