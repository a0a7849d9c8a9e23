"""Adapters to mmsegmentation: the only model folder that imports it."""

from mango_mm.models.segmentors.multimodal_cascade_encoder_decoder import (
    MultimodalCascadeEncoderDecoder,
)
from mango_mm.models.segmentors.multimodal_encoder_decoder import MultimodalEncoderDecoder
from mango_mm.models.segmentors.multimodal_seg_data_preprocessor import (
    MultimodalSegDataPreProcessor,
)

__all__ = [
    'MultimodalCascadeEncoderDecoder',
    'MultimodalEncoderDecoder',
    'MultimodalSegDataPreProcessor',
]
