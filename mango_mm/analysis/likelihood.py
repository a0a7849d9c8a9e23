"""The likelihood of every sample of a data set under a trained flow, and whose share it is."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.runner import Runner
from numpy.typing import NDArray
from tqdm import tqdm

from mango_mm.analysis.fusion_recorder import FusionCall, FusionRecorder
from mango_mm.apis.open_model import open_model
from mango_mm.fusion import MangoFusion
from mango_mm.pipelines import in_order

__all__ = ['SampleLikelihood', 'measure_likelihood']

SPLITS = ('train', 'val', 'test')


@dataclasses.dataclass
class SampleLikelihood:
    """Of one sample; of several flows (stages) the sums.

    Attributes:
        name: Path or id of the sample.
        log_prob: ln p of its features, nats.
        dims: Dimensions of that density.
        shares: What each modality's tokens add to ``log_prob``, nats; they sum to it.
        share_dims: Dimensions of each modality.
        maps: Bits per dimension of each modality's positions, (h, w), of the last flow that
            works on maps; larger is less likely.
        inputs: What the model saw, as the loader gave it.
        window: Height and width of the windows that the flow of the maps works in, in positions;
            None: it sees all at once.
        channels: Of each modality in ``inputs``, where they are one stack.
    """

    name: str
    log_prob: float
    dims: int
    shares: dict[str, float]
    share_dims: dict[str, int]
    maps: dict[str, NDArray[np.float32]]
    inputs: Any
    window: tuple[int, int] | None = None
    channels: Mapping[str, int] | None = None

    @property
    def bits_per_dim(self) -> float:
        """-log2 p per dimension."""
        return -self.log_prob / self.dims / math.log(2)

    def as_json(self) -> dict[str, Any]:
        """The numbers, without maps."""
        return {
            'name': self.name,
            'bits_per_dim': self.bits_per_dim,
            'log_prob_nats': self.log_prob,
            'dims': self.dims,
            'bits_per_dim_by_modality': {
                m: -v / max(1, self.share_dims[m]) / math.log(2) for m, v in self.shares.items()
            },
            'log_prob_nats_by_modality': self.shares,
        }


def measure_likelihood(
    config: str | Path,
    checkpoint: str | Path,
    *,
    split: str = 'val',
    options: Mapping[str, Any] | None = None,
) -> list[SampleLikelihood]:
    """Run a trained model over a split and read its flows' likelihoods.

    Works with every model that has a ``MangoFusion`` anywhere: what the flows are given is
    recorded while the model predicts. Slide inference sums over windows.

    Args:
        config: Of the training.
        checkpoint: File, or a work dir (its newest checkpoint).
        split: ``'train'``, ``'val'`` or ``'test'``.
        options: Overrides of the config.

    Raises:
        TypeError: If the config's model has no ``MangoFusion``.
        ValueError: If the split is unknown, the checkpoint of another model, or the split empty.
        FileNotFoundError: If config or checkpoint do not exist.
    """
    if split not in SPLITS:
        raise ValueError(f'split must be one of {SPLITS}; got {split!r}.')

    def has_a_flow(model: torch.nn.Module) -> None:
        if not any(isinstance(m, MangoFusion) for m in model.modules()):
            raise TypeError(
                f'a likelihood needs a model with a MangoFusion; {config} has a '
                f'{type(model).__name__} without one.'
            )

    read, model = open_model(config, checkpoint, options=options, check=has_a_flow)
    recorder = FusionRecorder(model)
    loader = Runner.build_dataloader(in_order(read[f'{split}_dataloader']))
    found: list[SampleLikelihood] = []
    for data in tqdm(loader, desc='likelihood', unit='batch'):
        with torch.no_grad(), recorder.recording() as calls:
            samples = model.test_step(data)
        found += _of_batch(calls, samples, data)
    for sample in found:
        sample.channels = getattr(model.data_preprocessor, 'channels', None)
    if not found:
        raise ValueError(f'the {split} split of {config} is empty.')
    return found


def _of_batch(calls: list[FusionCall], samples: Any, data: Any) -> list[SampleLikelihood]:
    found = []
    terms = [
        (
            call.fusion,
            call.fusion.log_prob_terms(call.features, **call.options),
            call.masks,
            call.grid,
        )
        for call in calls
        if isinstance(call.fusion, MangoFusion)
    ]
    for i, sample in enumerate(samples):
        shares: dict[str, float] = {}
        dims: dict[str, int] = {}
        maps: dict[str, NDArray[np.float32]] = {}
        window = None
        for flow, by_modality, masks, grid in terms:
            for m, values in by_modality.items():
                real = (masks or {}).get(m)
                count = values.shape[1] if real is None else int(real[i].sum())
                if not count and flow.missing == 'impute':  # all of its tokens are made up
                    count = values.shape[1]
                shares[m] = shares.get(m, 0.0) + float(values[i].double().sum())
                dims[m] = dims.get(m, 0) + count * flow.dim
                if grid is not None:
                    bits = -values[i] / flow.dim / math.log(2)
                    maps[m] = bits.reshape(grid).cpu().numpy().astype(np.float32)
                    window = flow.layout.window
        meta = sample.metainfo
        name = str(meta.get('sample_id') or meta.get('img_path') or i)
        inputs = data['inputs']
        one = {m: x[i] for m, x in inputs.items()} if isinstance(inputs, dict) else inputs[i]
        found.append(
            SampleLikelihood(
                name, sum(shares.values()), sum(dims.values()), shares, dims, maps, one, window
            )
        )
    return found
