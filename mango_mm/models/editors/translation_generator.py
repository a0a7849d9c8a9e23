"""The network of a translator: encoders of the sources, their fusion, and decoders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.model import BaseModule, ModuleDict
from torch import Tensor

from mango_mm.models.necks import FusionNeck
from mango_mm.registry import MODELS, build_ours

__all__ = ['FUSED', 'TranslationGenerator']

FUSED = 'fused'  # the image made of the fused pyramid, beside those of the sources


class TranslationGenerator(BaseModule):
    """Several source images to one target image, or to one of each source besides.

    Args:
        sources: Channels of each source domain, in token order.
        encoder: Config of a backbone that delivers a pyramid.
        decoder: Config of a decoder like ``UNetDecoder``.
        neck: Config of a ``FusionNeck`` over the sources, or None for a single source.
        shared: One encoder for all sources, which then must have equal channels.
        unimodal: Config of a decoder of every source's own pyramid; None: there are none.
        init_cfg: The same as in mmengine.

    Raises:
        ValueError: If several sources have no neck, or shared ones differ in channels, or there are
            decoders of the sources beside none of the fused pyramid.
    """

    def __init__(
        self,
        sources: Mapping[str, int],
        encoder: dict[str, Any],
        decoder: dict[str, Any],
        neck: dict[str, Any] | None = None,
        *,
        shared: bool = False,
        unimodal: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.sources = dict(sources)
        if not self.sources or (neck is None and len(self.sources) > 1):
            raise ValueError(f'{list(self.sources)} need a neck that fuses them; got none.')
        if shared and len(set(self.sources.values())) > 1:
            raise ValueError(f'sources of different channels cannot share: {self.sources}.')
        if unimodal is not None and neck is None:
            raise ValueError('decoders of single sources stand beside that of a neck; got none.')
        self.shared = shared
        names = list(self.sources)[:1] if shared else list(self.sources)
        self.encoders = ModuleDict(  # mmengine's: torch's would hide init_weights
            {m: build_ours(MODELS, dict(encoder), in_channels=self.sources[m]) for m in names}
        )
        self.neck = build_ours(MODELS, dict(neck), modalities=list(self.sources)) if neck else None
        if self.neck is not None and not isinstance(self.neck, FusionNeck):
            raise TypeError(f'neck must be a FusionNeck; got {type(self.neck).__name__}.')
        self.decoder = build_ours(MODELS, dict(decoder))
        self.unimodal = ModuleDict(
            {m: build_ours(MODELS, dict(unimodal)) for m in self.sources} if unimodal else {}
        )

    def forward(
        self, inputs: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor | None]:
        """Images of the target, the neck's losses, and its negative log-likelihood, (B,).

        Args:
            inputs: Every source, (B, C, H, W) in [-1, 1].

        Returns:
            Images by name: ``'fused'``, and of every source that has a decoder of its own.

        Raises:
            KeyError: If a source is missing.
        """
        size = next(iter(inputs.values())).shape[-2:]
        return self.decode(self.encode(inputs), (int(size[0]), int(size[1])))

    def encode(self, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
        """The pyramid of every source.

        Raises:
            KeyError: If a source is missing.
        """
        missing = [m for m in self.sources if m not in inputs]
        if missing:
            raise KeyError(f'the model reads {list(self.sources)}; the input lacks {missing}.')
        first = next(iter(self.encoders))
        return {m: self.encoders[first if self.shared else m](inputs[m]) for m in self.sources}

    def decode(
        self, pyramids: Mapping[str, Any], size: tuple[int, int]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor | None]:
        """As :meth:`forward` returns it, of pyramids that :meth:`encode` gave."""
        maps, losses, nll = pyramids[next(iter(self.sources))], {}, None
        if self.neck is not None:
            result = self.neck.fuse(pyramids)
            maps, losses, nll = result.maps, result.losses, result.nll_per_dim
        images = {m: decoder(pyramids[m], size=size) for m, decoder in self.unimodal.items()}
        return {**images, FUSED: self.decoder(maps, size=size)}, losses, nll
