"""What an explicit density of tokens is for, in plain torch: typicality, trust, attribution."""

from mango_mm.explicit.attention_rollout import attention_rollout
from mango_mm.explicit.attribution import integrated_gradients, push_forward
from mango_mm.explicit.fit_trust import fit_trust
from mango_mm.explicit.state_weights import StateWeights
from mango_mm.explicit.token_density import TokenDensity
from mango_mm.explicit.trust import SensorTrust, TrustOutput

__all__ = [
    'SensorTrust',
    'StateWeights',
    'TokenDensity',
    'TrustOutput',
    'attention_rollout',
    'fit_trust',
    'integrated_gradients',
    'push_forward',
]
