"""Ways to train a multimodal model: uni-modal teachers, alternation, pretraining."""

from mango_mm.models.algorithms.algorithm import Algorithm, Teacher
from mango_mm.models.algorithms.mind import MIND
from mango_mm.models.algorithms.mla import MLA, AlternatingDataParallel
from mango_mm.models.algorithms.umt import UMT, UnimodalProbe
from mango_mm.models.algorithms.umurl import UmURL

__all__ = [
    'MIND',
    'MLA',
    'UMT',
    'AlternatingDataParallel',
    'Algorithm',
    'Teacher',
    'UmURL',
    'UnimodalProbe',
]
