"""One MANGO block from a recipe: a list of step names, each one or more layers.

The steps, what each moves and how it is built: ``STEPS``, at the end of this file.

A recipe is data, so that the paper's ablations and stronger blocks are configs. Token
order alternates from layer to layer, because the triangular mask lets the last
token see only itself; and the coupling's halves alternate from block to block.

Source:
    Truong et al., MANGO, https://arxiv.org/abs/2508.10133, Section 3.2-3.3, Fig. 2 and 4.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Callable

from mango_mm.flows import (
    ActNorm,
    AffineCoupling,
    AttentionCoupling,
    Bijection,
    Chain,
    InvertibleCrossAttention,
    LearnableCrossAttention,
    TokenPartition,
)
from mango_mm.flows.baselines import ChannelLinear, MapAttention, MixtureCoupling

__all__ = [
    'RECIPES',
    'STEPS',
    'LayerOptions',
    'Step',
    'build_block',
    'moves_per_token',
    'resolve_recipe',
]

RECIPES: dict[str, tuple[str, ...]] = {
    # the paper's block and the rows of its Tables 4 and 5
    'paper': ('mmca', 'imca', 'lica', 'coupling'),
    'mmca': ('mmca', 'coupling'),
    'mmca_imca': ('mmca', 'imca', 'coupling'),
    'coupling_only': ('coupling',),
    'glow': ('actnorm', 'channel_linear', 'coupling'),
    'flow_plus_plus': ('actnorm', 'channel_linear', 'mixture'),
    'attn_flow': ('map_attention', 'coupling'),
    # beyond the paper
    'cross_modal': ('mmca', 'imca', 'coupling', 'cross_modal'),
    'paper_cross_modal': ('mmca', 'imca', 'lica', 'coupling', 'cross_modal'),
}


@dataclasses.dataclass(frozen=True)
class LayerOptions:
    """What the layers of all blocks share.

    Attributes:
        num_heads: Heads of every attention.
        halves: ``'contiguous'`` (the paper) or ``'interleaved'`` (its code), for IMCA.
        gate: ``'bounded'`` or ``'paper'``: see ICA.
        gate_init: Start of every gate; None: one over the ICA layers that move a token.
        gate_max: Bound of every gate; None: 4 times that, at most 0.9, which keeps the
            condition number of a stack of any depth below e^8.
        hidden_dim: Width of the couplings' perceptrons; None: 2 D.
        clamp: Bound of the couplings' log-scales.
        kernel: Kernel of ICA.
    """

    num_heads: int = 1
    halves: str = 'contiguous'
    gate: str = 'bounded'
    gate_init: float | None = None
    gate_max: float | None = None
    hidden_dim: int | None = None
    clamp: float = 1.0
    kernel: str = 'auto'

    def __post_init__(self) -> None:
        if self.halves not in ('contiguous', 'interleaved'):
            raise ValueError(f"halves must be 'contiguous' or 'interleaved'; got {self.halves!r}.")

    def with_gates_for(self, moves: float) -> LayerOptions:
        """These options with the gate chosen for ``moves`` ICA layers per token."""
        moves = max(moves, 1.0)
        gate_max = min(0.9, 4 / moves) if self.gate_max is None else self.gate_max
        gate_init = min(1 / moves, gate_max / 2) if self.gate_init is None else self.gate_init
        return dataclasses.replace(self, gate_max=gate_max, gate_init=gate_init)


def resolve_recipe(recipe: str | Sequence[str]) -> tuple[str, ...]:
    """The steps of a recipe given by name or as a list of steps.

    Raises:
        ValueError: If the name or a step is unknown.
    """
    if isinstance(recipe, str):
        if recipe not in RECIPES:
            raise ValueError(
                f'recipe must be one of {sorted(RECIPES)} or a list of steps; got {recipe!r}.'
            )
        return RECIPES[recipe]
    unknown = [step for step in recipe if step not in STEPS]
    if unknown:
        raise ValueError(f'the steps of a recipe are {tuple(STEPS)}; got {unknown}.')
    return tuple(recipe)


def moves_per_token(recipe: Sequence[str], depth: int) -> float:
    """How many ICA layers move each token, on average, in ``depth`` blocks."""
    return depth * sum(STEPS[step].moves for step in recipe)


def build_block(
    recipe: Sequence[str], dim: int, lengths: Sequence[int], index: int, options: LayerOptions
) -> Chain:
    """Build block number ``index`` over tokens [modality 1, modality 2, ...].

    Args:
        recipe: Its steps.
        dim: Channels D.
        lengths: Tokens of each modality.
        index: Position of the block in the stack; sets token orders and coupling halves.
        options: Shared options, gates resolved.
    """
    block = _Block(dim, tuple(lengths), index, options)
    for step in recipe:
        for layer in STEPS[step].layers(block):
            block.built.append(layer)
    return Chain(*block.built)


@dataclasses.dataclass
class _Block:
    """What the steps of one block need to know; ``built`` grows while they are taken."""

    dim: int
    lengths: tuple[int, ...]
    index: int
    options: LayerOptions
    built: list[Bijection] = dataclasses.field(default_factory=list)

    @property
    def targets(self) -> range:
        """The modalities that others condition; of a single one, none."""
        return range(len(self.lengths)) if len(self.lengths) > 1 else range(0)

    @property
    def reverse(self) -> bool:
        """Whether the next layer reads its tokens from the end: every other one does."""
        return (self.index + len(self.built)) % 2 == 1

    @property
    def swap(self) -> bool:
        """Whether couplings over channels move the first half: in every other block."""
        return self.index % 2 == 1

    def attention(self) -> dict[str, Any]:
        """Options of ICA and LICA."""
        options = self.options
        if options.gate_init is None or options.gate_max is None:
            raise ValueError('gates must be resolved first; call LayerOptions.with_gates_for.')
        return {
            'num_heads': options.num_heads,
            'gate': options.gate,
            'gate_init': options.gate_init,
            'gate_max': options.gate_max,
            'kernel': options.kernel,
        }

    def coupling(self) -> dict[str, Any]:
        """Options of couplings by attention."""
        options = self.options
        return {
            'num_heads': options.num_heads,
            'hidden_dim': options.hidden_dim,
            'clamp': options.clamp,
        }


Layers = Iterator[Bijection]


def _mmca(block: _Block) -> Layers:
    for target in block.targets:
        partition = TokenPartition.mmca(block.lengths, target=target, reverse=block.reverse)
        yield InvertibleCrossAttention(block.dim, partition, **block.attention())


def _imca(block: _Block) -> Layers:
    for variant in range(4):
        partition = TokenPartition.imca(
            block.lengths,
            variant=variant,
            interleaved=block.options.halves == 'interleaved',
            reverse=block.reverse,
        )
        yield InvertibleCrossAttention(block.dim, partition, **block.attention())


def _lica(block: _Block) -> Layers:
    for swap in (False, True):
        yield LearnableCrossAttention(
            block.dim, sum(block.lengths), swap=swap, reverse=block.reverse, **block.attention()
        )


def _coupling(block: _Block) -> Layers:
    options = block.options
    yield AffineCoupling(
        block.dim, hidden_dim=options.hidden_dim, swap=block.swap, clamp=options.clamp
    )


def _cross_modal(block: _Block) -> Layers:
    for target in block.targets:
        partition = TokenPartition.mmca(block.lengths, target=target)
        yield AttentionCoupling(block.dim, partition, **block.coupling())


def _within_modal(block: _Block) -> Layers:
    for variant in (0, 3):
        partition = TokenPartition.imca(block.lengths, variant=variant)
        yield AttentionCoupling(block.dim, partition, **block.coupling())


def _actnorm(block: _Block) -> Layers:
    yield ActNorm(block.dim)


def _channel_linear(block: _Block) -> Layers:
    yield ChannelLinear(block.dim)


def _mixture(block: _Block) -> Layers:
    yield MixtureCoupling(block.dim, swap=block.swap, **block.coupling())


def _map_attention(block: _Block) -> Layers:
    options = block.options
    for variant in range(4):
        partition = TokenPartition.imca(block.lengths, variant=variant)
        yield MapAttention(block.dim, partition, num_heads=options.num_heads, clamp=options.clamp)


@dataclasses.dataclass(frozen=True)
class Step:
    """One step of a recipe.

    Attributes:
        conditions: What conditions what, in words.
        moves: How often its ICA layers move a token, on average.
        layers: Builds them.
    """

    conditions: str
    moves: float
    layers: Callable[[_Block], Layers]


STEPS: dict[str, Step] = {
    'mmca': Step('the other modalities -> one, for each', 1.0, _mmca),
    'imca': Step('half of each modality -> other half, Eq. 9-10', 2.0, _imca),
    'lica': Step('half -> other half, inside a learned mixing of positions', 1.0, _lica),
    'coupling': Step('half the channels -> other half', 0.0, _coupling),
    # not in the paper
    'cross_modal': Step('the other modalities -> one, by attention coupling', 0.0, _cross_modal),
    'within_modal': Step('half of each -> other half, by attention coupling', 0.0, _within_modal),
    # of the flows it is compared with
    'actnorm': Step('nothing: scale and bias per channel (Glow)', 0.0, _actnorm),
    'channel_linear': Step('nothing: invertible 1 x 1 convolution (Glow)', 0.0, _channel_linear),
    'mixture': Step('half the channels -> other half (Flow++)', 0.0, _mixture),
    'map_attention': Step('half of each -> other half (AttnFlow)', 0.0, _map_attention),
}
