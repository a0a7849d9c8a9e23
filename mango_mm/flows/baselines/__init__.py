"""The layers of other flows, for the rows of the paper's Table 4."""

from mango_mm.flows.baselines.attn_flow import MapAttention
from mango_mm.flows.baselines.flow_plus_plus import MixtureCoupling
from mango_mm.flows.baselines.glow import ChannelLinear

__all__ = ['ChannelLinear', 'MapAttention', 'MixtureCoupling']
