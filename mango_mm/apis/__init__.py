"""Train, test and open models from a config: what tools and notebooks call."""

from mango_mm.apis.open_model import open_model
from mango_mm.apis.run import leave_process_group, load_config, test, train

__all__ = ['leave_process_group', 'load_config', 'open_model', 'test', 'train']
