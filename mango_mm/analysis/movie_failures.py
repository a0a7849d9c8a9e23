"""What failing posters and plots do to a classifier that knows whom to trust, and to its rivals.

The counterpart of :class:`~mango_mm.analysis.sensor_failures.SensorFailures` for several labels a
sample. Rules share the experts and the fused head of one ``unimodal_heads=dict(combine='trust')``:

    trust, mean (UME), fused, <modality>, told, and told, one frame

A model of another kind has one rule, ``prediction``. From which score on a label is said decides
F1 as much as the scores do, so every rule has thresholds of its own, chosen on clean validation
samples; everything else is on the test split.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from mmengine.runner import Runner
from numpy.typing import NDArray
from torch import Tensor

from mango_mm.analysis.conditions import (
    ABSENT,
    CLEAN,
    KINDS,
    PREDICTION,
    TRUST,
    Condition,
    chosen_kinds,
)
from mango_mm.analysis.degraded_pipeline import movie_degradation, movie_kinds, with_degradation
from mango_mm.analysis.failure_check import FailureCheck, Rules
from mango_mm.evaluation.functional import calibration
from mango_mm.evaluation.metrics.multi_label_scores import best_thresholds
from mango_mm.explicit import rivals
from mango_mm.explicit.trust import TrustOutput
from mango_mm.models.classifiers.multimodal_classifier import FUSED
from mango_mm.models.trusted_ensemble import TrustedEnsemble

__all__ = ['MovieFailures']

Array = NDArray[Any]


class MovieFailures(FailureCheck):
    """A trained classifier of posters and plots, with failing ones. As its base class."""

    OF = 'movies'
    PROTOCOLS = (KINDS, ABSENT)
    SEVERITIES = (5,)
    COMBINED = ('mean', 'fused', 'told', 'told, one frame')

    def _prepare(self) -> None:
        self._thresholds: dict[str, Array] = {}

    def _modalities(self) -> tuple[str, ...]:
        modalities = tuple(getattr(self.model, 'modalities', ()))
        if getattr(getattr(self.model, 'head', None), 'kind', None) != 'multi_label' or set(
            modalities
        ) != {'image', 'text'}:
            raise TypeError(
                'failing posters and plots are of a MultimodalClassifier with several labels that '
                f'reads image and text; got a {type(self.model).__name__} of {modalities}.'
            )
        return modalities

    def _failing(self, protocol: str) -> list[Condition]:
        return [Condition(f'no {m}', protocol, (m,)) for m in self.modalities]

    def _degraded(self, kinds: Sequence[str] | None, severities: Sequence[int]) -> list[Condition]:
        found, known = [], movie_kinds(self.modalities)
        for name, s in chosen_kinds(kinds, known, severities):
            seen = not name.endswith('_other')  # a usual one, of another movie
            found.append(Condition(f'{name}:{s}', KINDS, (known[name][1],), s, seen=seen))
        return found

    def evaluate(self, condition: Condition) -> list[dict[str, Any]]:
        """One line per rule: F1 and mAP, calibration, and of the trust its alarm."""
        if not self._thresholds:
            scores, labels, _ = self._scores('val', Condition(CLEAN, CLEAN))
            self._thresholds = {rule: best_thresholds(p, labels) for rule, p in scores.items()}
        scores, labels, trusts = self._scores('test', condition)
        found = []
        for rule, p in scores.items():
            line = condition.line(rule)
            line['metrics'] = _metrics(p, labels, self._thresholds[rule])
            sure, right = _confidence(p, labels)
            self.note_confidence(rule, condition, sure, right)
            line.update(_calibration(p, labels))
            if rule == TRUST and trusts:
                line.update(self._alarms(condition, trusts))
            found.append(line)
        return found

    def _scores(
        self, split: str, condition: Condition
    ) -> tuple[dict[str, Array], Array, list[TrustOutput]]:
        """By rule, scores (N, C); labels (N, C); what the trust says, by batch."""
        parts: dict[str, list[Tensor]] = {}
        labels, trusts = [], []
        for samples, rules, trust in self._predictions(split, condition):
            for rule, p in rules.items():
                parts.setdefault(rule, []).append(p)
            labels.append(self.model.head.targets(samples))
            if trust is not None:
                trusts.append(trust)
        joined = {rule: torch.cat(p).double().numpy() for rule, p in parts.items()}
        return joined, torch.cat(labels).numpy().astype(int), trusts

    @torch.no_grad()
    def _predictions(self, split: str, condition: Condition) -> Iterator[Any]:
        for batch in Runner.build_dataloader(self._loader(split, condition)):
            data = self.model.data_preprocessor(batch, training=False)
            inputs, samples = data['inputs'], data['data_samples']
            if condition.protocol == ABSENT:
                for sample in samples:
                    there = {m: m not in condition.broken for m in self.modalities}
                    sample.set_metainfo({'present': {**sample.get('present', {}), **there}})
            tokens, masks = self.model.encode(inputs, samples)
            logits, _, _ = self.model.classify(tokens, masks)
            present = self.model.presence(samples)
            if self.ensemble is None:
                joint = self.model.combined(logits, present)
                yield samples, {PREDICTION: joint.sigmoid()}, None
                continue
            joint, trust = self.model.trusted(tokens, masks, logits, present)
            yield samples, self.scored(self._all(joint, logits, present, condition)), trust

    def _all(
        self,
        joint: Tensor,
        logits: Mapping[str, Tensor],
        present: Tensor | None,
        condition: Condition,
    ) -> Rules:
        p = torch.stack([logits[n].sigmoid() for n in (*self.modalities, FUSED)])
        count, weights = len(self.modalities), cast(TrustedEnsemble, self.ensemble).weights
        there = p.new_ones(p.shape[1], count) if present is None else present.to(p)
        told = partial(rivals.oracle_mixture, p, weights, condition.broken)
        return {
            TRUST: joint.sigmoid,
            'mean': lambda: (p[:count] * there.T[..., None]).sum(dim=0) / there.sum(dim=1)[:, None],
            'fused': lambda: p[-1],
            **{m: partial(p.__getitem__, i) for i, m in enumerate(self.modalities)},
            'told': told,
            'told, one frame': partial(told, blamable=condition.seen),
        }

    def _loader(self, split: str, condition: Condition) -> Any:
        loader = self.plain_loader(split)
        if condition.protocol == KINDS:
            dataset = loader['dataset']
            kind = condition.name.partition(':')[0]
            step = movie_degradation(dataset, kind, condition.severity, self.seed)
            dataset['pipeline'] = with_degradation(dataset['pipeline'], step)
        return loader


def _metrics(scores: Array, labels: Array, thresholds: Array) -> dict[str, float]:
    """F1 with the thresholds, and mean average precision, in per cent, by scikit-learn."""
    from sklearn.metrics import average_precision_score, f1_score

    said = (scores >= thresholds).astype(int)
    known = labels.any(axis=0)
    return {
        'macro_f1': 100 * float(f1_score(labels, said, average='macro', zero_division=0)),
        'micro_f1': 100 * float(f1_score(labels, said, average='micro', zero_division=0)),
        'mAP': 100 * float(average_precision_score(labels[:, known], scores[:, known])),
    }


def _confidence(scores: Array, labels: Array) -> tuple[Array, Array]:
    """How sure every label's yes or no is, and whether it is right."""
    return np.maximum(scores, 1 - scores).ravel(), ((scores >= 0.5) == (labels > 0)).ravel()


def _calibration(scores: Array, labels: Array) -> dict[str, float]:
    """Of every label's yes or no; class-wise: the mean over classes of that of their scores."""
    sure, right = _confidence(scores, labels)
    each = [
        calibration.expected_calibration_error(scores[:, c], labels[:, c])
        for c in range(labels.shape[1])
    ]
    return {
        'ece': calibration.expected_calibration_error(sure, right),
        'classwise_ece': float(np.mean(each)),
        'aurc': calibration.area_under_risk_coverage(sure, right),
        'accuracy_at_90': calibration.accuracy_at_coverage(sure, right),
    }
