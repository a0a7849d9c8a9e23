"""Images and feature vectors as tokens."""

from __future__ import annotations

from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn

from mango_mm.fusion.tokens import map_to_tokens
from mango_mm.registry import MODELS, build_ours

__all__ = ['BackboneTokens', 'FeatureToken']


@MODELS.register_module()
class BackboneTokens(BaseModule):
    """The last feature map of any registered backbone, one token per position.

    Args:
        backbone: Config: ours, mmseg's, mmpretrain's.
        out_dim: Channels of its last map.
        init_cfg: The same as in mmengine.
    """

    def __init__(
        self, backbone: dict[str, Any], out_dim: int, init_cfg: dict[str, Any] | None = None
    ) -> None:
        super().__init__(init_cfg)
        self.backbone, self.out_dim = build_ours(MODELS, dict(backbone)), out_dim

    def forward(self, images: Tensor) -> tuple[Tensor, None]:
        """Tokens (B, N, out_dim) of images (B, 3, H, W), all real."""
        maps = self.backbone(images)
        last = maps if isinstance(maps, Tensor) else maps[-1]
        if last.shape[1] != self.out_dim:
            raise ValueError(
                f'BackboneTokens was built for {self.out_dim} channels; the backbone delivers '
                f'{last.shape[1]}.'
            )
        return map_to_tokens(last), None


@MODELS.register_module()
class FeatureToken(BaseModule):
    """A ready feature vector as one token, through a perceptron.

    Args:
        in_channels: Of the vector.
        out_dim: Channels of the token.
        dropout: Of the vector and of the hidden layer.
        init_cfg: The same as in mmengine.
    """

    def __init__(
        self,
        in_channels: int,
        out_dim: int,
        dropout: float = 0.3,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.out_dim = out_dim
        self.layers = nn.Sequential(
            nn.LayerNorm(in_channels), nn.Dropout(dropout), nn.Linear(in_channels, out_dim),
            nn.GELU(), nn.Dropout(dropout), nn.Linear(out_dim, out_dim),
        )  # fmt: skip

    def forward(self, vectors: Tensor) -> tuple[Tensor, None]:
        """One token (B, 1, out_dim) of vectors (B, in_channels)."""
        return self.layers(vectors)[:, None], None
