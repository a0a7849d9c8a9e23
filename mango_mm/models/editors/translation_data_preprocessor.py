"""Batches translated domains: they are in [-1, 1] already, so nothing is normalised."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor

__all__ = ['TranslationDataPreprocessor']


class TranslationDataPreprocessor(BaseDataPreprocessor):
    """Stacks ``inputs`` to one batch per domain; ``data_samples`` stay a list.

    mmagic's own subtracts one mean from all inputs and works in 0..255, where a 16-bit
    depth would lose its precision.

    Raises:
        ValueError: If the images of a batch differ in size.
    """

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002  # mmengine passes it by position
        data = self.cast_data(data)
        inputs = data['inputs']
        batch = {}
        for domain, images in inputs.items():  # a list per domain: mmengine's collation
            sizes = {tuple(image.shape[-2:]) for image in images}
            if len(sizes) > 1:
                raise ValueError(
                    f'the {domain} images of a batch must have one size; got {sorted(sizes)}. '
                    'Resize or crop in the pipeline, or use batches of one.'
                )
            batch[domain] = torch.stack(images)
        return {'inputs': batch, 'data_samples': data.get('data_samples')}
