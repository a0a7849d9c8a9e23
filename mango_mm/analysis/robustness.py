"""How a trained model fares with failing sensors, and whether it notices.

Every degradation of ``mango_mm/datasets/degradations.py`` is put into the validation pipeline,
and for each severity the task's metric and scores of strangeness are taken:

    likelihood      the flow's negative log-likelihood per dimension; models with a flow
    density         strangeness under a density fitted afterwards, if one is given
    information     minus the mutual information of the modalities under it, per dimension
    max_softmax     1 - the largest probability, averaged over pixels or labels
    entropy         of the prediction, likewise
    mahalanobis     distance of what the head reads, averaged over positions, from the training
                    samples' (scikit-learn's covariance)

Detection is told by AUROC and by the false positives at 95 % found, against the clean samples.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from mango_mm.analysis.degraded_pipeline import (
    frame_degradation,
    movie_degradation,
    movie_kinds,
    unit_of,
    with_degradation,
)
from mango_mm.analysis.fit_density import load_density
from mango_mm.analysis.fusion_recorder import FusionCall, FusionRecorder, deepest
from mango_mm.apis.open_model import open_model
from mango_mm.datasets.degradations import SEVERITIES, applicable
from mango_mm.evaluation.functional.detection import Mahalanobis, auroc, fpr_at_95
from mango_mm.hosts import require_host
from mango_mm.models.tasks import recognition_task_of
from mango_mm.pipelines import in_order, plain_training_loader

__all__ = ['Predictions', 'RobustnessCheck', 'evaluate_quietly']

HEADLINES = ('mIoU', 'macro_f1')


@dataclasses.dataclass
class Predictions:
    """What a model predicts of a split.

    Attributes:
        metrics: The task's, by name.
        scores: Strangeness of every sample, by kind of score.
        features: What the head read, averaged over positions, (N, D).
    """

    metrics: dict[str, float]
    scores: dict[str, list[float]]
    features: NDArray[np.float64]


class RobustnessCheck:
    """A trained model, ready to be evaluated on degraded data.

    Args:
        config: Of a segmentor of an image and what is measured beside it, or of a classifier of
            movies.
        checkpoint: File, or a work dir.
        options: Overrides of the config.
        density: What ``tools/analyse/fit_density.py`` saved for this checkpoint; None: none.

    Raises:
        TypeError: If the model is of neither kind.
        FileNotFoundError: If config or checkpoint do not exist.
        ValueError: If the checkpoint is of another model.
        ImportError: If scikit-learn is not installed.
    """

    def __init__(
        self,
        config: str | Path,
        checkpoint: str | Path,
        options: Mapping[str, Any] | None = None,
        density: str | Path | None = None,
    ) -> None:
        require_host('sklearn', 'RobustnessCheck')

        def is_read_by_a_head(model: Any) -> None:
            try:
                recognition_task_of(model, f'robustness of {config}').head_input  # noqa: B018
            except TypeError as error:
                raise TypeError(
                    'robustness is checked of a segmentor or of a classifier with a fusion; '
                    f'{config} has a {type(model).__name__}: {error}'
                ) from error

        self.config, self.model = open_model(
            config, checkpoint, options=options, check=is_read_by_a_head
        )
        self.task = recognition_task_of(self.model, f'robustness of {config}')
        self._density = None if density is None else load_density(density)
        self._recorder = None if density is None else FusionRecorder(self.model)
        self.clean = self.evaluate('val')
        self.distance = Mahalanobis(self.evaluate('train').features)
        self.clean.scores['mahalanobis'] = list(self.distance(self.clean.features))

    @property
    def kinds(self) -> tuple[str, ...]:
        """The degradations that apply to this model's data."""
        return tuple(self._kinds)

    @property
    def _kinds(self) -> dict[str, tuple[str, str]]:
        """By name, the kind and the modality that it is of."""
        if self.task.degrades == 'text':
            return movie_kinds(self.task.modalities)
        found = applicable(self.task.modalities)
        if not found:
            raise TypeError(
                'degradations are of an image, rgb, and a modality measured beside it; the model '
                f'reads {self.task.modalities}.'
            )
        return found

    def check(
        self,
        kinds: Iterable[str] | None = None,
        severities: Sequence[int] = SEVERITIES,
        seed: int = 0,
    ) -> list[dict[str, Any]]:
        """Metrics and detection, one dict per degradation and severity.

        Args:
            kinds: Degradations; None: all that apply.
            severities: Of each.
            seed: Of the degradations.

        Returns:
            ``kind``, ``severity``, ``metrics``, and by score ``auroc`` and ``fpr95``.

        Raises:
            ValueError: If a kind does not apply.
        """
        chosen = self.kinds if kinds is None else tuple(kinds)
        unknown = [k for k in chosen if k not in self.kinds]
        if unknown:
            raise ValueError(f'degradations of this model are {self.kinds}; got {unknown}.')
        lines = []
        jobs = [(k, s) for k in chosen for s in severities]
        for kind, severity in tqdm(jobs, desc='robustness', unit='setting'):
            found = self.evaluate('val', self._step(kind, severity, seed))
            found.scores['mahalanobis'] = list(self.distance(found.features))
            lines.append(
                {
                    'kind': kind,
                    'severity': severity,
                    'metrics': found.metrics,
                    'auroc': {k: auroc(self.clean.scores[k], v) for k, v in found.scores.items()},
                    'fpr95': {
                        k: fpr_at_95(self.clean.scores[k], v) for k, v in found.scores.items()
                    },
                }
            )
        return lines

    @torch.no_grad()
    def evaluate(self, split: str, step: dict[str, Any] | None = None) -> Predictions:
        """The model's predictions of a split, without augmentation, degraded by ``step``."""
        loader = Runner.build_dataloader(self._loader(split, step))
        evaluator = Evaluator(copy.deepcopy(self.config.val_evaluator))
        evaluator.dataset_meta = loader.dataset.metainfo
        for metric in evaluator.metrics:
            if getattr(metric, 'choose_thresholds', False):
                # Those of the checkpoint: nobody could choose them on a failure beforehand.
                metric.choose_thresholds = False
        scores: dict[str, list[float]] = {}
        features = []
        read: list[Tensor] = []

        def note(module: Any, args: tuple[Any, ...]) -> None:
            read.append(self.task.pooled(args[0]))

        handle = self.task.head_input.register_forward_pre_hook(note)
        try:
            for data in loader:
                with self._recording() as calls:
                    samples = self.model.test_step(data)
                for name, values in self._density_scores(calls, len(samples)).items():
                    scores.setdefault(name, []).extend(values)
                evaluator.process(data_samples=samples, data_batch=data)
                features.append(torch.stack(read).mean(dim=0))  # of slide inference, all windows
                read.clear()
                for sample in samples:
                    for name, value in self._scores(sample).items():
                        scores.setdefault(name, []).append(value)
        finally:
            handle.remove()
        joined = torch.cat(features).double().cpu().numpy()
        metrics = evaluate_quietly(evaluator, len(joined)) if split != 'train' else {}
        return Predictions({k: float(v) for k, v in metrics.items()}, scores, joined)

    def _recording(self) -> Any:
        if self._recorder is None:
            return contextlib.nullcontext([])
        return self._recorder.recording()

    def _density_scores(self, calls: list[FusionCall], size: int) -> dict[str, list[float]]:
        if self._density is None:
            return {}
        call = deepest(calls)
        found = self._density.statistics(call.tokens, **call.options)
        return {  # of slide inference the mean over windows
            'density': self._density.strangeness(found).unflatten(0, (-1, size)).mean(0).tolist(),
            'information': (
                -self._density.information(found).unflatten(0, (-1, size)).mean(0)
            ).tolist(),
        }

    def _loader(self, split: str, step: dict[str, Any] | None) -> dict[str, Any]:
        """The validation loader, over another split's data if asked, with a step put in."""
        loader = in_order(copy.deepcopy(self.config.val_dataloader))
        if split == 'train':
            loader = plain_training_loader(self.config)
        if step is not None:
            loader['dataset']['pipeline'] = with_degradation(loader['dataset']['pipeline'], step)
        return loader

    def _step(self, kind: str, severity: int, seed: int) -> dict[str, Any]:
        if self.task.degrades == 'image':
            units = {m: unit_of(self.model.data_preprocessor, m) for m in self.task.modalities}
            pipeline = self.config.val_dataloader.dataset.pipeline
            return frame_degradation(pipeline, self.task.modalities, kind, severity, seed, units)
        return movie_degradation(self.config.val_dataloader.dataset, kind, severity, seed)

    def _scores(self, sample: Any) -> dict[str, float]:
        found = self.task.uncertainty(sample)
        if 'nll_per_dim' in sample:
            found['likelihood'] = float(sample.nll_per_dim)
        return found


def evaluate_quietly(evaluator: Evaluator, size: int) -> dict[str, float]:
    """Evaluate without the table per class that mmseg's metric logs every time."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('WARNING')
    try:
        metrics: dict[str, float] = evaluator.evaluate(size)
    finally:
        logger.setLevel(level)
    return metrics


def headline(metrics: Mapping[str, float]) -> str:
    """The metric that stands for a task."""
    return next((k for k in HEADLINES if k in metrics), next(iter(metrics)))
