"""What travels beside a model's input: labels, predictions, where they came from."""

from __future__ import annotations

from mmengine.structures import BaseDataElement
from torch import Tensor

__all__ = ['MultiLabelSample']


class MultiLabelSample(BaseDataElement):
    """One sample of multi-label classification over several modalities.

    Attributes:
        gt_label: 1.0 for each class that it has, (C,).
        pred_score: Probability of each class, (C,).
        thresholds: Scores from which on a class is predicted, chosen on validation data, (C,).
        nll_per_dim: The flow's, in nats, a scalar; only with a flow.

    Its metainfo holds ``sample_id``, ``classes`` and ``present``: for each modality, whether
    the sample has it.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if name in ('gt_label', 'pred_score', 'thresholds', 'nll_per_dim'):
            self.set_field(value, name, dtype=Tensor)
        else:
            super().__setattr__(name, value)
