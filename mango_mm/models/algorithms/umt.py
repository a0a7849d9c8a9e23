"""UMT: a multimodal student whose encoders learn from uni-modal teachers.

    L = L_task(fused) + lambda * sum_m MSE(f_m, f_m of m's teacher)

f_m are the features before fusion. Trained jointly, encoders stop learning once the easier
modality suffices; a teacher trained on one modality alone shows each what it could find.

``UnimodalProbe`` is the other half of the paper's advice. It trains only what fuses frozen
uni-modal encoders: where it beats the ensemble of the uni-modal models (UME: ``EnsembleHead``
with ``combine='mean'``, or late fusion in classification), modalities have to be seen together,
and UMT is to be taken; else UME. ``tools/analyse/umt_or_ume.py`` runs that test.

Source:
    Du et al., On Uni-Modal Feature Learning in Supervised Multi-Modal Learning, ICML 2023,
    https://arxiv.org/abs/2305.01233.
Decided here:
    which features of segmentation are compared: the maps of all stages, averaged; of
    classification: the mean over a modality's tokens. Any fusion takes the place of the paper's
    concatenation. The exact form of the test is not in the abstract, the only text at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mango_mm.models.algorithms.algorithm import Algorithm, Teacher, check_names
from mango_mm.registry import MODELS

__all__ = ['UMT', 'UnimodalProbe']


@MODELS.register_module()
class UMT(Algorithm):
    """Adds the distance of every modality's features from its teacher's.

    Args:
        student: See :class:`Algorithm`.
        teachers: Arguments of a :class:`Teacher` for some or all modalities.
        distill_weight: lambda.
        data_preprocessor: See :class:`Algorithm`.
        init_cfg: The same as in mmengine.

    Raises:
        ValueError: If there is no teacher, or one of a modality that the student lacks.
    """

    def __init__(
        self,
        student: dict[str, Any],
        teachers: Mapping[str, dict[str, Any]],
        distill_weight: float = 1.0,
        data_preprocessor: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(student, data_preprocessor, init_cfg)
        check_names(teachers, self.task.modalities)
        self.distill_weight = distill_weight
        self.teachers = nn.ModuleDict({m: Teacher(**spec) for m, spec in teachers.items()})

    def loss(self, inputs: Any, data_samples: Any) -> dict[str, Tensor]:
        task = self.task
        features, losses = task.encode(inputs, data_samples)
        losses = {**losses, **task.losses(features, data_samples)}
        for m, teacher in self.teachers.items():
            with torch.no_grad():
                wanted, _ = teacher.task.encode(inputs, data_samples)
            losses[f'loss_distill_{m}'] = self.distill_weight * _distance(
                m, task.to_match(features[m]), task.to_match(wanted[m])
            )
        return losses


@MODELS.register_module()
class UnimodalProbe(Algorithm):
    """Trains what fuses, on encoders of uni-modal models that stay as they are.

    Args:
        student: See :class:`Algorithm`.
        teachers: Arguments of a :class:`Teacher` for every modality; its encoder is copied.
        data_preprocessor: See :class:`Algorithm`.
        init_cfg: The same as in mmengine.

    Raises:
        ValueError: If the teachers are not one for each modality.
    """

    def __init__(
        self,
        student: dict[str, Any],
        teachers: Mapping[str, dict[str, Any]],
        data_preprocessor: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(student, data_preprocessor, init_cfg)
        check_names(teachers, self.task.modalities, every=True)
        self.specs = {m: dict(spec) for m, spec in teachers.items()}
        for module in self._frozen():
            module.requires_grad_(False)

    def init_weights(self) -> None:
        """Initialise, then copy the teachers' encoders."""
        super().init_weights()
        for m, spec in self.specs.items():
            teacher = Teacher(**spec)
            teacher.load()
            for own, trained in zip(self.task.encoder_of(m), teacher.task.encoder_of(m)):
                own.load_state_dict(trained.state_dict())

    def train(self, mode: bool = True) -> UnimodalProbe:  # noqa: FBT001, FBT002  # torch's
        """The encoders stay in evaluation mode."""
        super().train(mode)
        for module in self._frozen():
            module.eval()
        return self

    def loss(self, inputs: Any, data_samples: Any) -> dict[str, Tensor]:
        features, losses = self.task.encode(inputs, data_samples)
        return {**losses, **self.task.losses(features, data_samples)}

    def _frozen(self) -> list[nn.Module]:
        return [module for m in self.specs for module in self.task.encoder_of(m)]


def _distance(name: str, features: list[Tensor], wanted: list[Tensor]) -> Tensor:
    shapes = [tuple(x.shape) for x in features], [tuple(x.shape) for x in wanted]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"the features of {name!r} must have the shapes of its teacher's, {shapes[1]}; got "
            f'{shapes[0]}. Give both the same encoder.'
        )
    return torch.stack([nn.functional.mse_loss(x, y) for x, y in zip(features, wanted)]).mean()
