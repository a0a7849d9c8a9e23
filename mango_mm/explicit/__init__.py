"""What an explicit density of tokens is for, in plain torch: typicality, attribution, health."""

from mango_mm.explicit.attention_rollout import attention_rollout
from mango_mm.explicit.attribution import integrated_gradients, push_forward
from mango_mm.explicit.token_density import TokenDensity

__all__ = ['TokenDensity', 'attention_rollout', 'integrated_gradients', 'push_forward']
