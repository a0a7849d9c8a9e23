"""mmengine's FSDP strategy, with what keeps 0.10 from resuming put right (0.11 did so too)."""

from __future__ import annotations

from typing import Any

import torch
from mmengine._strategy import FSDPStrategy as MMEngineFSDPStrategy
from torch.distributed.fsdp import FullyShardedDataParallel

from mango_mm.registry import STRATEGIES

__all__ = ['FSDPStrategy']


@STRATEGIES.register_module()
class FSDPStrategy(MMEngineFSDPStrategy):
    """mmengine's ``FSDPStrategy``; resumes under torch 2.1 and later, and works on CPUs.

    Arguments are mmengine's.
    """

    def __init__(self, *, model_wrapper: dict[str, Any] | None = None, **others: Any) -> None:
        if not torch.cuda.is_available():
            model_wrapper = {**(model_wrapper or {}), 'device_id': torch.device('cpu')}
        super().__init__(model_wrapper=model_wrapper, **others)

    def load_optim_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Give every rank its part of the moments (mmengine: in the order of torch 2.0)."""
        part = FullyShardedDataParallel.optim_state_dict_to_load(
            model=self.model,
            optim=self.optim_wrapper.optimizer,
            optim_state_dict=state_dict,
        )
        self.optim_wrapper.load_state_dict(part)

    def _init_state_dict_cfg(self, state_dict_cfg: str | dict[str, Any]) -> None:
        super()._init_state_dict_cfg(state_dict_cfg)
        if not torch.cuda.is_available():
            # "Offloaded to the CPU" it is there already, and FSDP frees what it then reads.
            for config in (self.state_dict_config, self.optim_state_dict_config):
                config.offload_to_cpu = False
