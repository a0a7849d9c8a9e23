"""Classification of several modalities, on mmengine alone."""

from mango_mm.models.classifiers.backbone_tokens import BackboneTokens, FeatureToken
from mango_mm.models.classifiers.film_data_preprocessor import FilmDataPreprocessor
from mango_mm.models.classifiers.multimodal_classifier import MultimodalClassifier

__all__ = ['BackboneTokens', 'FeatureToken', 'FilmDataPreprocessor', 'MultimodalClassifier']
