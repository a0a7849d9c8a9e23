"""Multimodal image-to-image translation: encoders, a fusion per scale, a decoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmagic.models.base_models import BaseEditModel
from mmagic.structures import DataSample
from mmengine.model import BaseModel, ModuleDict
from torch import Tensor

from mango_mm.models.necks import FusionNeck
from mango_mm.registry import MODELS, build_ours

__all__ = ['MultimodalTranslator']


class MultimodalTranslator(BaseEditModel):
    """Several source domains to one target domain, as an mmagic model.

    Every source has an encoder of its own, or all share one; a ``FusionNeck`` makes one
    pyramid of theirs; a decoder makes the image. Losses: a pixel loss over the measured
    pixels of the target, and whatever the neck has (the flow's likelihood).

    A prediction is mmagic's: ``data_sample.output.pred_img``, here in [-1, 1] as all
    domains are, with ``nll_per_dim`` if there is a flow.

    Args:
        sources: Channels of each source domain, in token order.
        encoder: Config of a backbone that delivers a pyramid.
        neck: Config of a ``FusionNeck`` over the sources, or None for a single source.
        decoder: Config of a decoder like ``UNetDecoder``.
        pixel_loss: Config of one of mmagic's pixel losses; it is given the mask as weight.
        shared: One encoder for all sources, which then must have equal channels.
        data_preprocessor: As in mmengine; None: ``TranslationDataPreprocessor``.
        init_cfg: As in mmengine.

    Raises:
        ValueError: If several sources have no neck, or shared ones differ in channels.
    """

    def __init__(
        self,
        sources: Mapping[str, int],
        encoder: dict[str, Any],
        decoder: dict[str, Any],
        neck: dict[str, Any] | None = None,
        pixel_loss: dict[str, Any] | None = None,
        shared: bool = False,  # noqa: FBT001, FBT002  # a config's keyword
        data_preprocessor: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        preprocessor = data_preprocessor or {'type': 'mango_mm.TranslationDataPreprocessor'}
        # Not BaseEditModel's constructor: it builds one generator out of one config.
        BaseModel.__init__(self, init_cfg=init_cfg, data_preprocessor=preprocessor)
        self.sources = dict(sources)
        if not self.sources or (neck is None and len(self.sources) > 1):
            raise ValueError(f'{list(self.sources)} need a neck that fuses them; got none.')
        if shared and len(set(self.sources.values())) > 1:
            raise ValueError(f'sources of different channels cannot share: {self.sources}.')
        self.shared = shared
        names = list(self.sources)[:1] if shared else list(self.sources)
        self.encoders = ModuleDict(  # mmengine's: torch's would hide init_weights
            {m: build_ours(MODELS, dict(encoder), in_channels=self.sources[m]) for m in names}
        )
        self.neck = build_ours(MODELS, dict(neck), modalities=list(sources)) if neck else None
        if self.neck is not None and not isinstance(self.neck, FusionNeck):
            raise TypeError(f'neck must be a FusionNeck; got {type(self.neck).__name__}.')
        self.decoder = build_ours(MODELS, dict(decoder))
        self.pixel_loss = MODELS.build(pixel_loss or {'type': 'mmagic.L1Loss', 'loss_weight': 1.0})

    def forward(
        self,
        inputs: dict[str, Tensor],
        data_samples: list[DataSample] | None = None,
        mode: str = 'tensor',
        **_: Any,
    ) -> Any:
        """Images, losses or predictions, as mmengine's modes ask."""
        prediction, losses, nll = self.translate(inputs)
        if mode == 'tensor':
            return prediction
        if mode == 'loss':
            target = torch.stack([sample.gt_img for sample in data_samples or []])
            mask = torch.stack([sample.gt_mask for sample in data_samples or []])
            return {'loss_pixel': self.pixel_loss(prediction, target, weight=mask), **losses}
        if mode != 'predict':
            raise ValueError(f"mode must be 'tensor', 'loss' or 'predict'; got {mode!r}.")
        return self._to_samples(prediction, nll, inputs, data_samples)

    def translate(
        self, inputs: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor], Tensor | None]:
        """The target, the neck's losses, and its negative log-likelihood, (B,).

        Args:
            inputs: Every source, (B, C, H, W) in [-1, 1].

        Raises:
            KeyError: If a source is missing.
        """
        missing = [m for m in self.sources if m not in inputs]
        if missing:
            raise KeyError(f'the model reads {list(self.sources)}; the input lacks {missing}.')
        first = next(iter(self.encoders))
        pyramids = {m: self.encoders[first if self.shared else m](inputs[m]) for m in self.sources}
        maps, losses, nll = pyramids[next(iter(self.sources))], {}, None
        if self.neck is not None:
            result = self.neck.fuse(pyramids)
            maps, losses, nll = result.maps, result.losses, result.nll_per_dim
        size = next(iter(inputs.values())).shape[-2:]
        return self.decoder(maps, size=tuple(size)), losses, nll

    @staticmethod
    def _to_samples(
        prediction: Tensor,
        nll: Tensor | None,
        inputs: Mapping[str, Tensor],
        data_samples: list[DataSample] | None,
    ) -> list[DataSample]:
        samples = data_samples or [DataSample() for _ in prediction]
        for i, sample in enumerate(samples):
            sample.output = DataSample(pred_img=prediction[i].detach())
            if nll is not None:
                sample.set_field(nll[i].detach(), 'nll_per_dim', dtype=Tensor)
            for name, images in inputs.items():
                sample.set_field(images[i], f'source_{name}', dtype=Tensor)
        return samples
