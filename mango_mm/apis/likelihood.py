"""The likelihood of every sample of a data set under a trained flow, and whose share it is."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from mango_mm.apis.run import load_config, load_weights
from mango_mm.fusion import MangoFusion
from mango_mm.registry import MODELS

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
    """

    name: str
    log_prob: float
    dims: int
    shares: dict[str, float]
    share_dims: dict[str, int]
    maps: dict[str, NDArray[np.float32]]
    inputs: Any

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

    Works with every model that has a ``MangoFusion`` anywhere: the flows are listened to while
    the model predicts. Slide inference sums over windows.

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
    read = load_config(config, options=options)
    init_default_scope(read.get('default_scope', 'mmengine'))
    model = MODELS.build(read.model)
    flows = {path: m for path, m in model.named_modules() if isinstance(m, MangoFusion)}
    if not flows:
        raise TypeError(
            f'a likelihood needs a model with a MangoFusion; {config} has a '
            f'{read.model.type} without one.'
        )
    load_weights(model, checkpoint)
    model.eval()
    loader = Runner.build_dataloader(_in_order(read[f'{split}_dataloader']))
    heard: list[tuple[MangoFusion, dict[str, Tensor], Any, Any]] = []
    for flow in flows.values():
        flow.register_forward_pre_hook(functools.partial(_listen, heard), with_kwargs=True)
    found: list[SampleLikelihood] = []
    with torch.no_grad():
        for data in tqdm(loader, desc='likelihood', unit='batch'):
            heard.clear()
            samples = model.test_step(data)
            found += _of_batch(heard, samples, data)
    if not found:
        raise ValueError(f'the {split} split of {config} is empty.')
    return found


def _in_order(loader: Any) -> Any:
    """A loader that gives every sample once, in order."""
    loader = dict(loader)
    loader['sampler'] = {'type': 'DefaultSampler', 'shuffle': False}
    return loader


def _listen(heard: list[Any], flow: MangoFusion, args: Any, kwargs: Any) -> None:
    features = {m: x.clone() for m, x in args[0].items()}
    heard.append((flow, features, kwargs.get('masks'), kwargs.get('grid')))


def _of_batch(heard: list[Any], samples: Any, data: Any) -> list[SampleLikelihood]:
    found = []
    terms = [(f, f.log_prob_terms(x, masks=k, grid=g), k, g) for f, x, k, g in heard]
    for i, sample in enumerate(samples):
        shares: dict[str, float] = {}
        dims: dict[str, int] = {}
        maps: dict[str, NDArray[np.float32]] = {}
        for flow, by_modality, masks, grid in terms:
            for m, values in by_modality.items():
                real = (masks or {}).get(m)
                count = values.shape[1] if real is None else int(real[i].sum())
                shares[m] = shares.get(m, 0.0) + float(values[i].double().sum())
                dims[m] = dims.get(m, 0) + count * flow.dim
                if grid is not None:
                    bits = -values[i] / flow.dim / math.log(2)
                    maps[m] = bits.reshape(grid).cpu().numpy().astype(np.float32)
        meta = sample.metainfo
        name = str(meta.get('sample_id') or meta.get('img_path') or i)
        inputs = data['inputs']
        one = {m: x[i] for m, x in inputs.items()} if isinstance(inputs, dict) else inputs[i]
        found.append(
            SampleLikelihood(
                name, sum(shares.values()), sum(dims.values()), shares, dims, maps, one
            )
        )
    return found
