"""Fits a density to the tokens that a trained model fuses; saves and loads it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.runner import Runner
from torch import Tensor
from tqdm import tqdm

from mango_mm.analysis.fusion_recorder import FusionCall, FusionRecorder, deepest
from mango_mm.apis.open_model import open_model
from mango_mm.explicit.token_density import TokenDensity, normalised
from mango_mm.hosts import require_host
from mango_mm.pipelines import plain_training_loader

__all__ = ['fit_density', 'load_density', 'save_density']

FORMAT = 'mango_mm.TokenDensity'
CENTER_BATCHES = 100  # for the means of the positions


def fit_density(
    config: str | Path,
    checkpoint: str | Path,
    *,
    iterations: int = 2000,
    learning_rate: float = 2e-3,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    **density: Any,
) -> TokenDensity:
    """Fit a :class:`~mango_mm.explicit.token_density.TokenDensity` to a trained model.

    The model is frozen and in evaluation mode; the data are those of its training, with its
    augmentation. Afterwards it is calibrated on the training samples without augmentation.

    Args:
        config: Of the training.
        checkpoint: File, or a work dir.
        iterations: Batches.
        learning_rate: The highest of AdamW's one-cycle schedule.
        seed: Of the order and of the noise.
        options: Overrides of the config.
        **density: Options of the density.

    Raises:
        TypeError: If the model has no fusion of two modalities.
        FloatingPointError: If the loss stops being finite.
        ImportError: If scikit-learn is not installed.
    """
    require_host('sklearn', 'fit_density')  # it calibrates at the end: the fit would be lost
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    cfg, model = open_model(config, checkpoint, options=options, device=device)
    read = _Reader(model)
    torch.manual_seed(seed)
    # An InfiniteSampler can be read once: its generator is closed with the first iterator.
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=seed)
    means = _means(read, loader, min(CENTER_BATCHES, iterations))
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=seed)
    if not means:
        raise ValueError(f'{config}: the training loader gave no batch.')
    fitted = _for_tokens(read.last, density).to(device).train()
    fitted.center_on(means)
    parameters = [p for p in fitted.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, learning_rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, iterations)
    with tqdm(total=iterations, desc='fit density', unit='it') as bar:
        for batch in itertools.islice(_forever(loader), iterations):
            call = read(batch)
            loss = fitted.loss(call.tokens, **call.options)
            if not torch.isfinite(loss):
                raise FloatingPointError(
                    f'the density loss is {float(loss)} at iteration {bar.n + 1}; lower '
                    'learning_rate, or raise the noise.'
                )
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            bar.update()
            bar.set_postfix(nats_per_dim=f'{float(loss):.3f}')
        if bar.n < iterations:
            raise ValueError(f'{config}: the training loader ended after {bar.n} batches.')
    fitted.eval()
    seen = []
    for batch in tqdm(Runner.build_dataloader(plain_training_loader(cfg)), desc='calibrate'):
        call = read(batch)
        seen.append(fitted.statistics(call.tokens, **call.options))
    fitted.calibrate(torch.cat(seen))
    return fitted


def save_density(density: TokenDensity, path: str | Path) -> None:
    """Weights and options in one file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(
        {'format': FORMAT, 'options': density.options, 'state_dict': density.state_dict()}, path
    )


def load_density(path: str | Path) -> TokenDensity:
    """What :func:`save_density` wrote; nothing in the file is executed.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is something else.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f'there is no density {path}; make one by tools/analyse/fit_density.py.'
        )
    try:
        kept = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:
        raise ValueError(f'{path} is no density of fit_density.py: {error}') from error
    if not isinstance(kept, dict) or kept.get('format') != FORMAT:
        raise ValueError(f'{path} is no density of fit_density.py.')
    try:
        density = TokenDensity(**kept['options'])
        density.load_state_dict(kept['state_dict'])
    except (RuntimeError, TypeError, KeyError) as error:
        raise ValueError(f'{path} is a density of another version: {error}') from error
    return density.eval()


class _Reader:
    """Lets a model see a batch as in a test, labels or not; keeps its deepest fusion's call."""

    def __init__(self, model: Any) -> None:
        self.model, self.recorder = model, FusionRecorder(model)
        self.calls: list[FusionCall] = []

    @torch.no_grad()
    def __call__(self, batch: Any) -> FusionCall:
        with self.recorder.recording() as self.calls:
            self.model.test_step(batch)
        return self.last

    @property
    def last(self) -> FusionCall:
        return deepest(self.calls)


def _for_tokens(call: FusionCall, options: Mapping[str, Any]) -> TokenDensity:
    """A density for the tokens that a fusion has just been given."""
    shapes = {m: x.shape for m, x in call.tokens.items()}
    names, grid = tuple(shapes), call.grid
    size: dict[str, Any] = {'num_tokens': [shapes[m][1] for m in names]}
    if grid is not None:
        layout = getattr(call.fusion, 'layout', None)
        window = getattr(layout, 'window', None) or grid
        size = {'window': tuple(window), 'grid': tuple(grid)}
    return TokenDensity(names, shapes[names[0]][2], **{**size, **options})


def _means(read: _Reader, loader: Any, count: int) -> dict[str, Tensor]:
    """The mean normalised token at every position, over ``count`` batches."""
    sums: dict[str, Tensor] = {}
    seen: dict[str, Tensor] = {}
    for batch in itertools.islice(_forever(loader), count):
        call = read(batch)
        for m, x in call.tokens.items():
            real = (call.masks or {}).get(m)
            weight = x.new_ones(x.shape[:2]) if real is None else real.to(x)
            sums[m] = sums.get(m, 0.0) + (normalised(x) * weight[..., None]).sum(dim=0)
            seen[m] = seen.get(m, 0.0) + weight.sum(dim=0)
    return {m: total / seen[m].clamp(min=1)[:, None] for m, total in sums.items()}


def _forever(loader: Any) -> Iterator[Any]:
    while True:
        empty = True
        for batch in loader:
            empty = False
            yield batch
        if empty:
            return
