"""Train, test and predict from a config: what tools and notebooks call."""

from mango_mm.apis.inferencer import MangoInferencer
from mango_mm.apis.run import leave_process_group, load_config, test, train

__all__ = ['MangoInferencer', 'leave_process_group', 'load_config', 'test', 'train']
