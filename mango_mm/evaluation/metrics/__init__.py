"""Registered metrics."""

from mango_mm.evaluation.metrics.flow_likelihood import FlowLikelihood

__all__ = ['FlowLikelihood']
