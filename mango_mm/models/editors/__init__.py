"""Adapters to mmagic: the only model folder that imports it."""

from mango_mm.models.editors.inception_features import InceptionFeatures
from mango_mm.models.editors.multimodal_translator import MultimodalTranslator
from mango_mm.models.editors.translation_data_preprocessor import TranslationDataPreprocessor
from mango_mm.models.editors.translation_generator import TranslationGenerator

__all__ = [
    'InceptionFeatures',
    'MultimodalTranslator',
    'TranslationDataPreprocessor',
    'TranslationGenerator',
]
