"""Trust hook: fits and calibrates, at the end of a training, whom the model will believe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.registry import FUNCTIONS
from torch import Tensor
from tqdm import tqdm

from mango_mm.explicit.fit_trust import fit_trust
from mango_mm.pipelines import Draw, held_out_loader
from mango_mm.registry import DATASETS, HOOKS

__all__ = ['TrustHook']

BATCH = 8  # samples at a time, of one process
VIEWS = 4  # augmented ones of a training sample, at most
SEED = 22  # of the augmentation of what is gathered; the training has its own


@HOOKS.register_module()
class TrustHook(Hook):
    """Makes ``combine='trust'`` work: one training gives a model that knows its sensors.

    After the last iteration, before its checkpoint is saved and validated,

    1. the descriptors and the density are fitted to features of the training samples, augmented
       as in the training and as they are; nothing else is changed;
    2. what is usual, and the prior, are set on ``hold_out`` clean samples that were not trained on;
    3. the weights of the predictions in every state are learned on the same.

    No failure is ever shown. Whoever trains with ``mango_mm.apis.train`` (``tools/train.py``) has
    the last ``hold_out`` samples of the training list taken out of the training; with another
    script, ``train_dataloader.dataset`` has to be a ``DatasetPart`` that leaves them out.

    Args:
        hold_out: Clean samples to calibrate on, the last of the training list.
        iterations: Of the density.
        batch_size: Of the density.
        learning_rate: The highest of AdamW's one-cycle schedule.
        samples: Most training samples whose features are kept, augmented and plain each.
        seed: Of the density's start, order and noise.
    """

    priority = 'NORMAL'  # before the checkpoint is saved

    def __init__(
        self,
        hold_out: int = 100,
        iterations: int = 1000,
        batch_size: int = 16,
        learning_rate: float = 2e-3,
        samples: int = 1000,
        seed: int = 0,
    ) -> None:
        self.hold_out, self.iterations, self.batch_size = hold_out, iterations, batch_size
        self.learning_rate, self.samples, self.seed = learning_rate, samples, seed

    def before_train(self, runner: Any) -> None:
        """Find out what is missing before anything is trained."""
        model = _model(runner)
        trust = model.trusted_ensemble.trust
        if (getattr(model, 'test_cfg', None) or {}).get('mode') == 'slide':
            raise ValueError(
                'a trust is of whole images: what is usual for them is not for the windows of '
                "test_cfg.mode='slide'. Set model.test_cfg.mode='whole'."
            )
        if trust.calibrated and runner.iter < runner.max_iters:
            trust.calibrated.fill_(value=False)  # the encoders will be others
        dataset = runner.train_dataloader.dataset
        if getattr(dataset, 'part', None) != (None, -self.hold_out):
            raise ValueError(
                f'TrustHook calibrates on {self.hold_out} samples that are not trained on: train '
                'with tools/train.py, or let train_dataloader.dataset be dict(type='
                f"'mango_mm.DatasetPart', part=(None, -{self.hold_out}), dataset=...); got a "
                f'{type(dataset).__name__}.'
            )
        try:
            DATASETS.build(held_out_loader(runner.cfg, self.hold_out, kept=False)['dataset'])
        except ValueError as error:
            raise ValueError(
                'TrustHook reads the training samples without augmentation, which a feature cache '
                f'has with tools/prepare/cache_features.py --plain: {error}'
            ) from error

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if runner.iter + 1 < runner.max_iters:
            return
        ensemble = _model(runner).trusted_ensemble
        self.fit(runner)  # in every process: the flow's first batch is averaged over all of them
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            for value in ensemble.state_dict().values():
                torch.distributed.broadcast(value, 0)

    def fit(self, runner: Any) -> None:
        """Fit, calibrate and stack; every process sees all samples."""
        ensemble = self.fit_model(_model(runner), runner.cfg)
        states = dict(zip(ensemble.trust.states, ensemble.weights.weights.tolist()))
        said = {s: [round(w, 3) for w in row] for s, row in states.items()}
        runner.logger.info(
            f'trust is calibrated on {self.hold_out} held-out samples, false alarms at most '
            f'{ensemble.trust.rate:.0%}; weights of {[*ensemble.modalities, "fused"]} by state: '
            f'{said}'
        )

    def fit_model(self, model: Any, config: Any) -> Any:
        """The same without a runner, of a model that is trained already.

        Args:
            model: With a trust.
            config: Of its training, with ``train_dataloader`` as the training reads it.

        Returns:
            Its ``TrustedEnsemble``.
        """
        ensemble = model.trusted_ensemble
        training = model.training
        model.eval()
        random = torch.get_rng_state()
        try:
            with torch.autocast('cuda', enabled=False), torch.autocast('cpu', enabled=False):
                seen = self._seen(model, config)
                ensemble.trust.fit_descriptors(seen)
                fit_trust(
                    ensemble.trust, seen, self.iterations, self.batch_size,
                    self.learning_rate, self.seed,
                    partial(tqdm, desc='fit trust', unit='it'),
                )  # fmt: skip
                described, observed = _gather(
                    model, held_out_loader(config, self.hold_out, kept=False), 'calibrate',
                    labelled=True,
                )  # fmt: skip
                ensemble.trust.calibrate(described)
                ensemble.stack(observed)
                ensemble.sign(model.sensors_hash())
        finally:
            torch.set_rng_state(random)
            model.train(training)
        return ensemble

    def _seen(self, model: Any, config: Any) -> dict[str, Tensor]:
        augmented = config.train_dataloader.to_dict()
        first, _ = _gather(model, augmented, 'features, augmented', self.samples, VIEWS)
        plain, _ = _gather(
            model, held_out_loader(config, self.hold_out, kept=True), 'features, plain',
            self.samples,
        )  # fmt: skip
        return {m: torch.cat([first[m], plain[m]]) for m in first}


def _model(runner: Any) -> Any:
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    if not hasattr(model, 'trusted_ensemble'):
        raise TypeError(
            'TrustHook needs a MultimodalEncoderDecoder, a MultimodalClassifier or a '
            f'MultimodalTranslator; got a {type(model).__name__}.'
        )
    return model


@torch.no_grad()
def _gather(
    model: Any,
    loader: dict[str, Any],
    what: str,
    most: int | None = None,
    views: int = 1,
    *,
    labelled: bool = False,
) -> tuple[dict[str, Tensor], Tensor]:
    """Described windows of a loader's samples, and what the weights are learned on if asked for.

    Without its sampler, which would give this process its share alone. With ``most``, no more than
    that; with ``views``, the data set so many times, every time with other random numbers. What
    lacks a modality says nothing of what is usual of it, and is left out.
    """
    names, without = model.trusted_ensemble.modalities, 0
    described: dict[str, list[Tensor]] = {}
    observed: list[Tensor] = []
    dataset: Any = DATASETS.build(loader['dataset'])
    if hasattr(dataset, 'full_init'):
        dataset.full_init()
    collate = loader.get('collate_fn', {'type': 'pseudo_collate'})
    join = FUNCTIONS.get(collate['type'])
    total = views * len(dataset)
    total = total if most is None else min(most, total)
    step = max(1.0, len(dataset) / total)  # of a long list, some of everywhere
    places = [(int(i * step) % len(dataset), i // len(dataset)) for i in range(total)]
    draws = [Draw.of(index, SEED, view, index) for index, view in places]
    with tqdm(total=total, desc=f'trust: {what}', unit='sample') as bar:
        for start in range(0, total, BATCH):
            rows = draws[start : start + BATCH]
            samples = [dataset[row] for row in rows]
            whole = [sample for sample in samples if _has_all(sample, names)]
            without += len(samples) - len(whole)
            bar.update(len(rows))
            if not whole:
                continue
            batch = join(whole)
            data = model.data_preprocessor(batch, training=False)
            windows, truth = model.sensors_and_truth(
                data['inputs'], data['data_samples'], labelled=labelled
            )
            for m, x in windows.items():
                described.setdefault(m, []).append(x)
            if truth is not None:
                observed.append(truth)
    if without:
        print_log(
            f'trust: {what}: {without} of {total} samples lack a modality and are left out',
            'current',
        )
    if not described:
        raise ValueError(f'trust: {what}: each of the {total} samples lacks one of {names}.')
    joined = {m: torch.cat(parts) for m, parts in described.items()}
    return joined, torch.cat(observed) if labelled else torch.empty(0)


def _has_all(sample: Mapping[str, Any], modalities: Sequence[str]) -> bool:
    present = sample['data_samples'].metainfo.get('present') or {}
    return all(present.get(m, True) for m in modalities)
