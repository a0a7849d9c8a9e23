"""Registered hooks."""

from mango_mm.engine.hooks.panel_hook import PanelHook
from mango_mm.engine.hooks.random_state_hook import RandomStateHook

__all__ = ['PanelHook', 'RandomStateHook']
