"""What failing sensors do to a model that knows whom to trust, and to rivals with its experts.

One trained ``EnsembleHead(combine='trust')`` has the experts, the fused head and the density. So
every rule sees the same logits:

    trust          the model's own prediction
    mean           of the experts' probabilities: UME
    mean of all    of these and the fused one
    fused          the fused head alone
    <modality>     an expert alone
    temperature, noisy-or, energy, evidence, co-belief, mahalanobis   mango_mm/explicit/rivals
    told           the mixture of the true state: what could be had
    told, one frame  likewise, but of two modalities it is told no more than one frame can show

A model of another kind has one rule, ``prediction``.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # the name everybody uses
from tqdm import tqdm

from mango_mm.analysis.conditions import KINDS, PREDICTION, TRUST, Condition, chosen_kinds
from mango_mm.analysis.degraded_pipeline import frame_degradation, unit_of, with_degradation
from mango_mm.analysis.failure_check import FailureCheck, Rules
from mango_mm.analysis.robustness import evaluate_quietly
from mango_mm.datasets.cached_features import read_manifest, recipe_of
from mango_mm.datasets.degradations import applicable
from mango_mm.evaluation.functional import calibration
from mango_mm.evaluation.functional.detection import auroc
from mango_mm.explicit import rivals
from mango_mm.explicit.trust import TrustOutput
from mango_mm.pipelines import held_out_loader

__all__ = ['SensorFailures']

RIVALS = ('temperature', 'noisy-or', 'energy', 'evidence', 'co-belief', 'mahalanobis')
FINE = 4  # of a window's height and width, to see whether an edge crosses it
FITTED = 400  # training samples that the Mahalanobis gate is fitted to


@dataclasses.dataclass
class _Pixels:
    """Confidences of pixels at the size of the logits."""

    confidence: list[Tensor]
    correct: list[Tensor]


class SensorFailures(FailureCheck):
    """A trained segmentor, with failing sensors. As its base class."""

    SEVERITIES = (3,)
    COMBINED = ('mean', 'mean of all', 'fused', *RIVALS, 'told', 'told, one frame')

    def _prepare(self) -> None:
        self.head = self.model.decode_head
        self._rivals: dict[str, Any] = {}
        if any(rule in RIVALS for rule in self.rules):
            self._fit_rivals()
        self._clean: dict[str, Tensor] = {}

    def _modalities(self) -> tuple[str, ...]:
        if not hasattr(self.model, 'sensors_and_truth') or not hasattr(self.model, 'decode_head'):
            raise TypeError(
                'protocols of failing sensors are of a MultimodalEncoderDecoder; got a '
                f'{type(self.model).__name__}.'
            )
        if self.model.test_cfg.get('mode') == 'slide':
            raise ValueError(
                'protocols of failing sensors predict whole images, which a model with '
                "test_cfg.mode='slide' is not made for. Set model.test_cfg.mode=whole."
            )
        return tuple(self.model.backbone.use)

    def _degraded(self, kinds: Sequence[str] | None, severities: Sequence[int]) -> list[Condition]:
        found, known = [], applicable(self.modalities)
        for name, s in chosen_kinds(kinds, known, severities):
            plain, key = known[name]
            broken = ('rgb',) if plain.startswith('rgb') else (key,)
            if plain == 'swapped':
                broken = ('rgb', key)
            seen = plain not in ('rgb_frozen', 'depth_frozen', 'shift', 'rotate')
            found.append(Condition(f'{name}:{s}', KINDS, broken, s, seen=seen))
        return found

    @torch.no_grad()
    def evaluate(self, condition: Condition) -> list[dict[str, Any]]:
        """One line per rule: metrics, calibration, and of the trust its alarm."""
        loader = self._loader(condition)
        evaluators: dict[str, Evaluator] = {}
        pixels: dict[str, _Pixels] = {}
        classwise: dict[str, list[tuple[Tensor, Tensor]]] = {}
        trusts: list[TrustOutput] = []
        for batch, samples, rules, trust in self._predictions(loader, condition):
            labels = self._labels(samples, next(iter(rules.values())).shape[-2:])
            known = labels != self.head.ignore_index
            for name, p in rules.items():
                if name not in evaluators:
                    evaluators[name] = Evaluator(copy.deepcopy(self.config.val_evaluator))
                    evaluators[name].dataset_meta = loader.dataset.metainfo
                    pixels[name], classwise[name] = _Pixels([], []), []
                self._score(evaluators[name], p, samples, batch)
                sure, said = p.max(dim=1)
                pixels[name].confidence.append(sure[known])
                pixels[name].correct.append((said == labels)[known])
                some = p.movedim(1, -1)[known][:: self._stride]
                classwise[name].append((some, labels[known][:: self._stride]))
            if trust is not None:
                trusts.append(trust)
        found = []
        for name, evaluator in evaluators.items():
            line = condition.line(name)
            metrics = evaluate_quietly(evaluator, len(loader.dataset))
            line['metrics'] = {k: float(v) for k, v in metrics.items()}
            line.update(self._calibration(name, condition, pixels[name], classwise[name]))
            if name == TRUST and trusts:
                line.update(self._alarms(condition, trusts))
                line.update(self._located(condition, trusts))
            found.append(line)
        return found

    _stride = 8  # pixels between those that the class-wise error is taken of

    def _predictions(self, loader: Any, condition: Condition) -> Iterator[Any]:
        for number, batch in enumerate(loader):
            data = self.model.data_preprocessor(batch, training=False)
            inputs, samples = data['inputs'], data['data_samples']
            if condition.failure is not None:
                inputs = condition.failure.apply(
                    inputs, self.model.data_preprocessor.channels, self.seed + number
                )
            metas = [dict(s.metainfo) for s in samples]
            features, _ = self.model.encode(inputs, metas)
            read, _, _ = self.model.merge(features, self.model.presence(metas))
            if self.ensemble is None:
                logits = self.head.forward(read)
                yield batch, samples, {PREDICTION: logits.softmax(dim=1)}, None
                continue
            by_head = torch.stack(list(self.head.logits(read).values()))
            described = self.head.describe(features)
            p, trust = self.ensemble(described, list(by_head.softmax(dim=2)))
            yield batch, samples, self.scored(self._all(p, by_head, described, condition)), trust

    def _all(
        self,
        trusted: Tensor,
        by_head: Tensor,
        described: Mapping[str, Tensor],
        condition: Condition,
    ) -> Rules:
        p, count = by_head.softmax(dim=2), len(self.modalities)
        experts = by_head[:count]
        told = partial(rivals.oracle_mixture, p, self.head.ensemble.weights, condition.broken)
        return {
            TRUST: lambda: trusted,
            'mean': lambda: p[:count].mean(dim=0),
            'mean of all': lambda: p.mean(dim=0),
            'fused': lambda: p[-1],
            **{m: partial(p.__getitem__, i) for i, m in enumerate(self.modalities)},
            'temperature': lambda: self._rivals['temperature'](experts),
            'noisy-or': lambda: self._rivals['noisy-or'](experts),
            'energy': lambda: self._rivals['energy'](experts),
            'evidence': lambda: self._rivals['evidence'](experts),
            'co-belief': lambda: self._rivals['co-belief'](experts, described),
            'mahalanobis': lambda: self._rivals['mahalanobis'](experts, described),
            'told': told,
            'told, one frame': partial(told, blamable=condition.seen),
        }

    def _fit_rivals(self) -> None:
        """Show the rivals what the trust was shown: clean samples that were not trained on."""
        held = next(
            (h for h in self.config.custom_hooks if h['type'].endswith('TrustHook')), {}
        ).get('hold_out', 100)
        seen, held_out, logits, labels, confidences = {}, {}, [], [], []
        for kept in (True, False):
            described: dict[str, list[Tensor]] = {m: [] for m in self.modalities}
            loader = Runner.build_dataloader(held_out_loader(self.config, held, kept=kept))
            for batch in tqdm(loader, desc='rivals: ' + ('seen' if kept else 'held out')):
                if kept and sum(map(len, described[self.modalities[0]])) >= FITTED:
                    break
                with torch.no_grad():
                    data = self.model.data_preprocessor(batch, training=False)
                    samples = data['data_samples']
                    features, _ = self.model.encode(data['inputs'], [s.metainfo for s in samples])
                    for m, windows in self.head.describe(features).items():
                        described[m].append(windows)
                    read, _, _ = self.model.merge(features)
                    found = torch.stack(list(self.head.logits(read).values()))
                    found = found[: len(self.modalities)]
                    truth = self._labels(samples, found.shape[-2:])
                    known = truth != self.head.ignore_index
                    if kept:
                        confidences.append(_confidence(found, truth, known))
                    else:
                        rows = found.movedim(2, -1)[:, known]
                        logits.append(rows[:, :: self._stride])
                        labels.append(truth[known][:: self._stride])
            joined = {m: torch.cat(parts) for m, parts in described.items()}
            if kept:
                seen = joined
            else:
                held_out = joined
        stacked, truth = torch.cat(logits, dim=1), torch.cat(labels)
        temperature, noisy_or = rivals.TemperatureScaling(), rivals.NoisyOr()
        temperature.fit(stacked, truth)
        noisy_or.fit(stacked)
        gate = rivals.MahalanobisGate(self.head.ensemble.trust.rate)
        gate.fit(seen, held_out)
        belief = rivals.CoBelief()
        belief.fit(seen, torch.cat(confidences, dim=1))
        self._rivals = {
            'temperature': temperature, 'noisy-or': noisy_or,
            'energy': rivals.EnergyWeights(), 'evidence': rivals.DempsterRule(),
            'co-belief': belief, 'mahalanobis': gate,
        }  # fmt: skip

    def _score(self, evaluator: Evaluator, p: Tensor, samples: Any, batch: Any) -> None:
        metas = [s.metainfo for s in samples]
        single = next(iter(self.head.heads.values())) if hasattr(self.head, 'heads') else self.head
        # Channels last: the largest of many classes per pixel is found in a fifth of the time.
        logits = p.clamp(min=1e-9).log().contiguous(memory_format=torch.channels_last)
        logits = single.predict_by_feat(logits, metas)
        predicted = self.model.postprocess_result(logits, copy.copy(samples))
        evaluator.process(data_samples=predicted, data_batch=batch)

    def _labels(self, samples: Any, size: Sequence[int]) -> Tensor:
        labels = torch.stack([s.gt_sem_seg.data for s in samples])
        if labels.shape[-2:] != samples[0].img_shape[:2]:  # evaluated at the original size
            labels = F.interpolate(labels.float(), samples[0].img_shape[:2])
        return F.interpolate(labels.float(), tuple(size))[:, 0].long()

    def _calibration(
        self, rule: str, condition: Condition, pixels: _Pixels, some: list[tuple[Tensor, Tensor]]
    ) -> dict[str, float]:
        confidence = torch.cat(pixels.confidence)
        sure, right = confidence.double().numpy(), torch.cat(pixels.correct).numpy()
        self.note_confidence(rule, condition, sure, right)
        found = {
            'ece': calibration.expected_calibration_error(sure, right),
            'classwise_ece': calibration.classwise_calibration_error(
                torch.cat([p for p, _ in some]).numpy(), torch.cat([y for _, y in some]).numpy()
            ),
            'aurc': calibration.area_under_risk_coverage(sure, right),
            'accuracy_at_90': calibration.accuracy_at_coverage(sure, right),
        }
        if condition.protocol == 'clean':
            self._clean[rule] = confidence
        elif condition.protocol == 'emm' and rule in self._clean:
            found['cml_violations'] = calibration.confidence_violations(
                self._clean[rule].double().numpy(), sure
            )
        return found

    def _located(self, condition: Condition, trusts: Sequence[TrustOutput]) -> dict[str, float]:
        """Of a broken part: how well the map's doubt tells its windows from the others (AUROC)."""
        if condition.failure is None or condition.protocol != 'part':
            return {}
        index, doubt, broken = self.modalities.index(condition.broken[0]), [], []
        for number, trust in enumerate(trusts):
            maps = trust.maps[:, index]
            fine = (FINE * maps.shape[1], FINE * maps.shape[2])
            region = condition.failure.region(len(maps), fine, self.seed + number)
            covered = F.avg_pool2d(region[:, None].float(), FINE)[:, 0]
            whole = (covered == 0) | (covered == 1)  # a window across the edge is neither
            doubt.append(1 - maps.cpu()[whole])
            broken.append(covered[whole] > 0)
        scores, labels = torch.cat(doubt), torch.cat(broken)
        return {'map_auroc': auroc(scores[~labels].tolist(), scores[labels].tolist())}

    def _loader(self, condition: Condition) -> Any:
        loader = self.plain_loader('val')
        if condition.protocol == KINDS:
            pipeline = loader['dataset']['pipeline']
            units = {m: unit_of(self.model.data_preprocessor, m) for m in self.modalities}
            step = frame_degradation(
                pipeline, self.modalities, condition.name.partition(':')[0], condition.severity,
                self.seed, units,
            )  # fmt: skip
            loader['dataset']['pipeline'] = with_degradation(pipeline, step)
        if condition.failure is None and self._is_cached(loader['dataset']):
            loader['dataset'] = {
                'type': 'mango_mm.CachedFeatures', 'dataset': loader['dataset'],
                'cache': self.config.feature_cache,
            }  # fmt: skip
        return Runner.build_dataloader(loader)

    def _is_cached(self, dataset: Mapping[str, Any]) -> bool:
        """Whether the config's cache has a data set: what is not in it is made from images."""
        folder = self.config.get('feature_cache')
        if not folder or not Path(folder).is_dir():
            return False
        manifest = read_manifest(folder)
        return manifest['weights'] == self.model.frozen_weights() and any(
            split['recipe'] == recipe_of(dataset) for split in manifest['splits'].values()
        )


def _confidence(logits: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """Mean probability of the truth over known pixels, (M, B), of logits (M, B, C, H, W)."""
    at = truth.masked_fill(~known, 0)[None, :, None].expand(len(logits), -1, -1, -1, -1)
    p = logits.softmax(dim=2).gather(2, at)[:, :, 0]
    return (p * known).sum(dim=(2, 3)) / known.sum(dim=(1, 2)).clamp(min=1)
