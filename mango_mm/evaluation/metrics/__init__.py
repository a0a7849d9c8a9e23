"""Registered metrics."""

from mango_mm.evaluation.metrics.feature_distances import FeatureDistances
from mango_mm.evaluation.metrics.flow_likelihood import FlowLikelihood
from mango_mm.evaluation.metrics.multi_label_scores import MultiLabelScores
from mango_mm.evaluation.metrics.reconstruction_errors import ReconstructionErrors
from mango_mm.evaluation.metrics.translation_errors import TranslationErrors

__all__ = [
    'FeatureDistances',
    'FlowLikelihood',
    'MultiLabelScores',
    'ReconstructionErrors',
    'TranslationErrors',
]
