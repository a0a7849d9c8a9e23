"""mmseg's EncoderDecoder with a neck that has losses and a likelihood of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor

from mango_mm.models.backbones import BlockFusionBackbone
from mango_mm.models.necks import FusionNeck
from mango_mm.models.presence import presence
from mango_mm.models.segmentors.ensemble_head import FUSED
from mango_mm.registry import MODELS, build_ours

__all__ = ['MultimodalEncoderDecoder']


@MODELS.register_module()
class MultimodalEncoderDecoder(EncoderDecoder):
    """Adds the losses of a ``FusionNeck``, or of fusion in the backbone, to those of the heads.

    Everything else (whole and slide inference, test-time augmentation, hooks, DDP) is
    mmseg's. Without a neck it is mmseg's EncoderDecoder, for unimodal baselines. Each
    prediction carries ``nll_per_dim``, the flow's negative log-likelihood in nats per
    dimension, averaged over windows in slide mode. A modality that a sample lacks (``present`` in
    its metainfo, from ``DropModality``) has features of zeros, without gradient, and is masked out
    in a ``FusionNeck``; to fusion inside the backbone it is the blank image that it came as.

    Args:
        backbone: Ours or any registered one.
        decode_head: Any decode head of mmseg.
        neck: A ``FusionNeck``, or None.
        **others: As in mmseg.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        decode_head: dict[str, Any],
        neck: dict[str, Any] | None = None,
        **others: Any,
    ) -> None:
        super().__init__(backbone=backbone, decode_head=decode_head, neck=None, **others)
        if neck is not None:
            self.neck = build_ours(MODELS, neck)
        self.data_preprocessor.honours_present = True
        self._window_nlls: list[Tensor] | None = None
        self._metas: list[dict[str, Any]] = []

    def encode(
        self, inputs: Tensor, metas: Sequence[Mapping[str, Any]] = ()
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The backbone's pyramid of every modality, and the losses of fusion inside it.

        Of a unimodal backbone, or any other, the one pyramid under the name of its modality,
        or ``'all'``. Of a modality that a sample lacks, zeros: what an encoder makes of a blank
        image means nothing, and its normalisations multiply gradients by 1 / sqrt(eps) each.
        """
        losses: dict[str, Tensor] = {}
        if isinstance(self.backbone, BlockFusionBackbone):
            features, losses = self.backbone.extract(inputs)
        else:
            features = self.backbone(inputs)
        if not isinstance(features, Mapping):
            names = getattr(self.backbone, 'use', ('all',))
            features = {names[0] if len(names) == 1 else 'all': features}
        present = presence(metas, tuple(features), some=False) if len(features) > 1 else None
        if present is None:
            return dict(features), losses
        seen = dict(zip(features, present.to(inputs.device).T))
        return {m: _blanked(pyramid, seen[m]) for m, pyramid in features.items()}, losses

    def merge(
        self, features: Mapping[str, Any], present: Tensor | None = None
    ) -> tuple[Any, dict[str, Tensor], Tensor | None]:
        """What the decode head reads, the neck's losses, and NLL per dimension, (B,) or None."""
        several = len(features) > 1
        given = features if several else next(iter(features.values()))
        if not self.with_neck:
            return given, {}, None
        if not isinstance(self.neck, FusionNeck):
            return self.neck(given), {}, None
        result = self.neck.fuse(given, present)
        wanted = getattr(self.decode_head, 'combine', None) == FUSED
        maps = {**features, FUSED: result.maps} if wanted else result.maps
        return maps, result.losses, result.nll_per_dim

    def loss(self, inputs: Tensor, data_samples: list[Any]) -> dict[str, Tensor]:
        """The losses of the heads, of the neck and of fusion in the backbone, by name."""
        features, losses = self.encode(inputs, [s.metainfo for s in data_samples])
        return {**losses, **self.loss_from(features, data_samples)}

    def loss_from(self, features: Mapping[str, Any], data_samples: list[Any]) -> dict[str, Tensor]:
        """The losses of the neck and of the heads, of features that :meth:`encode` gave."""
        present = self.presence([s.metainfo for s in data_samples])
        merged, losses, _ = self.merge(features, present)
        losses = {**losses, **self._decode_head_forward_train(merged, data_samples)}
        if self.with_auxiliary_head:
            losses.update(self._auxiliary_head_forward_train(merged, data_samples))
        return losses

    def extract_feat(self, inputs: Tensor) -> Any:
        """What the decode head reads; notes the likelihood while a prediction is under way."""
        features, _ = self.encode(inputs, self._metas)
        merged, _, nll_per_dim = self.merge(features, self.presence(self._metas))
        if self._window_nlls is not None and nll_per_dim is not None:
            self._window_nlls.append(nll_per_dim)
        return merged

    def predict(self, inputs: Tensor, data_samples: list[Any] | None = None) -> list[Any]:
        """Mmseg's prediction, with ``nll_per_dim`` on every sample if there is a flow."""
        self._window_nlls = []
        self._metas = [s.metainfo for s in data_samples or ()]
        try:
            predictions: list[Any] = super().predict(inputs, data_samples)
            if self._window_nlls:
                per_sample = torch.stack(self._window_nlls).mean(0)
                for prediction, value in zip(predictions, per_sample):
                    prediction.set_field(value, 'nll_per_dim', dtype=Tensor)
        finally:
            self._window_nlls, self._metas = None, []
        return predictions

    def presence(self, metas: Sequence[Mapping[str, Any]]) -> Tensor | None:
        """Which modalities of the neck the samples have, bool (B, M); None: all."""
        if not metas or not isinstance(self.neck if self.with_neck else None, FusionNeck):
            return None
        return presence(metas, self.neck.modalities)


def _blanked(pyramid: Sequence[Tensor], seen: Tensor) -> list[Tensor]:
    """A pyramid with zeros, and no gradient, for the samples not seen."""
    return [x.masked_fill(~seen.view(-1, 1, 1, 1), 0.0) for x in pyramid]
