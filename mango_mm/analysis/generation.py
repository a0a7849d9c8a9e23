"""What a trained latent flow can make: reconstructions, samples, interpolations, swaps."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.runner import Runner
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from mango_mm.apis.open_model import open_model
from mango_mm.apis.run import load_config
from mango_mm.visualization.domains import show_domain
from mango_mm.visualization.panels import draw_panel

__all__ = ['generate']

STEPS = 7  # of an interpolation


def generate(
    config: str | Path,
    checkpoint: str | Path,
    out: str | Path,
    *,
    count: int = 6,
    temperature: float = 0.8,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> dict[str, float]:
    """Draw pictures of a trained ``LatentFlow`` and measure what it loses.

    Writes to ``out``: ``reconstruction.png`` (validation images, the autoencoder's
    reconstruction, and that after the flow and back), ``samples.png``, ``interpolation.png``
    (a straight line between the latents z of two images), ``swap.png`` (z of the first modality
    of one image with z of the others of another), and ``generation.json``.

    Args:
        config: Of the ``LatentFlow``.
        checkpoint: File or work dir.
        out: Folder.
        count: Images per picture.
        temperature: Standard deviation of z for samples.
        seed: Of the samples.
        options: Values of the config to override.

    Returns:
        Over the validation set: ``MAE_m`` of the autoencoder per modality m, ``flow_MAE_m`` the
        further change that flow and inverse make to its images, ``flow_error`` the largest
        change of a latent feature relative to the features' standard deviation, and
        ``bits_per_dim``.

    Raises:
        TypeError: If the config's model is no ``LatentFlow``.
    """
    model, loader = _build(config, checkpoint, options)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    sums: dict[str, list[float]] = {}
    first: dict[str, list[Tensor]] = {}
    for data in tqdm(loader, desc='reconstructing', unit='batch'):
        images = model.autoencoder.part(model.data_preprocessor(data, False)['inputs'])  # noqa: FBT003  # mmengine passes it by position
        for name, value in _errors(model, images).items():
            sums.setdefault(name, []).append(value)
        for m, x in images.items():
            first.setdefault(m, []).append(x)
    errors = {
        name: (max if name == 'flow_error' else _mean)(values) for name, values in sums.items()
    }
    shown = {m: torch.cat(x)[:count] for m, x in first.items()}
    size = tuple(next(iter(shown.values())).shape[-2:])
    z, _ = model.encode(shown)
    plain = model.autoencoder.decode(model.autoencoder.encode(shown), size)
    rows = {'input': shown, 'D(E(x))': plain, 'and G, G^-1': model.decode(z, size)}
    _save(out / 'reconstruction.png', rows)
    generator = torch.Generator().manual_seed(seed)
    samples = model.sample(count, size, temperature, generator)
    _save(out / 'samples.png', {f'sample, T = {temperature}': samples})
    weights = torch.linspace(0, 1, STEPS)[:, None, None, None]
    line = {m: (1 - weights) * x[:1] + weights * x[1:2] for m, x in z.items()}
    _save(out / 'interpolation.png', {'between two': model.decode(line, size)})
    leading = next(iter(z))
    swapped = {m: x if m == leading else x.roll(1, dims=0) for m, x in z.items()}
    _save(out / 'swap.png', {'input': shown, f'z of {leading} kept': model.decode(swapped, size)})
    (out / 'generation.json').write_text(json.dumps(errors, indent=1) + '\n')
    return errors


def _build(
    config: str | Path, checkpoint: str | Path, options: Mapping[str, Any] | None
) -> tuple[Any, Any]:
    kind = str(load_config(config, options=options).model.type).rsplit('.', maxsplit=1)[-1]
    if kind != 'LatentFlow':
        raise TypeError(f'generation needs a config of a LatentFlow; {config} has {kind}.')
    read, model = open_model(config, checkpoint, options=options)
    return model, Runner.build_dataloader(read.val_dataloader)


@torch.no_grad()
def _errors(model: Any, images: Mapping[str, Tensor]) -> dict[str, float]:
    size = tuple(next(iter(images.values())).shape[-2:])
    maps = model.autoencoder.encode(images)
    z, nll = model.encode(images)
    back = model.features(z)
    plain, again = (model.autoencoder.decode(x, size) for x in (maps, back))
    errors = {f'MAE_{m}': float((plain[m] - x).abs().mean()) for m, x in images.items()}
    errors |= {f'flow_MAE_{m}': float((again[m] - x).abs().mean()) for m, x in plain.items()}
    largest = max(float((back[m] - x).abs().max() / x.std()) for m, x in maps.items())
    return {**errors, 'flow_error': largest, 'bits_per_dim': float(nll.mean()) / math.log(2)}


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _save(path: Path, rows: Mapping[str, Mapping[str, Tensor]]) -> None:
    """One row per title and modality, one column per image."""
    strips = []
    for title, images in rows.items():
        for m, batch in images.items():
            shown = {f'{title}: {m}' if i == 0 else ' ' * i: show_domain(x, m) for i, x in
                     enumerate(batch)}  # fmt: skip
            strips.append(draw_panel(shown))
    Image.fromarray(np.concatenate(strips)).save(path)
