"""Fusion neck: a fusion at each chosen stage of a multi-stream backbone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn

from mango_mm.fusion import FusionOutput
from mango_mm.fusion.tokens import map_to_tokens, tokens_to_map
from mango_mm.modalities import Modalities, specs_by_name
from mango_mm.models.compiled_flows import compile_flows
from mango_mm.models.likelihood_losses import likelihood_losses
from mango_mm.registry import FUSIONS, MODELS, build_ours

__all__ = ['FusionNeck', 'NeckOutput']


@dataclasses.dataclass
class NeckOutput:
    """Fused maps per stage, the neck's losses, and what each fusion returned."""

    maps: tuple[Tensor, ...]
    losses: dict[str, Tensor]
    nll_per_dim: Tensor | None
    outputs: dict[int, FusionOutput]


@MODELS.register_module()
class FusionNeck(BaseModule):
    """Makes one feature pyramid out of one per modality.

    Every stage keeps its number of channels, so that a decode head needs no change.
    ``forward`` returns the maps alone, as any segmentor expects. The likelihood of a
    flow reaches the loss only through a segmentor that asks for it
    (``MultimodalEncoderDecoder``); under any other the flow learns from the task alone.

    Input, whichever the backbone delivers:
        ``{modality: pyramid}``, a sequence of pyramids in the order of ``modalities``,
        or one pyramid whose maps hold the modalities' channels one after the other.

    A modality that a sample lacks (``present`` of :meth:`fuse`) is masked out as a whole
    and its tokens are zeros, so that no fusion sees what an encoder makes of a blank image.

    Args:
        modalities: Their names, in token order.
        in_channels: Channels of each stage of one modality; or, where backbones differ, a list of
            dicts, each with the ``name`` of a modality and its ``channels``. The fused maps have
            those of the first, and its size at every stage; maps of other sizes are resampled to it
            bilinearly, of other channels brought to one width by a linear layer.
        fusion: Config of a fusion, or one per entry of ``stages``. Only what it
            decides itself: modalities, channels and sizes come from here.
        stages: Where it acts; None: at every stage.
        other: Config of the fusion at all other stages.
        dim: Channels of the tokens that are fused; None: those of the stage.
        nll_weight: Weight of the flow's negative log-likelihood in nats per dimension. At 0 the
            flow learns no density, and was no better than concatenation (docs/results.md).
        compile: Compile the flows: True, or options of ``torch.compile``; see
            ``docs/performance.md`` for when it pays.
        init_cfg: The same as in mmengine.

    Raises:
        ValueError: If a stage does not exist or the fusions are not one per stage.
    """

    def __init__(
        self,
        modalities: Modalities,
        in_channels: Sequence[int] | Modalities,
        fusion: dict[str, Any] | Sequence[dict[str, Any]],
        stages: Sequence[int] | None = None,
        other: dict[str, Any] | None = None,
        dim: int | None = None,
        nll_weight: float = 0.01,
        compile: bool | dict[str, Any] = False,  # noqa: FBT001, FBT002, A002  # a config's keyword
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.modalities = tuple(specs_by_name(modalities))
        self.stage_channels = self._stage_channels(in_channels)
        self.in_channels = self.stage_channels[self.modalities[0]]
        self.nll_weight = nll_weight
        chosen = tuple(range(len(self.in_channels))) if stages is None else tuple(stages)
        if any(not 0 <= s < len(self.in_channels) for s in chosen):
            raise ValueError(f'stages must lie in 0..{len(self.in_channels) - 1}; got {chosen}.')
        configs = [fusion] * len(chosen) if isinstance(fusion, Mapping) else list(fusion)
        if len(configs) != len(chosen):
            raise ValueError(
                f'fusion must be one config or one per stage; got {len(configs)} '
                f'for stages {chosen}.'
            )
        by_stage = dict(zip(chosen, configs))
        self.enter = nn.ModuleList()
        self.fusions = nn.ModuleList()
        for stage, channels in enumerate(self.in_channels):
            fused_here = stage in by_stage
            tokens = dim if dim is not None and fused_here else channels
            self.enter.append(
                nn.ModuleDict(
                    {
                        m: nn.Linear(self.stage_channels[m][stage], tokens)
                        for m in self.modalities
                        if self.stage_channels[m][stage] != tokens
                    }
                )
            )
            config = by_stage[stage] if fused_here else other or dict(type='ConcatFusion')
            self.fusions.append(
                build_ours(
                    FUSIONS, dict(config), modalities=self.modalities, dim=tokens, out_dim=channels
                )
            )
        compile_flows(self.fusions, compile)
        self._warned = False

    def _stage_channels(self, in_channels: Any) -> dict[str, tuple[int, ...]]:
        """Channels of every stage, by modality."""
        given = list(in_channels)
        if all(isinstance(c, int) for c in given):
            return dict.fromkeys(self.modalities, tuple(given))
        found = {m: tuple(spec['channels']) for m, spec in specs_by_name(in_channels).items()}
        if set(found) != set(self.modalities) or len({len(c) for c in found.values()}) != 1:
            raise ValueError(
                f'in_channels must have as many stages for each of {self.modalities}; got {found}.'
            )
        return found

    def init_weights(self) -> None:
        """Initialise, then put every fusion back to its own start.

        An ancestor's ``init_cfg`` rewrites all linear layers; a flow that has to start
        as the identity must come after it.
        """
        super().init_weights()
        for fusion in self.fusions:
            fusion.reset_parameters()

    def forward(self, features: Any) -> tuple[Tensor, ...]:
        """Fused feature maps, one per stage, (B, C_s, H_s, W_s)."""
        result = self.fuse(features)
        if result.losses and self.training and not self._warned:
            self._warned = True
            print_log(
                'FusionNeck: this segmentor does not ask for the loss of the flow, which is '
                'trained by the task alone. Use type="mango_mm.MultimodalEncoderDecoder" to '
                'train its likelihood too.',
                logger='current',
            )
        return result.maps

    def fuse(self, features: Any, present: Tensor | None = None) -> NeckOutput:
        """Fused maps with losses and likelihoods.

        Args:
            features: See the class.
            present: Which modalities each sample has, bool (B, M); None: all.

        Returns:
            ``losses`` holds ``loss_nll``, weighted, and ``nll_per_dim``, for the log. The
            ``nll_per_dim`` beside it has one value per sample, (B,), the mean over stages.
        """
        pyramids = self._pyramids(features)
        maps, outputs, nlls = [], {}, []
        losses: dict[str, Tensor] = {}
        for stage, (enter, fusion) in enumerate(zip(self.enter, self.fusions)):
            stage_maps = {m: pyramids[m][stage] for m in self.modalities}
            grid = next(iter(stage_maps.values())).shape[-2:]
            tokens = {m: map_to_tokens(_resampled(x, grid)) for m, x in stage_maps.items()}
            tokens = {m: enter[m](x) if m in enter else x for m, x in tokens.items()}
            masks = None
            if present is not None:
                tokens, masks = _without_absent(tokens, present)
            output = fusion(tokens, masks=masks, grid=(int(grid[0]), int(grid[1])))
            outputs[stage] = output
            # As any backbone delivers them: some heads use view.
            maps.append(tokens_to_map(output.fused, grid).contiguous())
            nll = output.nll_per_dim()
            if nll is not None:
                nlls.append(nll)
            for name, value in output.losses.items():
                losses[f'loss_{name}_{stage}'] = value
        nll_per_dim = sum(nlls[1:], nlls[0]) / len(nlls) if nlls else None
        losses.update(likelihood_losses(nll_per_dim, self.nll_weight))
        return NeckOutput(tuple(maps), losses, nll_per_dim, outputs)

    def _pyramids(self, features: Any) -> dict[str, Sequence[Tensor]]:
        if isinstance(features, Mapping):
            missing = [m for m in self.modalities if m not in features]
            if missing:
                raise KeyError(
                    f'FusionNeck fuses {self.modalities}; the backbone delivers '
                    f'{list(features)}, without {missing}.'
                )
            pyramids = {m: features[m] for m in self.modalities}
        elif len(features) and isinstance(features[0], Tensor):
            pyramids = self._split_channels(features)
        else:
            if len(features) != len(self.modalities):
                raise ValueError(
                    f'FusionNeck needs one pyramid for each of {self.modalities}; '
                    f'got {len(features)}.'
                )
            pyramids = dict(zip(self.modalities, features))
        for m, pyramid in pyramids.items():
            channels = tuple(x.shape[1] for x in pyramid)
            if channels != self.stage_channels[m]:
                raise ValueError(
                    f'FusionNeck was built for in_channels {self.stage_channels[m]}; '
                    f'the features of {m!r} have {channels}.'
                )
        return pyramids

    def _split_channels(self, maps: Sequence[Tensor]) -> dict[str, Sequence[Tensor]]:
        wanted = [len(self.modalities) * c for c in self.in_channels]
        if [x.shape[1] for x in maps] != wanted:
            raise ValueError(
                f'one pyramid for all of {self.modalities} must have {wanted} channels '
                f'(in_channels of each, one after the other); got {[x.shape[1] for x in maps]}.'
            )
        parts = [x.chunk(len(self.modalities), dim=1) for x in maps]
        return {m: [p[i] for p in parts] for i, m in enumerate(self.modalities)}


def _resampled(x: Tensor, size: Sequence[int]) -> Tensor:
    """A map (B, C, H, W) at another size; the same where it has it."""
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    return nn.functional.interpolate(x, tuple(size), mode='bilinear', align_corners=False)


def _without_absent(
    tokens: Mapping[str, Tensor], present: Tensor
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Tokens with zeros for what is absent, and masks that say so.

    Zeros here as well as in the segmentor's features: between the two lies a linear layer with a
    bias, and a fusion at one position (concatenation) has no mask to leave a modality out by.
    """
    kept, masks = {}, {}
    for index, (m, x) in enumerate(tokens.items()):
        masks[m] = present[:, index : index + 1].to(x.device).expand(x.shape[:2])
        kept[m] = x.masked_fill(~masks[m][..., None], 0.0)
    return kept, masks
