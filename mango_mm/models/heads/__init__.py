"""Heads that make an output of features, where no host has one."""

from mango_mm.models.heads.latent_decoder import LatentDecoder
from mango_mm.models.heads.multi_label_head import MultiLabelHead
from mango_mm.models.heads.pixel_shuffle_decoder import PixelShuffleDecoder
from mango_mm.models.heads.unet_decoder import UNetDecoder

__all__ = ['LatentDecoder', 'MultiLabelHead', 'PixelShuffleDecoder', 'UNetDecoder']
