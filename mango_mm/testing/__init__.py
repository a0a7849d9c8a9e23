"""Checks that anyone may run on a layer of their own."""

from mango_mm.testing.bijections import assert_is_bijection, jacobian_log_det
from mango_mm.testing.fusions import assert_is_block_fusion, assert_is_fusion

__all__ = ['assert_is_bijection', 'assert_is_block_fusion', 'assert_is_fusion', 'jacobian_log_det']
