"""Backbones that read several modalities."""

from mango_mm.models.backbones.multi_stream_backbone import MultiStreamBackbone

__all__ = ['MultiStreamBackbone']
