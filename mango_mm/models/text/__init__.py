"""Text encoders: strings in, tokens and their mask out."""

from mango_mm.models.text.transformers_encoder import TransformersTextEncoder
from mango_mm.models.text.vocabulary import Vocabulary
from mango_mm.models.text.word_encoder import WordTextEncoder

__all__ = ['TransformersTextEncoder', 'Vocabulary', 'WordTextEncoder']
