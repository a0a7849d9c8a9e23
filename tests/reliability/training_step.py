"""One step of a shipped small config on generated data, under different arithmetic."""

import contextlib
import copy
import logging
import os
import sys
from pathlib import Path

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapperDict, build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mango_mm.apis import load_config
from mango_mm.registry import MODELS

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from test_configs import CONFIGS, PLOTS, provide  # noqa: E402

MINI = sorted(
    p for p in CONFIGS.rglob('*.py')
    if '_base_' not in p.parts
    and any(name in p.stem for name in ('mini-rooms', 'movies-96x64'))
)  # fmt: skip
ROOTS = ('MANGO_MINI_ROOMS', 'MANGO_MINI_TASKONOMY', 'MANGO_MINI_MOVIES')


class Step:
    """A config, its model's weights and one batch, fixed; everything else may vary.

    Args:
        path: A mini config.
        data: Folder of rooms, of views and of movies; the last is named ``movies``, so that it is
            also that of the configs which read ``$MANGO_DATA_ROOT/movies``.
        folder: For the checkpoints that it starts from.
        batch: Samples in the batch.
    """

    def __init__(self, path, data, folder, batch=4):
        for name, root in zip(ROOTS, data):
            os.environ[name] = str(root)
        with pytest.MonkeyPatch.context() as patch:  # others in this process have the real one
            patch.setenv('MANGO_DATA_ROOT', str(Path(data[2]).parent))
            self.config = load_config(path)
        if 'autoencoder' in self.config.model:
            self.config.model.autoencoder.pop('init_cfg')  # no trained one here
        init_default_scope(self.config.default_scope)
        MMLogger.get_current_instance().setLevel(logging.ERROR)  # init_weights lists all weights
        provide(self.config, folder)
        loader = self.config.train_dataloader
        loader.batch_size, loader.num_workers = batch, 0
        loader.persistent_workers = False
        torch.manual_seed(0)
        self.batch = next(iter(Runner.build_dataloader(loader, seed=0)))
        self.weights = None

    def model(self, **neck):
        """Built anew; the first one's weights go into all that follow."""
        given = copy.deepcopy(self.config.model)
        for key, value in neck.items():
            given.neck.fusion[key] = value
        torch.manual_seed(0)
        model = MODELS.build(given)
        model.init_weights()
        if self.config.default_scope == 'mango_mm':  # movies
            model.fit_vocabulary(PLOTS)
        if self.weights is None:
            self.weights = copy.deepcopy(model.state_dict())
        model.load_state_dict(self.weights)
        for module in model.modules():  # drawn per sample, so that halves of a batch differ
            if isinstance(module, torch.nn.modules.dropout._DropoutNd):
                module.p = 0.0
            elif isinstance(module, torch.nn.MultiheadAttention):
                module.dropout = 0.0
            elif type(module).__name__ == 'DropPath':
                module.drop_prob = 0.0
        return model.train()

    def half(self, first):
        """The first or second half of the batch."""
        count = len(self.batch['data_samples']) // 2
        part = slice(0, count) if first else slice(count, None)

        def cut(value):
            if isinstance(value, dict):
                return {k: cut(v) for k, v in value.items()}
            return value[part]

        return cut(self.batch)

    def take(self, model, batches=None, dtype=None):
        """Losses and gradients of one plain step of size 1; several batches accumulate."""
        batches = [self.batch] if batches is None else batches
        wrapper = plain_wrapper(model, self.config.optim_wrapper, len(batches))
        before = {n: p.detach().clone() for n, p in model.named_parameters()}
        if dtype:
            forward_in(wrapper, dtype)
        logs = []
        torch.manual_seed(1)
        for batch in batches:
            logs.append(model.train_step(copy.deepcopy(batch), wrapper))
        gradients = {n: before[n] - p.detach() for n, p in model.named_parameters()}
        losses = {k: sum(log[k].item() for log in logs) / len(logs) for k in logs[0] if 'loss' in k}
        return losses, gradients


def forward_in(wrapper, dtype):
    """Autocast around forward passes alone, as mmengine's AmpOptimWrapper has it on a GPU."""
    for inner in getattr(wrapper, 'optim_wrappers', {'': wrapper}).values():
        context = inner.optim_context

        @contextlib.contextmanager
        def half(model, context=context):
            with torch.autocast('cpu', dtype), context(model):
                yield

        inner.optim_context = half


def plain_wrapper(model, given, accumulate):
    """Gradient descent in the place of each optimiser, without clipping."""
    plain = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1.0))
    if given.get('constructor'):  # several networks, several optimisers
        names = [k for k in given if k != 'constructor']
        return build_optim_wrapper(
            model, dict(constructor=given.constructor, **{k: plain for k in names})
        )
    wrapper = build_optim_wrapper(model, {**plain, 'accumulative_counts': accumulate})
    assert not isinstance(wrapper, OptimWrapperDict)
    wrapper.initialize_count_status(model, 0, accumulate)
    return wrapper


def flatten(gradients):
    return torch.cat([g.flatten().double() for g in gradients.values()])


def distance(got, wanted):
    """Relative L2 distance of two sets of gradients."""
    return float((flatten(got) - flatten(wanted)).norm() / flatten(wanted).norm())
