"""Fixed networks whose features measure how alike two sets of images are."""

from mango_mm.models.extractors.random_features import RandomFeatures

__all__ = ['RandomFeatures']
