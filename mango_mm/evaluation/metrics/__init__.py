"""Registered metrics."""

from mango_mm.evaluation.metrics.feature_distances import FeatureDistances
from mango_mm.evaluation.metrics.flow_likelihood import FlowLikelihood
from mango_mm.evaluation.metrics.multi_label_scores import MultiLabelScores
from mango_mm.evaluation.metrics.reconstruction_errors import ReconstructionErrors
from mango_mm.evaluation.metrics.sequence_scores import ClassScores, SentimentScores
from mango_mm.evaluation.metrics.translation_errors import TranslationErrors
from mango_mm.hosts import has_host

__all__ = [
    'ClassScores',
    'FeatureDistances',
    'FlowLikelihood',
    'MultiLabelScores',
    'ReconstructionErrors',
    'SentimentScores',
    'TranslationErrors',
]

if has_host('mmseg'):
    from mango_mm.evaluation.metrics.multimodal_iou import MultimodalIoUMetric

    __all__ += ['MultimodalIoUMetric']
