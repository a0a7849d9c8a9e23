"""Planted cues: a task whose answer is known to lie in one token of one modality.

Tokens of two modalities are noise. In modality a, one token at a random position carries one of
two patterns, and which it is, is the class; modality b is noise throughout. A model that has
learned this can have read it nowhere else, so that its attributions can be checked.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

from mango_mm.explicit.attribution import integrated_gradients
from mango_mm.fusion import MangoFusion

__all__ = ['planted_cues']

NUM_TOKENS, DIM, STRENGTH = 12, 8, 3.0


def _draw(count: int, generator: torch.Generator) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Tokens of both modalities, labels and the cue's positions."""
    tokens = {m: torch.randn(count, NUM_TOKENS, DIM, generator=generator) for m in 'ab'}
    labels = torch.randint(2, (count,), generator=generator)
    places = torch.randint(NUM_TOKENS, (count,), generator=generator)
    pattern = torch.zeros(2, DIM)
    pattern[0, ::2], pattern[1, 1::2] = STRENGTH, STRENGTH
    tokens['a'][torch.arange(count), places] += pattern[labels]
    return tokens, labels, places


def planted_cues(iterations: int = 300, seed: int = 0, recipe: str = 'paper') -> dict[str, float]:
    """Train a ``MangoFusion`` on the task and attribute its answers to held-out samples.

    Args:
        iterations: Of 64 samples each.
        seed: Of data and weights.
        recipe: Of the flow.

    Returns:
        ``accuracy`` on 200 held-out samples; ``cue_found``: how often the token of either modality
        that contributed most is the cue; ``cue_found_by_chance``; ``noise_share``: what modality b
        has of all absolute contributions; ``rest``: mean error of the quadrature, relative.
    """
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    fusion = MangoFusion(
        ('a', 'b'), DIM, NUM_TOKENS, depth=1, recipe=recipe, normalize=False, reduction='sequence',
        out_dim=2,
    )  # fmt: skip
    torch.random.set_rng_state(state)
    optimizer = torch.optim.AdamW(fusion.parameters(), lr=1e-2, weight_decay=1e-2)

    def logits(tokens: dict[str, Tensor]) -> Tensor:
        return F.gelu(fusion(tokens).fused).amax(dim=1)

    for _ in range(iterations):
        tokens, labels, _ = _draw(64, generator)
        optimizer.zero_grad()
        F.cross_entropy(logits(tokens), labels).backward()
        optimizer.step()
    fusion.eval()
    tokens, labels, places = _draw(200, generator)
    accuracy = (logits(tokens).argmax(1) == labels).float().mean()
    sign = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])[labels]
    contributions, rest = integrated_gradients(
        lambda t: (logits(dict(t)) * sign).sum(1), tokens, steps=32
    )
    joint = torch.cat([contributions['a'], contributions['b']], dim=1)
    sizes = {m: c.abs().sum() for m, c in contributions.items()}
    return {
        'accuracy': float(accuracy),
        'cue_found': float((joint.argmax(1) == places).float().mean()),
        'cue_found_by_chance': 1 / joint.shape[1],
        'noise_share': float(sizes['b'] / (sizes['a'] + sizes['b'])),
        'rest': float((rest.abs() / joint.sum(1).abs().clamp(min=1e-6)).mean()),
    }
