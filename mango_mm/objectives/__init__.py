"""What training algorithms add to a loss or do to a gradient, as formulas on tensors."""

from mango_mm.objectives.distillation import distill_categories, distill_labels
from mango_mm.objectives.gradient_projection import GradientProjection
from mango_mm.objectives.vicreg import covariance_penalty, umurl_loss, variance_penalty

__all__ = [
    'GradientProjection',
    'covariance_penalty',
    'distill_categories',
    'distill_labels',
    'umurl_loss',
    'variance_penalty',
]
