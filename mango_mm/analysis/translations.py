"""What several translators make of the same views, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.runner import Runner
from PIL import Image

from mango_mm.apis.open_model import open_model
from mango_mm.visualization.domains import Picture, show_domain
from mango_mm.visualization.panels import draw_panel

__all__ = ['draw_translations']


def draw_translations(
    models: Mapping[str, tuple[str | Path, str | Path]],
    path: str | Path,
    *,
    count: int = 4,
    show_data: bool = True,
    options: Mapping[str, Any] | None = None,
) -> Path:
    """One row per validation view: sources, target, and what each translator makes of them.

    Args:
        models: Config and checkpoint (file or work dir) by name, all of one task.
        path: Picture to write.
        count: Views, evenly spaced over the validation set.
        show_data: False leaves sources and truth out, for data that must not be passed on,
            and puts the error beside each output: black none, white a fifth of the range.
        options: Values of the configs to override.

    Returns:
        ``path``.

    Raises:
        ValueError: If there is no model, or they translate to different domains.
    """
    rows: list[dict[str, Picture]] = []
    target = None
    for name, (config, checkpoint) in models.items():
        read, model = open_model(config, checkpoint, options=options)
        data = Runner.build_dataloader(read.val_dataloader).dataset
        if target not in (None, data.target):
            raise ValueError(f'{name} makes {data.target}, the models before it {target}.')
        target = data.target
        for row, index in enumerate(np.linspace(0, len(data) - 1, count).round().astype(int)):
            item = data[int(index)]
            truth, mask = item['data_samples'].gt_img, item['data_samples'].gt_mask
            if row == len(rows):
                shown = {m: show_domain(x, m) for m, x in item['inputs'].items()}
                shown[f'{target} (truth)'] = show_domain(truth, target)
                rows.append(shown if show_data else {})
            inputs = {m: x[None] for m, x in item['inputs'].items()}
            with torch.no_grad():
                made = model(inputs)[0]
            rows[row][name] = show_domain(made, target)
            if not show_data:
                error = ((made - truth).abs() * mask).mean(0, keepdim=True)
                rows[row][f'{name}: error'] = show_domain(error * 5 - 1, 'error')
    if not rows:
        raise ValueError('no model was given.')
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate([draw_panel(row) for row in rows])).save(path)
    return path
