"""What others do instead of a density: weights from the predictions, or a distance of features.

Each makes one prediction of the logits of the experts, (M, B, C, ...), and keeps what it needs
to know of clean held-out samples. None is shown a failure. The mean of the experts (UME) and the
fused prediction are the other rivals; they need no file.
"""

from mango_mm.explicit.rivals.co_belief import CoBelief
from mango_mm.explicit.rivals.energy_weights import EnergyWeights
from mango_mm.explicit.rivals.evidence import DempsterRule
from mango_mm.explicit.rivals.mahalanobis_gate import MahalanobisGate
from mango_mm.explicit.rivals.noisy_or import NoisyOr
from mango_mm.explicit.rivals.oracle import oracle_mixture
from mango_mm.explicit.rivals.temperature import TemperatureScaling

__all__ = [
    'CoBelief',
    'DempsterRule',
    'EnergyWeights',
    'MahalanobisGate',
    'NoisyOr',
    'TemperatureScaling',
    'oracle_mixture',
]
