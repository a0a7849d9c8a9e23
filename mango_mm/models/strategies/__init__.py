"""Ways to train a multimodal model: uni-modal teachers, alternation, pretraining."""

from mango_mm.models.strategies.mind import MIND
from mango_mm.models.strategies.mla import MLA, AlternatingDataParallel
from mango_mm.models.strategies.strategy import Strategy, Teacher
from mango_mm.models.strategies.umt import UMT, UnimodalProbe
from mango_mm.models.strategies.umurl import UmURL

__all__ = [
    'MIND',
    'MLA',
    'UMT',
    'AlternatingDataParallel',
    'Strategy',
    'Teacher',
    'UmURL',
    'UnimodalProbe',
]
