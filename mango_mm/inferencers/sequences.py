"""Inference on token sequences: arrays in, numbers or classes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose

from mango_mm.inferencers.base import Inferencer, Result, Sample, trust_of

__all__ = ['SequenceInferencer']


class SequenceInferencer(Inferencer):
    """Predicts from the tokens of several modalities.

    A sample's value is an array (T, C) of real tokens, or a path to one (``.npy``); None, or left
    out: the sample lacks that modality. A result has ``value`` (R,) of a regression, or ``scores``
    by class and ``label``, the likeliest; and ``nll_per_dim`` if there is a flow.

    Args:
        config: Its test pipeline is used.
        model: A ``MultimodalClassifier`` over a ``TokenSequenceDataset``.

    Example::

        infer = MangoInferencer('config.py', 'work_dirs/run')
        result = infer({'signal': 'signal.npy', 'text': words, 'image': None})
        result['value']          # (1,) float32
    """

    optional = True

    def __init__(self, config: Config, model: Any) -> None:
        super().__init__(config, model)
        dataset = config.test_dataloader.dataset
        self.pipeline = Compose(dataset.pipeline)
        self.modalities = tuple(model.modalities)
        self.channels = dict(model.data_preprocessor.channels)
        self.classes = tuple(dataset.get('classes') or ())

    def prepare(self, sample: Sample) -> dict[str, Any]:
        results: dict[str, Any] = {'sample_id': 'given', 'present': {}, 'lengths': {}}
        for m, channels in self.channels.items():
            given = sample.get(m)
            if isinstance(given, (str, Path)):
                try:
                    given = np.load(given, allow_pickle=False)
                except FileNotFoundError as error:
                    raise FileNotFoundError(f'the {m} file {given} does not exist.') from error
                except (OSError, ValueError) as error:
                    raise ValueError(f'the {m} file {given} cannot be read: {error}.') from error
            tokens = np.zeros((0, channels)) if given is None else np.asarray(given)
            if tokens.ndim != 2 or tokens.shape[1] != channels or tokens.dtype.kind not in 'iuf':
                raise ValueError(
                    f'{m} must be tokens (T, {channels}); got {tokens.shape} {tokens.dtype}.'
                )
            results['present'][m] = len(tokens) > 0
            results['lengths'][m] = len(tokens)
            if not len(tokens):
                tokens = np.zeros((1, channels))
            results[f'{m}_tokens'] = tokens.astype(np.float32)
        if not any(results['present'].values()):
            raise ValueError(f'a sample must have one of {list(self.modalities)}; it has none.')
        packed: dict[str, Any] = self.pipeline(results)
        return packed

    def result(
        self, sample: Sample, item: dict[str, Any], output: Any, path: Path | None
    ) -> Result:
        nll = float(output.nll_per_dim) if 'nll_per_dim' in output else None
        if 'pred_value' in output:
            value = output.pred_value.cpu().numpy()
            return {'value': value, 'nll_per_dim': nll, **trust_of(output)}
        scores = output.pred_score.cpu()
        names = self.classes or tuple(map(str, range(len(scores))))
        return {
            'scores': {name: float(s) for name, s in zip(names, scores)},
            'label': names[int(scores.argmax())],
            'nll_per_dim': nll,
            **trust_of(output),
        }
