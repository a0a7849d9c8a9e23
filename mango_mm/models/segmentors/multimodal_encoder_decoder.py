"""mmseg's EncoderDecoder with a neck that has losses and a likelihood of its own."""

from __future__ import annotations

from collections.abc import Mapping
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
    its metainfo, from ``DropModality``) is masked out in a ``FusionNeck``; to fusion inside the
    backbone it is the blank image that it came as.

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
        self._window_nlls: list[Tensor] | None = None
        self._present: Tensor | None = None

    def encode(self, inputs: Tensor) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The backbone's pyramid of every modality, and the losses of fusion inside it.

        Of a unimodal backbone, or any other, the one pyramid under the name of its modality,
        or ``'all'``.
        """
        losses: dict[str, Tensor] = {}
        if isinstance(self.backbone, BlockFusionBackbone):
            features, losses = self.backbone.extract(inputs)
        else:
            features = self.backbone(inputs)
        if not isinstance(features, Mapping):
            names = getattr(self.backbone, 'use', ('all',))
            features = {names[0] if len(names) == 1 else 'all': features}
        return dict(features), losses

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
        features, losses = self.encode(inputs)
        return {**losses, **self.loss_from(features, data_samples)}

    def loss_from(self, features: Mapping[str, Any], data_samples: list[Any]) -> dict[str, Tensor]:
        """The losses of the neck and of the heads, of features that :meth:`encode` gave."""
        merged, losses, _ = self.merge(features, self._presence([s.metainfo for s in data_samples]))
        losses = {**losses, **self._decode_head_forward_train(merged, data_samples)}
        if self.with_auxiliary_head:
            losses.update(self._auxiliary_head_forward_train(merged, data_samples))
        return losses

    def extract_feat(self, inputs: Tensor) -> Any:
        """What the decode head reads; notes the likelihood while a prediction is under way."""
        merged, _, nll_per_dim = self.merge(self.encode(inputs)[0], self._present)
        if self._window_nlls is not None and nll_per_dim is not None:
            self._window_nlls.append(nll_per_dim)
        return merged

    def predict(self, inputs: Tensor, data_samples: list[Any] | None = None) -> list[Any]:
        """Mmseg's prediction, with ``nll_per_dim`` on every sample if there is a flow."""
        self._window_nlls = []
        metas = [s.metainfo for s in data_samples or ()]
        self._present = self._presence(metas)
        try:
            predictions: list[Any] = super().predict(inputs, data_samples)
            if self._window_nlls:
                per_sample = torch.stack(self._window_nlls).mean(0)
                for prediction, value in zip(predictions, per_sample):
                    prediction.set_field(value, 'nll_per_dim', dtype=Tensor)
        finally:
            self._window_nlls = self._present = None
        return predictions

    def _presence(self, metas: list[dict[str, Any]]) -> Tensor | None:
        """Which modalities of the neck the samples have, (B, M); None: all."""
        if not metas or not isinstance(self.neck if self.with_neck else None, FusionNeck):
            return None
        return presence(metas, self.neck.modalities)
