"""Backbones that read several modalities."""

from mango_mm.models.backbones.block_fusion_backbone import BlockFusionBackbone
from mango_mm.models.backbones.conv_pyramid import ConvPyramid
from mango_mm.models.backbones.multi_stream_backbone import MultiStreamBackbone
from mango_mm.models.backbones.patch_pixels import PatchPixels

__all__ = ['BlockFusionBackbone', 'ConvPyramid', 'MultiStreamBackbone', 'PatchPixels']
