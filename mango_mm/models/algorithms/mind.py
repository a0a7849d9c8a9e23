"""MIND: ensembles of uni-modal teachers distilled into a multi-head student.

    L = L_task(fused) + sum_m a_m L_task(head_m) + sum_m b_m KD(head_m, mean teacher logits of m)

The student has a head for every modality beside the one on the fused feature. So a sample
that lacks a modality is decided by the heads of those it has, without imputation.

Source:
    Guerra-Manzanares and Shamout, MIND: Modality-Informed Knowledge Distillation Framework for
    Multimodal Clinical Prediction Tasks, TMLR 2025, https://arxiv.org/abs/2502.01158, of which
    only the abstract was at hand.
Decided here:
    the form of KD: Hinton's divergence, over classes or per label; that all weights are 1; that
    several present heads are averaged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mango_mm.models.algorithms.algorithm import Algorithm, Teacher, check_names
from mango_mm.registry import MODELS

__all__ = ['MIND']


@MODELS.register_module()
class MIND(Algorithm):
    """Teaches every head of a multi-head student by the teachers of its modality.

    Args:
        student: A segmentor with ``EnsembleHead(combine='fused')``, or a classifier with a
            fusion and ``unimodal_heads``.
        teachers: For some or all modalities a list of arguments of :class:`Teacher`, an
            ensemble; of any size each.
        task_weight: a_m, for all modalities or by name; how much each learns from labels.
        distill_weight: b_m, likewise.
        temperature: Of the distillation.
        data_preprocessor: See :class:`Algorithm`.
        init_cfg: The same as in mmengine.

    Raises:
        ValueError: If the student has no head for every modality, or a teacher none to teach.
    """

    def __init__(
        self,
        student: dict[str, Any],
        teachers: Mapping[str, Sequence[dict[str, Any]]],
        task_weight: float | Mapping[str, float] = 1.0,
        distill_weight: float | Mapping[str, float] = 1.0,
        temperature: float = 1.0,
        data_preprocessor: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(student, data_preprocessor, init_cfg)
        names = self.task.modalities
        check_names(teachers, names)
        self.task_weight, self.distill_weight = _by_name(task_weight), _by_name(distill_weight)
        self.temperature = temperature
        self.teachers = nn.ModuleDict(
            {m: nn.ModuleList(Teacher(**spec) for spec in specs) for m, specs in teachers.items()}
        )

    def loss(self, inputs: Any, data_samples: Any) -> dict[str, Tensor]:
        task = self.task
        features, losses = task.encode(inputs, data_samples)
        logits, by_head, others = task.decode(features, data_samples)
        absent = [m for m in task.modalities if m not in logits]
        if absent or 'fused' not in logits:
            raise ValueError(
                f"MIND's student needs a head for each of {task.modalities} and one for the fused "
                f"feature; it has {list(logits)}. Set combine='fused' or unimodal_heads={{}}."
            )
        losses = {**losses, **others}
        for name, found in by_head.items():
            weight = self.task_weight(name) if name in task.modalities else 1.0
            losses.update({k: weight * v if 'loss' in k else v for k, v in found.items()})
        present = task.presence(data_samples)
        for m, ensemble in self.teachers.items():
            with torch.no_grad():
                answers = [teacher.task.output(inputs, data_samples) for teacher in ensemble]
            wanted = torch.stack(answers).mean(dim=0)
            distance = task.distill(logits[m], wanted, self.temperature)
            if present is not None:
                distance = distance * present[:, task.modalities.index(m)].to(distance)
            losses[f'loss_distill_{m}'] = self.distill_weight(m) * distance.mean()
        return losses


def _by_name(weight: float | Mapping[str, float]) -> Any:
    if isinstance(weight, Mapping):
        return lambda name: weight.get(name, 1.0)
    return lambda name: weight
