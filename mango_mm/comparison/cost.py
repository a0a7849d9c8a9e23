"""What models cost: parameters, operations, time and memory, measured side by side."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper

from mango_mm.apis.open_model import open_model
from mango_mm.benchmarking.measuring import count_flops, peak_bytes, take_turns
from mango_mm.registry import DATASETS

__all__ = ['measure_costs']

BATCH = 8


def measure_costs(
    configs: Mapping[str, tuple[str | Path, Mapping[str, Any]]],
    *,
    device: str = 'cpu',
    rounds: int = 15,
) -> dict[str, dict[str, float]]:
    """Cost of every model, on the first samples of its own validation data.

    The models predict in turns, in an order shuffled every round, so that their times can be
    compared with each other. Weights are not loaded; of a training algorithm the student is
    measured.

    Args:
        configs: Config file and overrides, by name.
        device: Where to measure.
        rounds: Predictions of each at least.

    Returns:
        By name: ``params``, millions; ``gflops`` of one prediction, two per multiply-add of
        products, attention and convolutions; ``latency_ms``, median of predicting one sample,
        from preprocessing to the result; ``train_mib``, the most memory allocated at once in a
        step of the optimiser on a batch of 8.
    """
    costs: dict[str, dict[str, float]] = {}
    works = {}
    for name, (path, options) in configs.items():
        config, model = open_model(path, options=options, device=device)
        preprocessor = model.data_preprocessor
        if not getattr(preprocessor, 'known', lambda: True)():  # numbers of any kind do
            for m in preprocessor.estimated:
                count = preprocessor.channels[m]
                preprocessor.set_statistics(m, [0.0] * count, [1.0] * count)
        samples = _samples(config)
        if hasattr(model, 'fit_vocabulary'):
            model.fit_vocabulary([sample['inputs'].get('text', '') for sample in samples])
        one, several = pseudo_collate(samples[:1]), pseudo_collate(samples)
        optimizer = build_optim_wrapper(model, config.optim_wrapper)

        def predict(model: Any = model, data: Any = one) -> None:
            with torch.no_grad():
                model.test_step(data)

        def step(model: Any = model, data: Any = several, optimizer: Any = optimizer) -> None:
            model.train_step(data, optimizer)

        model.train()
        step()  # the optimiser's state is there from the second step on
        memory = peak_bytes(step, device=device)
        model.eval()
        works[name] = predict
        costs[name] = {
            'params': sum(p.numel() for p in model.parameters()) / 1e6,
            'gflops': count_flops(predict) / 1e9,
            'train_mib': memory / 2**20,
        }
    for name, seconds in take_turns(works, device=device, rounds=rounds).items():
        costs[name]['latency_ms'] = 1e3 * statistics.median(seconds)
    return costs


def _samples(config: Any) -> Sequence[Any]:
    """The first samples of the validation data, or copies of them, a batch of 8."""
    dataset = DATASETS.build(config.val_dataloader.dataset)
    return [dataset[i % len(dataset)] for i in range(BATCH)]
