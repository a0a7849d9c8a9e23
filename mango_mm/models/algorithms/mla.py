"""MLA: the modalities train in turn, through one head whose gradient is projected.

For every batch, for every modality m in turn: the loss of m alone through the shared head,
backward, the gradient of the head's last layer projected away from the features of earlier turns
(``GradientProjection``), a step of the optimiser. No joint loss: no modality can hold another
back. At test the modalities' logits are weighted by their certainty (``combine='entropy'``).

Source:
    Zhang et al., Multimodal Representation Learning by Alternating Unimodal Adaptation, CVPR
    2024, https://arxiv.org/abs/2311.10707. How its released code departs from it, and what is
    done here: see ``mango_mm.objectives.GradientProjection``.
Decided here:
    at test every sample has its own weights, where the release takes one per batch;
    alpha falls from .1 to .01 over the whole training, where the code lets it fall within
    every epoch; of a segmentation head the last 1 x 1 convolution is projected, its input
    averaged over pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.logging import MessageHub
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from torch import Tensor

from mango_mm.models.algorithms.algorithm import Algorithm
from mango_mm.objectives import GradientProjection
from mango_mm.registry import MODEL_WRAPPERS, MODELS

__all__ = ['MLA', 'AlternatingDataParallel']

ALPHA = 0.1


@MODELS.register_module()
class MLA(Algorithm):
    """Alternating uni-modal adaptation.

    Several processes need ``model_wrapper_cfg=dict(type='mango_mm.AlternatingDataParallel')``.

    Args:
        student: Without a fusion, with one head shared by all modalities: a segmentor with
            ``EnsembleHead(combine='entropy', shared=True)``, or a classifier with ``fusion=None``
            and ``unimodal_heads=dict(combine='entropy', shared=True)``.
        data_preprocessor: See :class:`Algorithm`.
        init_cfg: The same as in mmengine.

    Raises:
        ValueError: If the modalities do not share the last layer.
    """

    def __init__(
        self,
        student: dict[str, Any],
        data_preprocessor: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(student, data_preprocessor, init_cfg)
        layers = [self.task.last_layer(m) for m in self.task.modalities]
        first = layers[0].get_parameter('weight')
        if any(layer.get_parameter('weight') is not first for layer in layers):
            raise ValueError(
                "MLA needs one head for all modalities: set shared=True on the student's "
                'EnsembleHead or unimodal_heads.'
            )
        self.projection = GradientProjection(first.shape[1])
        self._mean_input: Tensor | None = None
        for layer in dict.fromkeys(layers):
            layer.register_forward_pre_hook(self._note)

    def _note(self, layer: torch.nn.Module, inputs: tuple[Tensor]) -> None:
        """Keep the mean input, (C,), of the shared layer."""
        x = inputs[0].detach()
        self._mean_input = x.transpose(0, 1).flatten(1).mean(dim=1)

    def forward(
        self, inputs: Any, data_samples: Any = None, mode: str = 'tensor', only: str | None = None
    ) -> Any:
        """As every algorithm; with ``only``, the losses of one modality."""
        if mode == 'loss' and only is not None:
            feature = self.task.encode_one(inputs, data_samples, only)
            return self.task.decode_one(feature, data_samples, only)
        return super().forward(inputs, data_samples, mode)

    def loss(self, inputs: Any, data_samples: Any) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        for m in self.task.modalities:
            losses.update(self(inputs, data_samples, mode='loss', only=m))
        return losses

    def train_step(self, data: Any, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """A step of the optimiser for every modality; returns what is logged."""
        return self.alternate(self.data_preprocessor(data, True), optim_wrapper, self)

    def alternate(
        self, data: Mapping[str, Any], optim_wrapper: OptimWrapper, run: Callable[..., Any]
    ) -> dict[str, Tensor]:
        """The turns of one batch.

        Args:
            data: Preprocessed.
            optim_wrapper: The optimiser.
            run: What computes the losses: this model, or the wrapper that it is in.

        Raises:
            ValueError: If gradients are to be accumulated: every turn is a step.
        """
        if getattr(optim_wrapper, '_accumulative_counts', 1) != 1:
            raise ValueError('MLA steps at every turn; accumulative_counts must be 1.')
        logged: dict[str, Tensor] = {}
        total = torch.zeros(())
        for m in self.task.modalities:
            optim_wrapper.zero_grad()
            with optim_wrapper.optim_context(run):
                losses = run(**data, mode='loss', only=m)
            loss, values = self.parse_losses(losses)
            optim_wrapper.backward(loss)
            weight = self.task.last_layer(m).get_parameter('weight')
            if weight.grad is not None:
                weight.grad.copy_(self.projection.project(weight.grad))
            optim_wrapper.step()
            self._take_in()
            total = total.to(loss.device) + values.pop('loss').detach()
            logged.update(values)
        optim_wrapper.zero_grad()
        return {'loss': total, **logged}

    def _take_in(self) -> None:
        if self._mean_input is None:
            return
        mean = self._mean_input.float()
        all_reduce(mean, 'mean')  # all processes keep the same projection
        hub = MessageHub.get_current_instance()
        progress = hub.get_info('iter', 0) / max(1, hub.get_info('max_iters', 1))
        self.projection.update(mean, ALPHA ** (1 + progress))
        self._mean_input = None


@MODEL_WRAPPERS.register_module()
class AlternatingDataParallel(MMDistributedDataParallel):
    """DDP for a model that takes several steps a batch, each with a part of its parameters."""

    def __init__(self, module: Any, **options: Any) -> None:
        options['find_unused_parameters'] = True
        super().__init__(module, **options)

    def train_step(self, data: Any, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """The model's own turns, each through DDP's forward and gradient exchange."""
        data = self.module.data_preprocessor(data, training=True)
        logged: dict[str, Tensor] = self.module.alternate(data, optim_wrapper, self)
        return logged
