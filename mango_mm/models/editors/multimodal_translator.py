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

from mango_mm.explicit.trust import TrustOutput
from mango_mm.explicit.window_descriptor import describe_windows
from mango_mm.modalities import Modalities, channels_by_name
from mango_mm.models.cached_inputs import weights_hash
from mango_mm.models.editors.translation_generator import FUSED, TranslationGenerator
from mango_mm.models.trusted_ensemble import TrustedEnsemble, trust_of_sample
from mango_mm.registry import MODELS

__all__ = ['MultimodalTranslator']

COMBINE = ('mean', 'trust')
STRIDE = 4  # of the pixels that the weights of a trust are learned on


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
    domains are, with ``nll_per_dim`` if there is a flow. With ``combine='trust'`` it has ``trust``
    and ``states`` by name, ``alarm``, ``alarm_score`` and ``trust_map`` besides.

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
        unimodal_decoders: A dict gives every source a decoder of its own besides. Its keys:
            ``combine``, ``'mean'`` of the sources' images (UME) or ``'trust'``: of all images, the
            fused one included, weighted by the posterior over which sources work
            (``mango_mm/explicit/trust.py``), which ``TrustHook`` fits; ``decoder``, its config if
            it is not that of the fused one; and ``trust``, options of ``TrustedEnsemble``:
            ``grid``, windows along height and width, ``in_channels`` of a source's maps if they are
            not the decoder's.
        data_preprocessor: The same as in mmengine; None: ``TranslationDataPreprocessor``.
        init_cfg: The same as in mmengine.

    Raises:
        ValueError: If several sources have no neck, or shared ones differ in channels, or
            there is only one of discriminator and gan_loss, or ``unimodal_decoders`` has a key or a
            ``combine`` that is unknown.
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
        unimodal_decoders: dict[str, Any] | None = None,
        data_preprocessor: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        preprocessor = data_preprocessor or {'type': 'mango_mm.TranslationDataPreprocessor'}
        # Not BaseEditModel's constructor: it builds one generator out of one config.
        BaseModel.__init__(self, init_cfg=init_cfg, data_preprocessor=preprocessor)
        if (discriminator is None) != (gan_loss is None):
            raise ValueError('discriminator and gan_loss belong together; got one of them.')
        self.sources = channels_by_name(sources)
        own = {'decoder': decoder, **(unimodal_decoders or {})}
        unimodal, self.combine = own.pop('decoder'), own.pop('combine', 'mean')
        trust = dict(own.pop('trust', None) or {})
        if own or self.combine not in COMBINE or (trust and self.combine != 'trust'):
            raise ValueError(
                f'unimodal_decoders takes combine, one of {COMBINE}, decoder, and with '
                f"combine='trust' trust; got {unimodal_decoders}."
            )
        self.generator = TranslationGenerator(
            self.sources, encoder, decoder, neck, shared=shared,
            unimodal=None if unimodal_decoders is None else unimodal,
        )  # fmt: skip
        if self.combine == 'trust':
            self.ensemble = _trusting(tuple(self.sources), trust, unimodal)
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
        if mode == 'loss':
            images, losses, _ = self.generator(inputs)
            return {**self._pixel_losses(images, *_targets(data_samples)), **losses}
        if mode not in ('tensor', 'predict'):
            raise ValueError(f"mode must be 'tensor', 'loss' or 'predict'; got {mode!r}.")
        size = next(iter(inputs.values())).shape[-2:]
        pyramids = self._plain.encode(inputs)
        images, _, nll = self._plain.decode(pyramids, (int(size[0]), int(size[1])))
        image, trust = self.combined(pyramids, images)
        if mode == 'tensor':
            return image
        samples = self._to_samples(image, nll, inputs, data_samples)
        for i, sample in enumerate(samples if trust is not None else ()):
            for field, value in trust_of_sample(trust, i, tuple(self.sources)).items():
                sample.set_field(value, field)
        return samples

    def combined(
        self, pyramids: Mapping[str, Any], images: Mapping[str, Tensor]
    ) -> tuple[Tensor, TrustOutput | None]:
        """One image of several, (B, C, H, W), and what the trust says, if there is one.

        Args:
            pyramids: Of every source, as the generator encodes them.
            images: As it decodes them.
        """
        if len(images) == 1:
            return images[FUSED], None
        if self.combine == 'trust':
            said = [images[name] for name in (*self.sources, FUSED)]
            mixed, trust = self.ensemble(self.describe(pyramids), said)
            return mixed, trust
        return torch.stack([images[m] for m in self.sources]).mean(dim=0), None

    @property
    def _plain(self) -> TranslationGenerator:
        """The generator without the wrapper that it has on several processes."""
        generator: TranslationGenerator = getattr(self.generator, 'module', self.generator)
        return generator

    def describe(self, pyramids: Mapping[str, Any]) -> dict[str, Tensor]:
        """What the trust is decided by: windows (B, W, F) of every source's pyramid."""
        grid = self.trusted_ensemble.trust.grid
        return {m: describe_windows(pyramids[m], grid) for m in self.sources}

    @property
    def trusted_ensemble(self) -> TrustedEnsemble:
        """The one of ``combine='trust'``.

        Raises:
            TypeError: If there is none.
        """
        if self.combine != 'trust':
            raise TypeError(
                f"trust needs unimodal_decoders=dict(combine='trust'); got {self.combine!r}."
            )
        return self.ensemble

    def sensors_hash(self) -> str:
        """SHA-256 of all that a trust's windows depend on: the encoders."""
        return weights_hash(self._plain.encoders)

    def sensors_and_truth(
        self, inputs: Mapping[str, Tensor], data_samples: list[DataSample], *, labelled: bool
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        """What a trust is fitted to and calibrated on: see ``TrustHook``.

        Args:
            inputs: Of a batch.
            data_samples: Likewise.
            labelled: Whether the second is asked for.

        Returns:
            Windows (B, W, F) of each source, and every image of the ensemble minus the target,
            (N, K), at measured pixels, every fourth along height and width; or None.
        """
        pyramids = self._plain.encode(inputs)
        described = self.describe(pyramids)
        if not labelled:
            return described, None
        target, mask = _targets(data_samples)
        images, _, _ = self._plain.decode(pyramids, (target.shape[2], target.shape[3]))
        errors = torch.stack([images[name] - target for name in (*self.sources, FUSED)])
        thinned = errors[..., ::STRIDE, ::STRIDE]
        known = (mask > 0).expand_as(target)[..., ::STRIDE, ::STRIDE]
        return described, thinned[:, known].T

    def _pixel_losses(
        self, images: Mapping[str, Tensor], target: Tensor, mask: Tensor
    ) -> dict[str, Tensor]:
        return {
            'loss_pixel' if name == FUSED else f'loss_pixel_{name}': self.pixel_loss(
                image, target, weight=mask
            )
            for name, image in images.items()
        }

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
            images, losses, _ = self.generator(inputs)
        # What was not measured must not tell a real image from a made one.
        real, fake = (torch.where(mask > 0, x, -1.0) for x in (target, images[FUSED]))

        with discriminator.optim_context(self.discriminator):
            disc_losses = self._discriminator_losses(inputs, real, fake.detach())
            loss, log = self.parse_losses(disc_losses)
        discriminator.update_params(loss)

        with generator.optim_context(self.generator):
            losses = {
                **self._pixel_losses(images, target, mask),
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


def _trusting(
    sources: tuple[str, ...], options: dict[str, Any], decoder: Mapping[str, Any]
) -> TrustedEnsemble:
    channels = options.pop('in_channels', decoder.get('in_channels'))
    if not isinstance(channels, (list, tuple)):
        raise ValueError(
            f"trust needs in_channels, those of every map of a source's pyramid; got {channels!r}."
        )
    options.setdefault('grid', (3, 4))
    return TrustedEnsemble(sources, 2 * sum(channels), values=True, **options)


def _targets(data_samples: list[DataSample] | None) -> tuple[Tensor, Tensor]:
    """Target images and masks of a batch, (B, C, H, W) and (B, 1, H, W)."""
    samples = data_samples or []
    target = torch.stack([sample.gt_img for sample in samples])
    return target, torch.stack([sample.gt_mask for sample in samples])
