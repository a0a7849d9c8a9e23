"""Formulas on arrays, numpy alone; their registered forms are in ``metrics``."""

from mango_mm.evaluation.functional.feature_distances import frechet_distance, kernel_distance
from mango_mm.evaluation.functional.pixel_errors import PixelErrorSums
from mango_mm.evaluation.functional.sentiment import sentiment_scores

__all__ = ['PixelErrorSums', 'frechet_distance', 'kernel_distance', 'sentiment_scores']
