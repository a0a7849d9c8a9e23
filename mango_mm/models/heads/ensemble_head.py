"""A decode head for every modality, and what is made of their predictions."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.model import BaseModule, ModuleDict
from torch import Tensor, nn

from mango_mm.explicit.window_descriptor import describe_windows
from mango_mm.fusion.late import certainty, combine_logits, fused_if_whole
from mango_mm.modalities import Modalities, specs_by_name
from mango_mm.models.norms import share_all_but_norms
from mango_mm.models.presence import presence
from mango_mm.models.trusted_ensemble import TrustedEnsemble, trust_of_sample
from mango_mm.registry import MODELS, build_ours

__all__ = ['FUSED', 'MODALITIES', 'TRUST', 'EnsembleHead']

COMBINE = ('learned', 'mean', 'entropy', 'fused', 'trust')
# What a head may read: the neck's maps (their key, too), and the pyramid of every modality.
FUSED, MODALITIES = 'fused', 'modalities'
TRUST = 'trust_of_windows'  # in the metainfo of a prediction, one of every window of slide mode


@MODELS.register_module()
class EnsembleHead(BaseModule):
    """Decodes every modality's pyramid with any decode head of mmseg, and combines the logits.

    ==============  ===================================================================
    ``combine``     prediction
    ==============  ===================================================================
    ``'learned'``   sum_m softmax(alpha)_m logits_m; alpha learns from a loss of its own, in
                    which the logits are detached (TokenFusion, CEN, GeminiFusion)
    ``'mean'``      the mean: the uni-modal ensemble, UME (Du et al., ICML 2023)
    ``'entropy'``   sum_m softmax_m(-H_m) logits_m, per pixel, H_m the entropy of m's
                    prediction: the surer one counts more (MLA, CVPR 2024)
    ``'fused'``     a further head on the neck's fused pyramid; where a sample lacks a
                    modality, the mean of the heads of those it has (MIND, TMLR 2025)
    ``'trust'``     probabilities of all of these, the fused head included, weighted by the
                    posterior over which sensors work (``mango_mm/explicit/trust.py``), which
                    ``TrustHook`` fits at the end of the training; every prediction then
                    carries ``trust``, ``alarm`` and ``trust_map``
    ==============  ===================================================================

    A sample says what it lacks by ``present`` in its metainfo, ``{modality: bool}``; the
    losses of a modality it lacks, and of the fused head, ignore it. What is absent counts
    in none of the combinations.

    Args:
        head: Config of a decode head with ``loss_by_feat`` and ``predict_by_feat``.
        modalities: Their names, as the backbone delivers them.
        combine: See above.
        shared: All modalities share the weights of their heads but the normalisation layers.
        trust: Of ``'trust'``: options of ``TrustedEnsemble``; ``in_channels`` of a pyramid, if they
            are not those that the head reads.
        init_cfg: The same as in mmengine.

    Attributes:
        reads: What a segmentor has to hand over: ``'modalities'``, and ``'fused'`` if the neck's
            maps have a head.

    Raises:
        ValueError: If ``combine`` is unknown, or trust is asked for of a head with one output.
    """

    def __init__(
        self,
        head: dict[str, Any],
        modalities: Modalities,
        combine: str = 'learned',
        *,
        shared: bool = True,
        trust: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if combine not in COMBINE:
            raise ValueError(f'combine must be one of {COMBINE}; got {combine!r}.')
        self.modalities = tuple(specs_by_name(modalities))
        self.combine, self.shared = combine, shared
        with_fused = combine in ('fused', 'trust')
        self.reads = (MODALITIES, FUSED) if with_fused else (MODALITIES,)
        names = self.modalities + ((FUSED,) if with_fused else ())
        self.heads = ModuleDict({name: build_ours(MODELS, copy.deepcopy(head)) for name in names})
        first = next(iter(self.heads.values()))
        self.align_corners, self.num_classes = first.align_corners, first.num_classes
        self.out_channels, self.ignore_index = first.out_channels, first.ignore_index
        if shared:
            self._share()
        if combine == 'learned':
            self.alpha = nn.Parameter(torch.zeros(len(self.modalities)))
        if combine == 'trust':
            self.ensemble = self._trusting(dict(trust or {}), head)
        elif trust is not None:
            raise ValueError(f"trust is of combine='trust'; got combine={combine!r}.")

    def _trusting(self, options: dict[str, Any], head: Mapping[str, Any]) -> TrustedEnsemble:
        if self.out_channels == 1:
            raise ValueError(
                "combine='trust' mixes probabilities of classes: out_channels must be 2."
            )
        channels = options.pop('in_channels', head.get('in_channels'))
        if not isinstance(channels, (list, tuple)):
            raise ValueError(
                f'trust needs in_channels, those of every map of a pyramid; got {channels!r}.'
            )
        options.setdefault('grid', (6, 8))
        return TrustedEnsemble(self.modalities, 2 * sum(channels), **options)

    def init_weights(self) -> None:
        super().init_weights()
        if self.shared:  # a pretrained load may have cut the ties
            self._share()

    def _share(self) -> None:
        share_all_but_norms([self.heads[m] for m in self.modalities])

    def logits(self, features: Mapping[str, Any]) -> dict[str, Tensor]:
        """Logits (B, K, h, w) of every modality, and of the fused pyramid if it is decoded.

        Raises:
            TypeError: If the features are not one pyramid per modality.
            KeyError: If one is missing.
        """
        if not isinstance(features, Mapping):
            raise TypeError(
                f'EnsembleHead decodes one pyramid for each of {self.modalities}; got '
                f'{type(features).__name__}. Leave out the neck, or set combine="fused".'
            )
        missing = [name for name in self.heads if name not in features]
        if missing:
            raise KeyError(f'EnsembleHead decodes {list(self.heads)}; the features lack {missing}.')
        return {name: head(features[name]) for name, head in self.heads.items()}

    def forward(self, features: Mapping[str, Any]) -> Tensor:
        """Combined logits (B, K, h, w), all modalities present."""
        logits = self.logits(features)
        return (
            self.trusted(features, logits)[0] if self.combine == 'trust' else self.combined(logits)
        )

    def describe(self, features: Mapping[str, Any]) -> dict[str, Tensor]:
        """What the trust is decided by: windows (B, W, F) of every modality's pyramid."""
        grid = self.ensemble.trust.grid
        return {m: describe_windows(features[m], grid) for m in self.modalities}

    def trusted(
        self,
        features: Mapping[str, Any],
        logits: Mapping[str, Tensor],
        present: Tensor | None = None,
    ) -> tuple[Tensor, Any]:
        """Log-probabilities (B, K, h, w) by ``'trust'``, and the ``TrustOutput`` or None."""
        probabilities = [logits[name].softmax(dim=1) for name in self.heads]
        mixed, trust = self.ensemble(self.describe(features), probabilities, present)
        return mixed.clamp(min=1e-9).log(), trust

    def combined(self, logits: Mapping[str, Tensor], present: Tensor | None = None) -> Tensor:
        """One prediction of several.

        Args:
            logits: (B, K, h, w) each.
            present: Which modalities a sample has, bool (B, M); None: all.

        Returns:
            Logits (B, K, h, w).
        """
        stacked = torch.stack([logits[m] for m in self.modalities])
        scores = None
        if self.combine == 'learned':
            scores = self.alpha.view(-1, 1, 1, 1, 1)
        elif self.combine == 'entropy':
            scores = certainty(stacked)
        joint = combine_logits(stacked, scores, present)
        if self.combine != 'fused':
            return joint
        if present is None:
            return logits[FUSED]
        return fused_if_whole(logits[FUSED], joint, present)

    def loss(
        self, features: Mapping[str, Any], batch_data_samples: list[Any], train_cfg: Any
    ) -> dict[str, Tensor]:
        """The losses of every head, and of the learned ensemble, by name."""
        return self.losses_of(self.logits(features), batch_data_samples)

    def losses_of(self, logits: Mapping[str, Tensor], samples: list[Any]) -> dict[str, Tensor]:
        """The losses of logits that :meth:`logits` gave."""
        present = presence([s.metainfo for s in samples], self.modalities)
        losses = {}
        for name, value in logits.items():
            seen = self._seen(name, present)
            labelled = samples if seen is None else self._ignoring(samples, seen)
            found = self.heads[name].loss_by_feat(value, labelled)
            losses.update({f'{name}.{key}': x for key, x in found.items()})
        if self.combine == 'learned':
            joint = self.combined({m: x.detach() for m, x in logits.items()}, present)
            head = next(iter(self.heads.values()))
            found = head.loss_by_feat(joint, samples)
            losses.update({f'ensemble.{key}': x for key, x in found.items()})
        return losses

    def predict(
        self, features: Mapping[str, Any], batch_img_metas: list[dict[str, Any]], test_cfg: Any
    ) -> Tensor:
        """Combined logits at the size of the images, (B, K, H, W)."""
        present = presence(batch_img_metas, self.modalities)
        logits = self.logits(features)
        if self.combine == 'trust':
            joint, trust = self.trusted(features, logits, present)
            for index, meta in enumerate(batch_img_metas if trust is not None else ()):
                found = trust_of_sample(trust, index, self.modalities)
                meta.setdefault(TRUST, []).append(found)
        else:
            joint = self.combined(logits, present)
        predicted: Tensor = next(iter(self.heads.values())).predict_by_feat(joint, batch_img_metas)
        return predicted

    def _seen(self, name: str, present: Tensor | None) -> Tensor | None:
        if present is None:
            return None
        if name == FUSED:
            return present.all(dim=1)
        return present[:, self.modalities.index(name)]

    def _ignoring(self, samples: list[Any], seen: Tensor) -> list[Any]:
        """The samples, with all pixels of those not seen to be ignored."""
        kept = []
        for sample, keep in zip(samples, seen.tolist()):
            labelled = sample
            if not keep:
                labelled = copy.copy(sample)
                labelled.gt_sem_seg = copy.copy(sample.gt_sem_seg)
                labelled.gt_sem_seg.data = torch.full_like(
                    sample.gt_sem_seg.data, self.ignore_index
                )
            kept.append(labelled)
        return kept
