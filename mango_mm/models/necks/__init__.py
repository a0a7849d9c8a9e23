"""Necks that fuse the feature maps of several modalities."""

from mango_mm.models.necks.fusion_neck import FusionNeck

__all__ = ['FusionNeck']
