"""Registered hooks."""

from mango_mm.engine.hooks.cache_check_hook import CacheCheckHook
from mango_mm.engine.hooks.estimate_statistics_hook import EstimateStatisticsHook
from mango_mm.engine.hooks.finite_loss_hook import FiniteLossHook
from mango_mm.engine.hooks.flow_health_hook import FlowHealthHook
from mango_mm.engine.hooks.label_check_hook import LabelCheckHook
from mango_mm.engine.hooks.missing_modality_hook import MissingModalityHook
from mango_mm.engine.hooks.panel_hook import PanelHook
from mango_mm.engine.hooks.random_state_hook import RandomStateHook
from mango_mm.engine.hooks.threshold_hook import ThresholdHook
from mango_mm.engine.hooks.trust_hook import TrustHook
from mango_mm.engine.hooks.vocabulary_hook import VocabularyHook
from mango_mm.engine.hooks.whole_checkpoint_hook import WholeCheckpointHook

__all__ = [
    'CacheCheckHook',
    'EstimateStatisticsHook',
    'FiniteLossHook',
    'FlowHealthHook',
    'LabelCheckHook',
    'MissingModalityHook',
    'PanelHook',
    'RandomStateHook',
    'ThresholdHook',
    'TrustHook',
    'VocabularyHook',
    'WholeCheckpointHook',
]
