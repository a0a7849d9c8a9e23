"""Multi-stream backbone: any registered backbone, once per modality.

The modalities arrive as the channels of one tensor, because then mmsegmentation's
slide inference, test-time augmentation, hooks and DDP work unmodified; here they part.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModule, ModuleDict
from torch import Tensor

from mango_mm.modalities import Modalities, channels_by_name, specs_by_name
from mango_mm.models.norms import share_all_but_norms
from mango_mm.registry import MODELS, build_ours

__all__ = ['MultiStreamBackbone']

READOUT = ('ignore', 'add')
SHARING = ('separate', 'shared', 'shared_but_norms')
STREAM_CHANNELS = 3  # what pretrained backbones read


@MODELS.register_module()
class MultiStreamBackbone(BaseModule):
    """One stream of features per modality.

    A modality of one channel (depth) is repeated to three, so that weights trained on
    RGB fit every stream; give them in the backbone's own ``init_cfg``. A stream of any other
    number of channels is built with that ``in_channels``; of pretrained weights all but its first
    layer fit, which the log says. One modality is the unimodal baseline: its features are returned
    as the host expects, without a neck.

    Args:
        backbone: Config of any registered backbone.
        backbones: Configs of backbones that differ from it, a list of dicts each with the ``name``
            of its modality. Where they deliver other channels, say so in ``in_channels`` of
            :class:`~mango_mm.models.FusionNeck`.
        modalities: A list of dicts with ``name`` and ``channels``, in the order in which they are
            stacked.
        use: Those that get a stream; None: all. With one name this is the unimodal
            baseline on the same data.
        sharing: ``'separate'`` weights, ``'shared'``, or ``'shared_but_norms'``: all but
            the parameters and statistics of normalisation layers (TokenFusion).
        readout: Of a transformer that delivers its class token beside every map
            (``output_cls_token``): ``'ignore'`` it, or ``'add'`` it to every position (Ranftl et
            al., ICCV 2021, DPT).
        frozen: Do not train it: no gradients, and normalisation by its own statistics. Then it also
            takes features that it made before, of ``CachedFeatures``, in place of images.
        init_cfg: The same as in mmengine.

    Raises:
        ValueError: If ``sharing`` is unknown, or modalities that share weights have neither one
            channel nor as many as the backbone reads, or backbones of their own.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        modalities: Modalities,
        use: Sequence[str] | None = None,
        sharing: str = 'separate',
        backbones: Modalities | None = None,
        readout: str = 'ignore',
        frozen: bool = False,  # noqa: FBT001, FBT002  # a config's keyword
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.frozen = frozen
        if sharing not in SHARING:
            raise ValueError(f'sharing must be one of {SHARING}; got {sharing!r}.')
        if readout not in READOUT:
            raise ValueError(f'readout must be one of {READOUT}; got {readout!r}.')
        self.readout = readout
        if not modalities:
            raise ValueError('modalities must name at least one modality; got none.')
        self.sharing = sharing
        self.channels = channels_by_name(modalities)
        self.use = tuple(self.channels) if use is None else tuple(use)
        unknown = [name for name in self.use if name not in self.channels]
        if unknown or not self.use:
            raise ValueError(f'use must name some of {list(self.channels)}; got {self.use}.')
        configs = self._configs(backbone, backbones)
        self.reads = {
            name: int(c.get('in_channels', STREAM_CHANNELS)) for name, c in configs.items()
        }
        built = self.use[:1] if sharing == 'shared' else self.use
        self.streams = ModuleDict(  # mmengine's: torch's would hide init_weights
            {name: build_ours(MODELS, configs[name]) for name in built}
        )
        if sharing == 'shared_but_norms':
            share_all_but_norms(list(self.streams.values()))
        if frozen:
            self.requires_grad_(False)

    def train(self, mode: bool = True) -> MultiStreamBackbone:  # noqa: FBT001, FBT002  # torch's
        """Set training mode; a frozen backbone stays in evaluation mode."""
        super().train(mode and not self.frozen)
        return self

    def _configs(
        self, backbone: dict[str, Any], backbones: Modalities | None
    ) -> dict[str, dict[str, Any]]:
        """The backbone of every stream, which reads as many channels as its modality has."""
        own = specs_by_name(backbones or {})
        unknown = [name for name in own if name not in self.channels]
        if unknown or (own and self.sharing != 'separate'):
            raise ValueError(
                f'backbones must be of some of {list(self.channels)}, and sharing separate; got '
                f'{list(own)} and {self.sharing!r}.'
            )
        configs = {}
        for name in self.use:
            config = copy.deepcopy(dict(own.get(name) or backbone))
            reads, channels = config.get('in_channels', STREAM_CHANNELS), self.channels[name]
            if channels not in (1, reads):
                if self.sharing != 'separate':
                    raise ValueError(
                        f'modality {name!r} must have 1 channel or the {reads} that the backbone '
                        f"reads, because streams share weights; got {channels}. Set the backbone's "
                        "in_channels, or sharing='separate'."
                    )
                config['in_channels'] = channels
            configs[name] = config
        return configs

    def init_weights(self) -> None:
        super().init_weights()
        if self.sharing == 'shared_but_norms':  # a pretrained load may have cut the ties
            share_all_but_norms(list(self.streams.values()))

    def split(self, inputs: Tensor) -> dict[str, Tensor]:
        """The channels of each modality, (B, C, H, W) each, C the backbone's.

        Raises:
            ValueError: If the channels do not add up.
        """
        wanted = list(self.channels.values())
        if inputs.shape[1] != sum(wanted):
            raise ValueError(
                f'the model reads {self.channels}, {sum(wanted)} channels in all; '
                f'got an input of {inputs.shape[1]}. Check the keys of StackModalities.'
            )
        parts = inputs.split(wanted, dim=1)
        return {
            name: part.expand(-1, self.reads[name], -1, -1) if part.shape[1] == 1 else part
            for name, part in zip(self.channels, parts)
            if name in self.use
        }

    def forward(self, inputs: Tensor) -> Any:
        """Feature maps of every modality.

        Args:
            inputs: All modalities stacked by channel, (B, sum of channels, H, W).

        Returns:
            ``{modality: (map of stage 1, map of stage 2, ...)}``; of a single modality
            only its tuple, as a host expects.
        """
        features, _ = self.extract(inputs)
        return next(iter(features.values())) if len(features) == 1 else features

    def extract(
        self, inputs: Tensor | Mapping[str, Sequence[Tensor]]
    ) -> tuple[dict[str, tuple[Tensor, ...]], dict[str, Tensor]]:
        """The pyramid of every modality, of a single one too, and losses of the backbone's own.

        Args:
            inputs: The same as in :meth:`forward`; of a frozen backbone, or pyramids by modality.

        Raises:
            ValueError: If pyramids come to a backbone that is not frozen, or not of all modalities.
        """
        if isinstance(inputs, Mapping):
            return {name: self._cached(inputs, name) for name in self.use}, {}
        parts = self.split(inputs)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            if self.sharing == 'shared':
                return self._run_shared(parts), {}
            return {name: self._pyramid(self.streams[name](x)) for name, x in parts.items()}, {}

    def _cached(self, inputs: Mapping[str, Sequence[Tensor]], name: str) -> tuple[Tensor, ...]:
        if not self.frozen:
            raise ValueError(
                'the features of a cache come from frozen encoders, and these are trained: set '
                'model.backbone.frozen=True, or train without feature_cache.'
            )
        if name not in inputs:
            raise ValueError(
                f'the cache has features of {sorted(inputs)}; the model reads {name!r}.'
            )
        return tuple(inputs[name])

    def encode_one(
        self, inputs: Tensor | Mapping[str, Sequence[Tensor]], modality: str
    ) -> tuple[Tensor, ...]:
        """The pyramid of one modality alone; the other streams do not run.

        Raises:
            KeyError: If it has no stream.
        """
        if modality not in self.use:
            raise KeyError(f'the backbone has streams for {self.use}; got {modality!r}.')
        if isinstance(inputs, Mapping):
            return self._cached(inputs, modality)
        name = modality if modality in self.streams else self.use[0]
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return self._pyramid(self.streams[name](self.split(inputs)[modality]))

    def _pyramid(self, features: Any) -> tuple[Tensor, ...]:
        """What a stream delivers as maps alone."""
        stages = (features,) if isinstance(features, Tensor) else tuple(features)
        return tuple(x if isinstance(x, Tensor) else self._read_out(*x) for x in stages)

    def _read_out(self, feature: Tensor, cls_token: Tensor) -> Tensor:
        """A map (B, C, H, W) and its class token (B, C)."""
        return feature + cls_token[:, :, None, None] if self.readout == 'add' else feature

    def _run_shared(self, parts: dict[str, Tensor]) -> dict[str, tuple[Tensor, ...]]:
        """All modalities as one larger batch through the one stream."""
        stream = next(iter(self.streams.values()))
        maps = self._pyramid(stream(torch.cat(list(parts.values()))))
        return {name: tuple(m.chunk(len(parts))[i] for m in maps) for i, name in enumerate(parts)}
