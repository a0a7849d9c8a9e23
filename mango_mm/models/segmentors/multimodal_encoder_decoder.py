"""mmseg's EncoderDecoder with a neck that has losses and a likelihood of its own."""

from __future__ import annotations

from typing import Any

import torch
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor

from mango_mm.models.necks import FusionNeck
from mango_mm.registry import MODELS, build_ours

__all__ = ['MultimodalEncoderDecoder']


@MODELS.register_module()
class MultimodalEncoderDecoder(EncoderDecoder):
    """Adds the losses of a ``FusionNeck`` to those of any decode and auxiliary heads.

    Everything else (whole and slide inference, test-time augmentation, hooks, DDP) is
    mmseg's. Without a neck it is mmseg's EncoderDecoder, for unimodal baselines. Each
    prediction carries ``nll_per_dim``, the flow's negative log-likelihood in nats per
    dimension, averaged over windows in slide mode.

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

    def loss(self, inputs: Tensor, data_samples: list[Any]) -> dict[str, Tensor]:
        """The heads' losses and the neck's, by name."""
        losses: dict[str, Tensor] = {}
        features = self.backbone(inputs)
        if self.with_neck and isinstance(self.neck, FusionNeck):
            result = self.neck.fuse(features)
            features = result.maps
            losses.update(result.losses)
        elif self.with_neck:
            features = self.neck(features)
        losses.update(self._decode_head_forward_train(features, data_samples))
        if self.with_auxiliary_head:
            losses.update(self._auxiliary_head_forward_train(features, data_samples))
        return losses

    def extract_feat(self, inputs: Tensor) -> Any:
        """Fused feature maps; notes the likelihood while a prediction is under way."""
        features = self.backbone(inputs)
        if not self.with_neck:
            return features
        if not isinstance(self.neck, FusionNeck):
            return self.neck(features)
        result = self.neck.fuse(features)
        if self._window_nlls is not None and result.nll_per_dim is not None:
            self._window_nlls.append(result.nll_per_dim)
        return result.maps

    def predict(self, inputs: Tensor, data_samples: list[Any] | None = None) -> list[Any]:
        """Mmseg's prediction, with ``nll_per_dim`` on every sample if there is a flow."""
        self._window_nlls = []
        try:
            predictions: list[Any] = super().predict(inputs, data_samples)
            if self._window_nlls:
                per_sample = torch.stack(self._window_nlls).mean(0)
                for prediction, value in zip(predictions, per_sample):
                    prediction.set_field(value, 'nll_per_dim', dtype=Tensor)
        finally:
            self._window_nlls = None
        return predictions
