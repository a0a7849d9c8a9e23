"""mmseg's CascadeEncoderDecoder (OCR, PointRend) with a neck that has losses and a likelihood."""

from __future__ import annotations

from typing import Any

from mmseg.models.segmentors import CascadeEncoderDecoder
from torch import Tensor

from mango_mm.models.segmentors.multimodal_encoder_decoder import MultimodalEncoderDecoder
from mango_mm.registry import MODELS

__all__ = ['MultimodalCascadeEncoderDecoder']


@MODELS.register_module()
class MultimodalCascadeEncoderDecoder(MultimodalEncoderDecoder, CascadeEncoderDecoder):
    """A ``MultimodalEncoderDecoder`` whose decode heads refine one another.

    Everything that fusion brings is the same: its losses, ``nll_per_dim`` of every prediction,
    ``present``. Algorithms that train the head of every modality need an ``EnsembleHead``, and
    ONNX export one head.

    Args:
        num_stages: How many heads there are.
        backbone: See :class:`MultimodalEncoderDecoder`.
        decode_head: A list of their configs: the first a decode head, the others cascade heads
            (``OCRHead``, ``PointHead``).
        neck: See :class:`MultimodalEncoderDecoder`.
        **others: The same as in mmseg.

    Raises:
        ValueError: If there is not one head per stage.
    """

    def __init__(
        self,
        num_stages: int,
        backbone: dict[str, Any],
        decode_head: list[dict[str, Any]],
        neck: Any = None,
        **others: Any,
    ) -> None:
        if not isinstance(decode_head, (list, tuple)) or len(decode_head) != num_stages:
            got = len(decode_head) if isinstance(decode_head, (list, tuple)) else 'one config'
            raise ValueError(
                f'decode_head must be a list of {num_stages} heads (num_stages); got {got}.'
            )
        super().__init__(
            backbone=backbone, decode_head=decode_head, neck=neck, num_stages=num_stages, **others
        )

    def decode(self, read: Any, metas: list[dict[str, Any]]) -> Tensor:
        out = self.decode_head[0].forward(read)
        for head in self.decode_head[1:-1]:
            out = head.forward(read, out)
        logits: Tensor = self.decode_head[-1].predict(read, out, metas, self.test_cfg)
        return logits
