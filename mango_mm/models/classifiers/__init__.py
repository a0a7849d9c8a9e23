"""Classification of several modalities, on mmengine alone."""

from mango_mm.models.classifiers.backbone_tokens import BackboneTokens, FeatureToken
from mango_mm.models.classifiers.frozen_encoder import FrozenEncoder
from mango_mm.models.classifiers.movie_data_preprocessor import MovieDataPreprocessor
from mango_mm.models.classifiers.multimodal_classifier import MultimodalClassifier
from mango_mm.models.classifiers.sequence_data_preprocessor import SequenceDataPreprocessor
from mango_mm.models.classifiers.sequence_encoder import SequenceEncoder

__all__ = [
    'BackboneTokens',
    'FeatureToken',
    'FrozenEncoder',
    'MovieDataPreprocessor',
    'MultimodalClassifier',
    'SequenceDataPreprocessor',
    'SequenceEncoder',
]
