"""Evaluation: what mmseg's IoUMetric and mmagic's metrics do not cover."""
