"""mmseg's EncoderDecoder with a neck that has losses and a likelihood of its own."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import Sequential
from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

from mango_mm.models.cached_inputs import weights_hash
from mango_mm.models.heads.ensemble_head import FUSED, MODALITIES, TRUST
from mango_mm.models.necks import FusionNeck
from mango_mm.models.presence import blanked, presence
from mango_mm.models.trusted_ensemble import TrustedEnsemble
from mango_mm.registry import MODELS, build_ours

__all__ = ['MultimodalEncoderDecoder']

ALL = 'all'  # the one pyramid of a backbone that knows no modalities
NLL = 'nll_per_dim'


@MODELS.register_module()
class MultimodalEncoderDecoder(EncoderDecoder):
    """Adds the losses of a ``FusionNeck``, or of fusion in the backbone, to those of the heads.

    Everything else (whole and slide inference, test-time augmentation, hooks, DDP) is
    mmseg's. Without a neck it is mmseg's EncoderDecoder, for unimodal baselines. Each
    prediction carries ``nll_per_dim``, the flow's negative log-likelihood in nats per
    dimension, averaged over windows in slide mode; with an ``EnsembleHead(combine='trust')`` it has
    ``trust`` and ``states`` by name, ``alarm``, ``alarm_score`` and ``trust_map`` (in slide mode of
    the window with the worst alarm, and no map). A modality that a sample lacks (``present`` in
    its metainfo, from ``DropModality``) has features of zeros, without gradient, and is masked out
    in a ``FusionNeck``; to fusion inside the backbone it is the blank image that it came as.

    Args:
        backbone: Ours or any registered one.
        decode_head: Any decode head of mmseg.
        neck: A ``FusionNeck``, or a list that begins with one and goes on with necks that take one
            pyramid (``FPN``, ``MultiLevelNeck``, ``Feature2Pyramid``); None: none.
        **others: The same as in mmseg. ``train_cfg`` may have a ``label_stride`` n: the losses of
            the heads see every n-th pixel of the labels in both directions, at a fraction of the
            time where logits are n times smaller than labels.

    Attributes:
        neck: The first neck.
        further_necks: Those after it, applied one after the other.

    Raises:
        ValueError: If a ``FusionNeck`` is not the first.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        decode_head: dict[str, Any],
        neck: dict[str, Any] | Sequence[dict[str, Any]] | None = None,
        **others: Any,
    ) -> None:
        super().__init__(backbone=backbone, decode_head=decode_head, neck=None, **others)
        necks = [neck] if isinstance(neck, Mapping) else list(neck or ())
        built = [build_ours(MODELS, n) for n in necks]
        if any(isinstance(n, FusionNeck) for n in built[1:]):
            raise ValueError(
                'a FusionNeck must be the first neck: it makes one pyramid of several, which those '
                f'after it take; got {[n["type"] for n in necks]}.'
            )
        if built:
            self.neck = built[0]
        self.further_necks = Sequential(*built[1:])
        self.head_input = nn.Identity()  # called with what the decode head reads: a place for hooks
        self.data_preprocessor.honours_present = True

    def encode(
        self, inputs: Any, metas: Sequence[Mapping[str, Any]] = ()
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The backbone's pyramid of every modality, and the losses of fusion inside it.

        Of a backbone that is none of ours, the one pyramid under the name ``'all'``. Of a modality
        that a sample lacks, zeros: what an encoder makes of a blank image means nothing, and its
        normalisations multiply gradients by 1 / sqrt(eps) each.
        """
        losses: dict[str, Tensor] = {}
        if hasattr(self.backbone, 'extract'):
            features, losses = self.backbone.extract(inputs)
        else:
            features = {ALL: self.backbone(inputs)}
        present = presence(metas, tuple(features), some=False) if len(features) > 1 else None
        if present is None:
            return dict(features), losses
        first = next(iter(features.values()))[0]
        seen = dict(zip(features, present.to(first.device).T))
        return {m: blanked(pyramid, seen[m]) for m, pyramid in features.items()}, losses

    def frozen_features(
        self, inputs: Tensor, data_samples: Sequence[Any] = ()
    ) -> dict[str, tuple[Tensor, ...]]:
        """The pyramid that a frozen backbone makes of every modality.

        Raises:
            ValueError: If it is trained.
        """
        self._check_frozen()
        features, _ = self.encode(inputs, [s.metainfo for s in data_samples])
        return {m: tuple(pyramid) for m, pyramid in features.items()}

    def frozen_weights(self) -> dict[str, str]:
        """By modality, SHA-256 of all that :meth:`frozen_features` depends on.

        Raises:
            ValueError: If the backbone is trained.
        """
        self._check_frozen()
        streams, first = self.backbone.streams, self.backbone.use[0]
        return {
            m: weights_hash(
                streams[m] if m in streams else streams[first],
                self.data_preprocessor,
                readout=self.backbone.readout,
                reads=self.backbone.reads[m],
            )
            for m in self.backbone.use
        }

    def _check_frozen(self) -> None:
        if not getattr(self.backbone, 'frozen', False):
            raise ValueError(
                'features are cached of a frozen backbone: set model.backbone.frozen=True (of a '
                f'MultiStreamBackbone; got a {type(self.backbone).__name__}).'
            )

    @property
    def trusted_ensemble(self) -> TrustedEnsemble:
        """The one of its ``EnsembleHead``.

        Raises:
            TypeError: If it has none.
        """
        found = getattr(self.decode_head, 'ensemble', None)
        if found is None:
            raise TypeError(
                "trust needs an EnsembleHead(combine='trust') as decode_head; got a "
                f'{type(self.decode_head).__name__}'
                f'(combine={getattr(self.decode_head, "combine", None)!r}).'
            )
        return found

    def sensors_hash(self) -> str:
        """SHA-256 of all that a trust's windows depend on: backbone and data preprocessor."""
        return weights_hash(self.backbone, self.data_preprocessor)

    def sensors_and_truth(
        self, inputs: Any, data_samples: Sequence[Any], *, labelled: bool
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        """What a trust is fitted to and calibrated on: see ``TrustHook``.

        Args:
            inputs: Of a batch.
            data_samples: Likewise.
            labelled: Whether the second is asked for.

        Returns:
            Windows (B, W, F) of each modality, and the probability of the truth by each prediction
            of the ensemble, (N, K), at every labelled pixel of the logits, or None.
        """
        metas = [s.metainfo for s in data_samples]
        features, _ = self.encode(inputs, metas)
        described = self.decode_head.describe(features)
        if not labelled:
            return described, None
        read, _, _ = self.merge(features, self.presence(metas))
        logits = torch.stack(list(self.decode_head.logits(read).values()))
        labels = torch.stack([s.gt_sem_seg.data for s in data_samples]).to(logits.device)
        labels = F.interpolate(labels.float(), logits.shape[-2:]).long()
        known = (labels != self.decode_head.ignore_index) & (labels < logits.shape[2])
        picked = labels.masked_fill(~known, 0).expand(len(logits), *labels.shape)
        found = logits.softmax(dim=2).gather(2, picked)  # (K, B, 1, h, w)
        return described, found.flatten(1)[:, known.flatten()].T

    def merge(
        self, features: Mapping[str, Any], present: Tensor | None = None
    ) -> tuple[Any, dict[str, Tensor], Tensor | None]:
        """What the decode head reads, the neck's losses, and NLL per dimension, (B,) or None."""
        # One modality, or a backbone of another's, is what a host's neck or head expects.
        read: Any = dict(features) if len(features) > 1 else next(iter(features.values()))
        losses: dict[str, Tensor] = {}
        nll_per_dim = None
        if isinstance(self.neck if self.with_neck else None, FusionNeck):
            result = self.neck.fuse(read, present)
            read, losses, nll_per_dim = result.maps, result.losses, result.nll_per_dim
            read = self.further_necks(read)
            if MODALITIES in getattr(self.decode_head, 'reads', ()):
                read = {**features, FUSED: read} if FUSED in self.decode_head.reads else read
        elif self.with_neck:
            read = self.further_necks(self.neck(read))
        return self.head_input(read), losses, nll_per_dim

    def loss(self, inputs: Tensor, data_samples: list[Any]) -> dict[str, Tensor]:
        """The losses of the heads, of the neck and of fusion in the backbone, by name."""
        metas = [s.metainfo for s in data_samples]
        features, losses = self.encode(inputs, metas)
        read, of_neck, _ = self.merge(features, self.presence(metas))
        data_samples = self.thinned(data_samples)
        losses = {**losses, **of_neck, **self._decode_head_forward_train(read, data_samples)}
        if self.with_auxiliary_head:
            losses.update(self._auxiliary_head_forward_train(read, data_samples))
        return losses

    def thinned(self, data_samples: Any) -> Any:
        """The samples that heads learn from: with ``label_stride``, every n-th pixel of labels."""
        return _thinned(data_samples, int((self.train_cfg or {}).get('label_stride', 1)))

    def extract_feat(self, inputs: Tensor) -> Any:
        """What the decode head reads of samples that lack nothing."""
        return self.merge(self.encode(inputs)[0])[0]

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict[str, Any]]) -> Tensor:
        """Logits of images, or of one window of each; adds its NLL to the metas.

        Args:
            inputs: (B, C, H, W).
            batch_img_metas: Of each sample; ``present`` is read, and the NLL per dimension is
                appended to ``nll_per_dim`` if there is a flow.
        """
        features, _ = self.encode(inputs, batch_img_metas)
        read, _, nll_per_dim = self.merge(features, self.presence(batch_img_metas))
        if nll_per_dim is not None:
            for meta, value in zip(batch_img_metas, nll_per_dim):
                meta.setdefault(NLL, []).append(value)
        return self.decode(read, batch_img_metas)

    def decode(self, read: Any, metas: list[dict[str, Any]]) -> Tensor:
        """Logits at the size of the images of what :meth:`merge` gave.

        Args:
            read: See :meth:`merge`.
            metas: Of each sample, with ``img_shape``.
        """
        logits: Tensor = self.decode_head.predict(read, metas, self.test_cfg)
        return logits

    def predict(self, inputs: Tensor, data_samples: list[Any] | None = None) -> list[Any]:
        """mmseg's prediction, with ``nll_per_dim`` on every sample if there is a flow."""
        # One dict per sample, as mmseg hands to every window.
        metas = [dict(s.metainfo) for s in data_samples or ()]
        if not isinstance(inputs, Tensor) and (self.test_cfg.get('mode') != 'whole' or not metas):
            raise ValueError(
                'features of a cache are predicted whole, with their data samples: set '
                f"model.test_cfg.mode='whole'; got {dict(self.test_cfg)}."
            )
        if not metas:
            size = inputs.shape[2:]
            plain = dict(ori_shape=size, img_shape=size, pad_shape=size, padding_size=[0, 0, 0, 0])
            metas = [dict(plain) for _ in inputs]
        logits = self.inference(inputs, metas)
        predictions: list[Any] = self.postprocess_result(logits, data_samples)
        for prediction, meta in zip(predictions, metas):
            if NLL in meta:
                prediction.set_field(torch.stack(meta[NLL]).mean(), NLL, dtype=Tensor)
            for key, value in _joint_trust(meta.get(TRUST, ())).items():
                prediction.set_field(value, key)
        return predictions

    def presence(self, metas: Sequence[Mapping[str, Any]]) -> Tensor | None:
        """Which modalities of the neck the samples have, bool (B, M); None: all."""
        if not metas or not isinstance(self.neck if self.with_neck else None, FusionNeck):
            return None
        return presence(metas, self.neck.modalities)


def _joint_trust(windows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The trust of a sample: of one seen in several windows the worst, without map."""
    if len(windows) < 2:
        return dict(windows[0]) if windows else {}
    worst = max(windows, key=lambda w: float(w['alarm_score']))
    return {key: value for key, value in worst.items() if key != 'trust_map'}


def _thinned(samples: Sequence[Any], stride: int) -> Sequence[Any]:
    """Samples with every n-th pixel of their labels, from the middle of the first n x n."""
    if stride == 1:
        return samples
    thinned = [copy.copy(sample) for sample in samples]
    for sample in thinned:
        if 'gt_edge_map' in sample:
            raise ValueError('label_stride thins no edge maps: leave it at 1 with heads of edges.')
        labels = sample.gt_sem_seg.data[:, stride // 2 :: stride, stride // 2 :: stride]
        sample.gt_sem_seg = PixelData(data=labels)
    return thinned
