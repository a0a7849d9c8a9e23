"""The loss over all processes, written down each iteration, and how much DDP sent."""

import json
import os

import torch.distributed as dist
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from torch.nn.parallel import DistributedDataParallel


@HOOKS.register_module()
class CurveHook(Hook):
    """Appends ``{"loss", "bytes"}`` per iteration to ``CURVE_FILE``, from rank 0."""

    def before_train(self, runner):
        self.sent = 0
        if dist.is_initialized() and isinstance(runner.model, DistributedDataParallel):
            runner.model.register_comm_hook(None, self._average)

    def _average(self, state, bucket):
        """What DDP does anyway, counted."""
        buffer = bucket.buffer()
        self.sent += buffer.numel() * buffer.element_size()
        buffer.div_(dist.get_world_size())
        future = dist.all_reduce(buffer, async_op=True).get_future()
        return future.then(lambda done: done.value()[0])

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        loss = outputs['loss'].detach().clone()
        if dist.is_initialized():
            dist.all_reduce(loss)
            loss /= dist.get_world_size()
        if not dist.is_initialized() or dist.get_rank() == 0:
            with open(os.environ['CURVE_FILE'], 'a') as file:
                file.write(json.dumps(dict(loss=float(loss), bytes=self.sent)) + '\n')
        self.sent = 0
