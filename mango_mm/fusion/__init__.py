"""Multimodal fusion in plain torch: {modality: tokens} in, one feature out."""

from mango_mm.fusion.baselines.channel_exchange import ChannelExchange, ChannelExchangeFusion
from mango_mm.fusion.baselines.cmx import CMXFusion
from mango_mm.fusion.baselines.concat import ConcatFusion
from mango_mm.fusion.baselines.cross_attention import CrossAttentionFusion
from mango_mm.fusion.baselines.deq import DEQFusion
from mango_mm.fusion.baselines.gated import GatedFusion
from mango_mm.fusion.baselines.mcmult import MCMulTFusion
from mango_mm.fusion.baselines.pixelwise import GeminiFusion, PixelwiseAttention
from mango_mm.fusion.baselines.summation import SumFusion
from mango_mm.fusion.baselines.token_exchange import TokenExchange, TokenFusion
from mango_mm.fusion.baselines.u3m import U3MFusion
from mango_mm.fusion.block_fusion import BlockFusion
from mango_mm.fusion.fusion import Fusion, FusionOutput, fusions_of
from mango_mm.fusion.mango import MangoFusion, MangoFusionOutput
from mango_mm.fusion.mango_block import RECIPES, LayerOptions

__all__ = [
    'RECIPES',
    'BlockFusion',
    'CMXFusion',
    'ChannelExchange',
    'ChannelExchangeFusion',
    'ConcatFusion',
    'CrossAttentionFusion',
    'DEQFusion',
    'Fusion',
    'FusionOutput',
    'GatedFusion',
    'GeminiFusion',
    'LayerOptions',
    'MCMulTFusion',
    'MangoFusion',
    'PixelwiseAttention',
    'SumFusion',
    'TokenExchange',
    'TokenFusion',
    'MangoFusionOutput',
    'U3MFusion',
    'fusions_of',
]
