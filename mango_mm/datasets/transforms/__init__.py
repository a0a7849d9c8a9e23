"""Pipeline steps for several aligned modalities. Geometry and photometry are mmseg's."""

from mango_mm.datasets.transforms.loading import LoadDepth, LoadImage, LoadSegmentation
from mango_mm.datasets.transforms.stacking import StackModalities

__all__ = ['LoadDepth', 'LoadImage', 'LoadSegmentation', 'StackModalities']
