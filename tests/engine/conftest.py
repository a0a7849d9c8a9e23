"""Runners in one process: each with a visualizer of its own."""

import pytest


@pytest.fixture(autouse=True)
def _own_visualizer():
    """Mmengine keeps visualizers by name, so that a second run would write where the first did."""
    from mmengine.visualization import Visualizer

    from mango_mm.visualization.seg_visualizer import MultimodalSegVisualizer

    for kind in (Visualizer, MultimodalSegVisualizer):
        kind._instance_dict.clear()
