"""What travels beside a model's input: labels, predictions, where they came from."""

from __future__ import annotations

from mmengine.structures import BaseDataElement
from torch import Tensor

__all__ = ['MultiLabelSample', 'SequenceSample']


class _Sample(BaseDataElement):
    """Tensors under fixed names."""

    FIELDS: tuple[str, ...] = ()

    def __setattr__(self, name: str, value: object) -> None:
        if name in self.FIELDS:
            self.set_field(value, name, dtype=Tensor)
        else:
            super().__setattr__(name, value)


class MultiLabelSample(_Sample):
    """One sample of multi-label classification over several modalities.

    Attributes:
        gt_label: 1.0 for each class that it has, (C,).
        pred_score: Probability of each class, (C,).
        thresholds: Scores from which on a class is predicted, chosen on validation data, (C,).
        nll_per_dim: The flow's, in nats, a scalar; only with a flow.

    Its metainfo holds ``sample_id``, ``classes`` and ``present``: for each modality, whether
    the sample has it.
    """

    FIELDS = ('gt_label', 'pred_score', 'thresholds', 'nll_per_dim')


class SequenceSample(_Sample):
    """One sample of several token sequences with a number or one class.

    Attributes:
        gt_label: What is to be predicted: numbers (R,), or the index of a class, a scalar.
        pred_value: Of a regression, (R,).
        pred_score: Of classes, the probability of each, (C,).
        nll_per_dim: The flow's, in nats, a scalar; only with a flow.

    Its metainfo holds ``sample_id`` and ``present``, as in :class:`MultiLabelSample`.
    """

    FIELDS = ('gt_label', 'pred_value', 'pred_score', 'nll_per_dim')
