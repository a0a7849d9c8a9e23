"""Fusion inside the blocks of a stock backbone (TokenFusion, GeminiFusion, CEN).

The three share all weights of the backbone between the modalities but the normalisation
layers. So the modalities go through one backbone as one larger batch, every normalisation
is replaced by one per modality, and at the chosen places the batch is taken apart, exchanged
and put together again. Nothing of the backbone's own code is touched or repeated.
"""

from __future__ import annotations

import functools
import re
from typing import Any

import torch
from mmengine.model import ModuleDict
from torch import Tensor, nn

from mango_mm.fusion import BlockFusion
from mango_mm.fusion.tokens import map_to_tokens, tokens_to_map
from mango_mm.modalities import Modalities
from mango_mm.models.backbones.multi_stream_backbone import MultiStreamBackbone
from mango_mm.models.norms import PrivateNorm, make_norms_private
from mango_mm.registry import FUSIONS, MODELS, build_ours

__all__ = ['BlockFusionBackbone']


@MODELS.register_module()
class BlockFusionBackbone(MultiStreamBackbone):
    r"""Any backbone, its modalities exchanging at every block.

    Blocks whose names agree in the first group of ``blocks`` share one fusion; without a group
    every block has its own. Parts of a few stock backbones:

    ======================  ================================  =========  ================
    backbone                blocks                            read       write
    ======================  ================================  =========  ================
    mmseg MiT               ``layers\.(\d+)\.1\.\d+``         norm1      attn.proj_drop
    mmseg ViT               ``layers\.\d+``                   ln1        attn.proj_drop
    mmseg ResNet-50         ``layer\d+\.\d+\.bn2``            (itself)   (itself)
    ======================  ================================  =========  ================

    Writing at ``attn.proj_drop`` is before the block's residual sum, at ``attn`` after it.

    Args:
        backbone: Config of any registered backbone, without gradient checkpointing.
        modalities: The same as in :class:`MultiStreamBackbone`.
        fusion: Config of a :class:`~mango_mm.fusion.BlockFusion`.
        blocks: Regular expression that a block's whole name must match.
        read: The block's normalisation layer, whose input some fusions look at and whose scales
            others; empty: the block is a normalisation layer itself.
        write: The layer of the block whose output is exchanged: tokens (B, N, C) or a map
            (B, C, H, W). Empty: the block itself.
        init_cfg: The same as in mmengine.

    Raises:
        ValueError: If no block matches, a block lacks the layers named, or the backbone
            checkpoints its blocks.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        modalities: Modalities,
        fusion: dict[str, Any],
        blocks: str,
        read: str = '',
        write: str = '',
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(backbone, modalities, sharing='shared', init_cfg=init_cfg)
        if backbone.get('with_cp'):
            raise ValueError(
                'BlockFusionBackbone needs with_cp=False: the losses of an exchange inside a '
                'checkpoint have no gradient; got with_cp=True.'
            )
        stream = next(iter(self.streams.values()))
        names = {name: re.fullmatch(blocks, name) for name, _ in stream.named_modules()}
        matches = {name: match for name, match in names.items() if match}
        if not matches:
            raise ValueError(
                f'blocks={blocks!r} matches no layer of {type(stream).__name__}; '
                f'it has, for instance, {[n for n in names if n][:8]}.'
            )
        self.fusions = ModuleDict()
        self._entered: dict[str, list[Tensor]] = {}
        self._losses: list[dict[str, Tensor]] = []
        make_norms_private(stream, len(self.use))
        for name, match in matches.items():
            norm = _part(stream, name, read, 'read')
            if not isinstance(norm, PrivateNorm):
                raise ValueError(
                    f'read must name a normalisation layer; {read!r} of block {name!r} is a '
                    f'{type(norm).__name__}.'
                )
            group = str(match.group(1) if match.re.groups else name).replace('.', '_')
            if group not in self.fusions:
                width = norm.scales()[0].shape[0]
                self.fusions[group] = build_ours(FUSIONS, fusion, modalities=self.use, dim=width)
            if read != write:
                norm.register_forward_hook(functools.partial(self._note, name))
            _part(stream, name, write, 'write').register_forward_hook(
                functools.partial(self._exchange, name, self.fusions[group], norm)
            )

    def init_weights(self) -> None:
        """Initialise the backbone, then put every fusion back to its own start."""
        super().init_weights()
        for fusion in self.fusions.values():
            fusion.reset_parameters()

    def extract(self, inputs: Tensor) -> tuple[dict[str, tuple[Tensor, ...]], dict[str, Tensor]]:
        """The pyramid of every modality, and the fusions' losses, each summed over blocks."""
        self._losses, self._entered = [], {}
        try:
            features, _ = super().extract(inputs)
            losses: dict[str, Tensor] = {}
            for given in self._losses:
                for name, value in given.items():
                    key = f'loss_{name}'
                    losses[key] = losses[key] + value if key in losses else value
        finally:
            self._losses, self._entered = [], {}
        return features, losses

    def _note(self, block: str, norm: nn.Module, inputs: Any, output: Tensor) -> None:
        self._entered[block] = self._tokens(inputs[0])

    def _exchange(
        self,
        block: str,
        fusion: BlockFusion,
        norm: PrivateNorm,
        written: nn.Module,
        inputs: Any,
        output: Tensor,
    ) -> Tensor:
        """The output of a layer, exchanged; called by torch after the layer."""
        features, losses = fusion(
            self._tokens(output), entered=self._entered.pop(block, None), scales=norm.scales()
        )
        self._losses.append(losses)
        joint = torch.cat(features)
        return tokens_to_map(joint, output.shape[-2:]) if output.dim() == 4 else joint

    def _tokens(self, x: Tensor) -> list[Tensor]:
        """The modalities' tokens (B, N, C) of a batch that holds all of them."""
        tokens = map_to_tokens(x) if x.dim() == 4 else x
        return list(tokens.chunk(len(self.use)))


def _part(stream: nn.Module, block: str, name: str, role: str) -> nn.Module:
    path = f'{block}.{name}' if name else block
    try:
        return stream.get_submodule(path)
    except AttributeError as error:
        raise ValueError(
            f'{role}={name!r}: block {block!r} has no such layer; it has '
            f'{[n for n, _ in stream.get_submodule(block).named_children()]}.'
        ) from error
