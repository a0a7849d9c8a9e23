"""Multimodal image-to-image translation as an mmagic model, with or without a discriminator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmagic.models.base_models import BaseEditModel
from mmagic.structures import DataSample
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor

from mango_mm.modalities import Modalities, channels_by_name
from mango_mm.models.editors.translation_generator import TranslationGenerator
from mango_mm.registry import MODELS

__all__ = ['MultimodalTranslator']


class MultimodalTranslator(BaseEditModel):
    """Several source domains to one target domain, as an mmagic model.

    Every source has an encoder of its own, or all share one; a ``FusionNeck`` makes one
    pyramid of theirs; a decoder makes the image. Losses: a pixel loss over the measured
    pixels of the target, whatever the neck has (the flow's likelihood), and, with a
    discriminator, its adversarial loss.

    The discriminator sees the sources beside an image, as in pix2pix, and has an optimiser of
    its own: one step of it, then one of the generator, per batch. Its config needs
    ``optim_wrapper=dict(constructor='MultiOptimWrapperConstructor', generator=...,
    discriminator=...)`` and, on several processes,
    ``model_wrapper_cfg=dict(type='MMSeparateDistributedDataParallel')``.

    A prediction is mmagic's: ``data_sample.output.pred_img``, here in [-1, 1] as all
    domains are, with ``nll_per_dim`` if there is a flow.

    Args:
        sources: A list of dicts with ``name`` and ``channels`` of each source domain, in token
            order.
        encoder: Config of a backbone that delivers a pyramid.
        decoder: Config of a decoder like ``UNetDecoder``.
        neck: Config of a ``FusionNeck`` over the sources, or None for a single source.
        pixel_loss: Config of one of mmagic's pixel losses; it is given the mask as weight.
        discriminator: Config of one of mmagic's, for images of all sources and the target
            (its ``in_channels``), or None.
        gan_loss: Config of mmagic's ``GANLoss``; its ``loss_weight`` is the generator's.
        shared: One encoder for all sources, which then must have equal channels.
        data_preprocessor: The same as in mmengine; None: ``TranslationDataPreprocessor``.
        init_cfg: The same as in mmengine.

    Raises:
        ValueError: If several sources have no neck, or shared ones differ in channels, or
            there is only one of discriminator and gan_loss.
    """

    def __init__(
        self,
        sources: Modalities,
        encoder: dict[str, Any],
        decoder: dict[str, Any],
        neck: dict[str, Any] | None = None,
        pixel_loss: dict[str, Any] | None = None,
        discriminator: dict[str, Any] | None = None,
        gan_loss: dict[str, Any] | None = None,
        shared: bool = False,  # noqa: FBT001, FBT002  # a config's keyword
        data_preprocessor: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        preprocessor = data_preprocessor or {'type': 'mango_mm.TranslationDataPreprocessor'}
        # Not BaseEditModel's constructor: it builds one generator out of one config.
        BaseModel.__init__(self, init_cfg=init_cfg, data_preprocessor=preprocessor)
        if (discriminator is None) != (gan_loss is None):
            raise ValueError('discriminator and gan_loss belong together; got one of them.')
        self.sources = channels_by_name(sources)
        self.generator = TranslationGenerator(self.sources, encoder, decoder, neck, shared=shared)
        self.pixel_loss = MODELS.build(pixel_loss or {'type': 'mmagic.L1Loss', 'loss_weight': 1.0})
        self.discriminator = MODELS.build(discriminator) if discriminator else None
        self.gan_loss = MODELS.build(gan_loss) if gan_loss else None
        if self.discriminator is not None:
            # Now and not with the whole model: mmagic's own way of initialising them raises an
            # UnboundLocalError inside that of a parent.
            self.discriminator.init_weights()

    def forward(
        self,
        inputs: dict[str, Tensor],
        data_samples: list[DataSample] | None = None,
        mode: str = 'tensor',
        **_: Any,
    ) -> Any:
        """Images, losses or predictions, as mmengine's modes ask."""
        prediction, losses, nll = self.generator(inputs)
        if mode == 'tensor':
            return prediction
        if mode == 'loss':
            target, mask = _targets(data_samples)
            return {'loss_pixel': self.pixel_loss(prediction, target, weight=mask), **losses}
        if mode != 'predict':
            raise ValueError(f"mode must be 'tensor', 'loss' or 'predict'; got {mode!r}.")
        return self._to_samples(prediction, nll, inputs, data_samples)

    def train_step(
        self, data: dict[str, Any], optim_wrapper: OptimWrapper | OptimWrapperDict
    ) -> dict[str, Tensor]:
        """One step; with a discriminator one of each, and their losses for the log.

        Raises:
            TypeError: If a discriminator has no optimiser of its own.
        """
        if self.discriminator is None:
            log: dict[str, Tensor] = super().train_step(data, optim_wrapper)
            return log
        if not isinstance(optim_wrapper, OptimWrapperDict):
            raise TypeError(
                'a translator with a discriminator needs two optimisers: optim_wrapper=dict('
                "constructor='MultiOptimWrapperConstructor', generator=..., discriminator=...); "
                f'got {type(optim_wrapper).__name__}.'
            )
        data = self.data_preprocessor(data, True)
        inputs = data['inputs']
        target, mask = _targets(data['data_samples'])
        generator, discriminator = optim_wrapper['generator'], optim_wrapper['discriminator']
        with generator.optim_context(self.generator):
            prediction, losses, _ = self.generator(inputs)
        # What was not measured must not tell a real image from a made one.
        real, fake = (torch.where(mask > 0, x, -1.0) for x in (target, prediction))

        with discriminator.optim_context(self.discriminator):
            disc_losses = self._discriminator_losses(inputs, real, fake.detach())
            loss, log = self.parse_losses(disc_losses)
        discriminator.update_params(loss)

        with generator.optim_context(self.generator):
            losses = {
                'loss_pixel': self.pixel_loss(prediction, target, weight=mask),
                'loss_gan': self._adversarial_loss(inputs, fake),
                **losses,
            }
            loss, generator_log = self.parse_losses(losses)
        generator.update_params(loss)
        log = {f'disc_{k}' if k == 'loss' else k: v for k, v in log.items()}
        return {**log, **generator_log}

    def _discriminator_losses(
        self, inputs: Mapping[str, Tensor], real: Tensor, fake: Tensor
    ) -> dict[str, Tensor]:
        images = {'real': real, 'fake': fake}
        answers = {k: self.discriminator(self._pair(inputs, x)) for k, x in images.items()}
        # Halved, so that it learns at the pace of the generator (pix2pix, Section 3.3).
        return {
            f'loss_disc_{k}': 0.5 * self.gan_loss(x, k == 'real', is_disc=True)
            for k, x in answers.items()
        }

    def _adversarial_loss(self, inputs: Mapping[str, Tensor], fake: Tensor) -> Tensor:
        """What the discriminator says to the generator, with nothing for itself to learn."""
        # Without its DDP wrapper, which would wait for gradients that never come.
        judge = getattr(self.discriminator, 'module', self.discriminator)
        learning = [p for p in judge.parameters() if p.requires_grad]
        for p in learning:
            p.requires_grad_(False)
        loss: Tensor = self.gan_loss(judge(self._pair(inputs, fake)), True, is_disc=False)  # noqa: FBT003  # mmagic's
        for p in learning:
            p.requires_grad_(True)
        return loss

    def _pair(self, inputs: Mapping[str, Tensor], image: Tensor) -> Tensor:
        return torch.cat([*(inputs[m] for m in self.sources), image], dim=1)

    @staticmethod
    def _to_samples(
        prediction: Tensor,
        nll: Tensor | None,
        inputs: Mapping[str, Tensor],
        data_samples: list[DataSample] | None,
    ) -> list[DataSample]:
        samples = data_samples or [DataSample() for _ in prediction]
        for i, sample in enumerate(samples):
            sample.output = DataSample(pred_img=prediction[i].detach())
            if nll is not None:
                sample.set_field(nll[i].detach(), 'nll_per_dim', dtype=Tensor)
            for name, images in inputs.items():
                sample.set_field(images[i], f'source_{name}', dtype=Tensor)
        return samples


def _targets(data_samples: list[DataSample] | None) -> tuple[Tensor, Tensor]:
    """Target images and masks of a batch, (B, C, H, W) and (B, 1, H, W)."""
    samples = data_samples or []
    target = torch.stack([sample.gt_img for sample in samples])
    return target, torch.stack([sample.gt_mask for sample in samples])
