"""Flow health hook: watches the flows of a model while it trains."""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import Tensor

from mango_mm.explicit.health import first_flows, flow_health, layer_health
from mango_mm.flows import Bijection
from mango_mm.registry import HOOKS

__all__ = ['FlowHealthHook']


@HOOKS.register_module()
class FlowHealthHook(Hook):
    """Logs what ``mango_mm.explicit.health`` measures, and warns before it goes wrong.

    The scalars are ``flow/<name>`` of one flow, ``flow<i>/<name>`` of several, beside the losses:
    in the text log, and wherever mmengine's visualizer writes (local, TensorBoard, ...). Each
    kind of warning is given once in a run. Sampled on the first samples of a batch, so that it
    costs little: one pass and one inverse per ``interval``.

    Args:
        interval: Iterations between two measurements.
        samples: Of a batch, at most.
        max_round_trip: Warn above it: of an inverse in float32 on data of unit scale.
        max_gate_share: Warn where a gate has come so near to its bound.
        per_layer: Log gate and bound of the condition number of every ICA layer too, as
            ``flow/<path>/gate`` and ``flow/<path>/condition``.
        max_spread: Warn where ln|det| per dimension differs so much among samples, in nats.

    Raises:
        ValueError: If ``interval`` or ``samples`` are not positive.
    """

    priority = 'NORMAL'  # before the logger, which runs at BELOW_NORMAL

    def __init__(
        self,
        interval: int = 100,
        samples: int = 4,
        max_round_trip: float = 1e-3,
        max_gate_share: float = 0.95,
        max_spread: float = 1.0,
        *,
        per_layer: bool = False,
    ) -> None:
        if interval < 1 or samples < 1:
            raise ValueError(f'interval and samples must be positive; got {interval}, {samples}.')
        self.interval, self.samples = interval, samples
        self.max_round_trip, self.max_gate_share = max_round_trip, max_gate_share
        self.max_spread, self.per_layer = max_spread, per_layer
        self._flows: dict[str, Bijection] = {}
        self._seen: dict[str, tuple[Tensor, Tensor | None]] = {}
        self._handles: list[Any] = []
        self._warned: set[str] = set()
        self._watching = False

    def before_train(self, runner: Any) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self._flows = first_flows(model)
        if not self._flows:
            runner.logger.warning('FlowHealthHook: this model has no flow to watch.')
        for path, flow in self._flows.items():
            note = functools.partial(self._note, path)
            self._handles.append(flow.register_forward_pre_hook(note, with_kwargs=True))

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        self._watching = self.every_n_train_iters(runner, self.interval)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if not self._watching:
            return
        self._watching = False
        for i, (path, flow) in enumerate(self._flows.items()):
            if path not in self._seen:
                continue
            x, mask = self._seen.pop(path)
            name = 'flow' if len(self._flows) == 1 else f'flow{i}'
            found = flow_health(flow, x, mask)
            for key, value in found.items():
                runner.message_hub.update_scalar(f'train/{name}/{key}', value)
            for layer, values in (layer_health(flow) if self.per_layer else {}).items():
                for key, value in values.items():
                    runner.message_hub.update_scalar(f'train/{name}/{layer}/{key}', value)
            self._judge(runner, path, flow, found)

    def after_train(self, runner: Any) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles, self._seen = [], {}

    @torch.no_grad()
    def _note(self, path: str, flow: Any, args: Any, kwargs: Any) -> None:
        if self._watching:
            mask = kwargs.get('mask')
            self._seen[path] = (
                args[0][: self.samples].detach().clone(),
                None if mask is None else mask[: self.samples].clone(),
            )

    def _judge(self, runner: Any, path: str, flow: Bijection, found: dict[str, float]) -> None:
        bound = max((getattr(m, 'gate_max', 0.0) for m in flow.modules()), default=0.0)
        complaints = {
            'round_trip': (
                self.max_round_trip, 'the flow no longer returns its input; lower the learning '
                'rate, its depth or its gates',
            ),
            'gate': (
                self.max_gate_share * bound if bound else math.inf,
                'a gate has come close to its bound; the layer is badly conditioned',
            ),
            'log_det_spread': (
                self.max_spread, 'samples differ strongly in volume; look at the inputs, or lower '
                'nll_weight',
            ),
        }  # fmt: skip
        for key, (limit, what) in complaints.items():
            value = found.get(key, 0.0)
            # NaN compares as False: it must not pass.
            if not value <= limit and key not in self._warned:
                self._warned.add(key)
                runner.logger.warning(
                    f'FlowHealthHook: {key} of {path or "the model"} is {value:.3g}, above '
                    f'{limit:.3g} at iteration {runner.iter + 1}: {what}.'
                )
