"""Image-to-image translation: a ``MultimodalTranslator``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mango_mm.models.tasks.task import Losses, Task

__all__ = ['TranslationTask']


class TranslationTask(Task):
    """A ``MultimodalTranslator``; it has an image for an output, and no classes."""

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(self.model.sources)

    def encode(self, inputs: Any, samples: Any) -> tuple[dict[str, Any], Losses]:
        return self.model.generator.encode(inputs), {}

    def output_of(self, features: Mapping[str, Any], samples: Any) -> Tensor:
        size = samples[0].gt_img.shape[-2:]
        images = self.model.generator.decode(features, (int(size[0]), int(size[1])))[0]
        image: Tensor = self.model.combined(features, images)[0]
        return image

    def output(self, inputs: Any, samples: Any) -> Tensor:
        image: Tensor = self.model(inputs)
        return image
