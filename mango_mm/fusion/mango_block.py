"""One MANGO block from a recipe: a list of step names, each one or more layers.

    step            layers                                     conditions -> moves
    mmca            M ICA, one per modality                    the others -> that one
    imca            4 ICA, the variants of Eq. 9-10            half of each -> other half
    lica            2 ICA inside a learned mixing of positions half -> other half
    coupling        1 affine coupling over channels            half the channels -> other half
    cross_modal     M attention couplings (not in the paper)   the others -> that one
    within_modal    2 attention couplings (not in the paper)   half of each -> other half
    actnorm         1 ActNorm                                  -
    channel_linear  1 invertible 1 x 1 convolution (Glow)      -
    mixture         1 mixture-logistic coupling (Flow++)       half the channels -> other half
    map_attention   4 map attentions (AttnFlow), as in IMCA    half of each -> other half

A recipe is data, so that the paper's ablations and stronger blocks are configs. Token
order alternates from layer to layer, because the triangular mask lets the last
token see only itself; and the coupling's halves alternate from block to block.

Source:
    Truong et al., MANGO, https://arxiv.org/abs/2508.10133, Section 3.2-3.3, Fig. 2 and 4.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

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
from mango_mm.flows.rivals import ChannelLinear, MapAttention, MixtureCoupling

__all__ = ['RECIPES', 'LayerOptions', 'build_block', 'moves_per_token', 'resolve_recipe']

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

STEPS = ('mmca', 'imca', 'lica', 'coupling', 'cross_modal', 'within_modal', 'actnorm',
         'channel_linear', 'mixture', 'map_attention')  # fmt: skip


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
        raise ValueError(f'the steps of a recipe are {STEPS}; got {unknown}.')
    return tuple(recipe)


def moves_per_token(recipe: Sequence[str], depth: int) -> float:
    """How many ICA layers move each token, on average, in ``depth`` blocks."""
    return depth * sum({'mmca': 1.0, 'imca': 2.0, 'lica': 1.0}.get(step, 0.0) for step in recipe)


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
    builder = _BlockBuilder(dim, lengths, index, options)
    for step in recipe:
        getattr(builder, f'add_{step}')()
    return Chain(*builder.layers)


class _BlockBuilder:
    """Collects the layers of one block; one method per step."""

    def __init__(self, dim: int, lengths: Sequence[int], index: int, options: LayerOptions) -> None:
        self.dim, self.lengths, self.index, self.options = dim, lengths, index, options
        # MMCA needs another modality to be conditioned by.
        self.targets = range(len(lengths)) if len(lengths) > 1 else range(0)
        self.layers: list[Bijection] = []

    @property
    def reverse(self) -> bool:
        """Whether the next layer reads its tokens from the end: every other one does."""
        return (self.index + len(self.layers)) % 2 == 1

    def add_mmca(self) -> None:
        for target in self.targets:
            self.layers.append(
                self._ica(TokenPartition.mmca(self.lengths, target=target, reverse=self.reverse))
            )

    def add_imca(self) -> None:
        for variant in range(4):
            partition = TokenPartition.imca(
                self.lengths,
                variant=variant,
                interleaved=self.options.halves == 'interleaved',
                reverse=self.reverse,
            )
            self.layers.append(self._ica(partition))

    def add_lica(self) -> None:
        total = sum(self.lengths)
        for swap in (False, True):
            self.layers.append(
                LearnableCrossAttention(
                    self.dim, total, swap=swap, reverse=self.reverse, **self._attention_options()
                )
            )

    def add_coupling(self) -> None:
        self.layers.append(
            AffineCoupling(
                self.dim,
                hidden_dim=self.options.hidden_dim,
                swap=self.index % 2 == 1,
                clamp=self.options.clamp,
            )
        )

    def add_cross_modal(self) -> None:
        for target in self.targets:
            self._add_attention_coupling(TokenPartition.mmca(self.lengths, target=target))

    def add_within_modal(self) -> None:
        for variant in (0, 3):
            self._add_attention_coupling(TokenPartition.imca(self.lengths, variant=variant))

    def add_actnorm(self) -> None:
        self.layers.append(ActNorm(self.dim))

    def add_channel_linear(self) -> None:
        self.layers.append(ChannelLinear(self.dim))

    def add_mixture(self) -> None:
        self.layers.append(
            MixtureCoupling(
                self.dim,
                num_heads=self.options.num_heads,
                hidden_dim=self.options.hidden_dim,
                swap=self.index % 2 == 1,
                clamp=self.options.clamp,
            )
        )

    def add_map_attention(self) -> None:
        for variant in range(4):
            partition = TokenPartition.imca(self.lengths, variant=variant)
            self.layers.append(
                MapAttention(
                    self.dim, partition, num_heads=self.options.num_heads, clamp=self.options.clamp
                )
            )

    def _ica(self, partition: TokenPartition) -> InvertibleCrossAttention:
        return InvertibleCrossAttention(self.dim, partition, **self._attention_options())

    def _attention_options(self) -> dict[str, Any]:
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

    def _add_attention_coupling(self, partition: TokenPartition) -> None:
        self.layers.append(
            AttentionCoupling(
                self.dim,
                partition,
                num_heads=self.options.num_heads,
                hidden_dim=self.options.hidden_dim,
                clamp=self.options.clamp,
            )
        )
