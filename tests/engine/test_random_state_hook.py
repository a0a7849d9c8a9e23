"""Validation draws numbers, and training goes on as if it had not."""

import random

import numpy as np
import torch

from mango_mm.engine.hooks import RandomStateHook


def drawn():
    return torch.rand(3).tolist(), np.random.rand(3).tolist(), [random.random() for _ in range(3)]


def test_what_a_validation_draws_leaves_no_trace():
    hook = RandomStateHook()
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    wanted = drawn()
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    hook.before_val(None)
    others = drawn(), drawn()
    hook.after_val(None)
    assert drawn() == wanted
    assert others[0] == wanted  # it did draw
    hook.after_val(None)  # once
    assert drawn() != wanted
