"""Fits a density to the tokens that a trained model fuses; saves and loads it."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.runner import Runner
from torch import Tensor
from tqdm import tqdm

from mango_mm.apis.trained import fusions_of, load_trained
from mango_mm.fusion.token_density import TokenDensity, normalised
from mango_mm.hosts import require_host

__all__ = ['FusionListener', 'fit_density', 'load_density', 'save_density']

FORMAT = 'mango_mm.TokenDensity'
CENTER_BATCHES = 100  # for the means of the positions


class FusionListener:
    """Keeps what the deepest fusion of a model was given last: tokens, masks and grid.

    Raises:
        TypeError: If the model has no fusion.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self.fusion = fusions_of(model)[-1]
        self.tokens: dict[str, Tensor] = {}
        self.others: dict[str, Any] = {}

    @contextlib.contextmanager
    def __call__(self) -> Iterator[FusionListener]:
        handle = self.fusion.register_forward_pre_hook(self._note, with_kwargs=True)
        try:
            yield self
        finally:
            handle.remove()

    def _note(self, module: Any, args: Any, kwargs: Any) -> None:
        features = args[0] if args else kwargs['features']
        self.tokens = {m: features[m].detach().float() for m in self.fusion.modalities}
        self.others = {k: v for k, v in kwargs.items() if k in ('masks', 'grid')}


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
    """Fit a :class:`~mango_mm.fusion.token_density.TokenDensity` to a trained model.

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
    cfg, model = load_trained(config, checkpoint, options)
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    model = model.to(device)
    listener = FusionListener(model)
    torch.manual_seed(seed)
    with listener():
        # An InfiniteSampler can be read once: its generator is closed with the first iterator.
        loader = Runner.build_dataloader(cfg.train_dataloader, seed=seed)
        means = _means(model, listener, loader, min(CENTER_BATCHES, iterations))
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=seed)
    if not means:
        raise ValueError(f'{config}: the training loader gave no batch.')
    fitted = _for_tokens(listener, density).to(device).train()
    fitted.center_on(means)
    parameters = [p for p in fitted.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, learning_rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, iterations)
    with listener(), tqdm(total=iterations, desc='fit density', unit='it') as bar:
        for batch in itertools.islice(_forever(loader), iterations):
            _read(model, batch)
            loss = fitted.loss(listener.tokens, **listener.others)
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
    with listener():
        for batch in tqdm(Runner.build_dataloader(plain_loader(cfg)), desc='calibrate'):
            _read(model, batch)
            seen.append(fitted.statistics(listener.tokens, **listener.others))
    fitted.calibrate(torch.cat(seen))
    return fitted


def plain_loader(config: Any) -> dict[str, Any]:
    """The validation loader over the training data: every sample once, without augmentation."""
    loader: dict[str, Any] = config.val_dataloader.to_dict()
    trained = config.train_dataloader.to_dict()['dataset']
    loader['dataset'] = {**trained, 'pipeline': loader['dataset']['pipeline']}
    loader['sampler'] = {'type': 'DefaultSampler', 'shuffle': False}
    return loader


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


def _for_tokens(listener: FusionListener, options: Mapping[str, Any]) -> TokenDensity:
    """A density for the tokens that the fusion has just been given."""
    shapes = {m: x.shape for m, x in listener.tokens.items()}
    names = tuple(shapes)
    grid = listener.others.get('grid')
    window = getattr(listener.fusion, 'window', None) or grid
    size: dict[str, Any] = (
        {'num_tokens': [shapes[m][1] for m in names]} if grid is None else {'window': tuple(window)}
    )
    if grid is not None:
        size['grid'] = tuple(grid)
    return TokenDensity(names, shapes[names[0]][2], **{**size, **options})


def _means(model: Any, listener: FusionListener, loader: Any, count: int) -> dict[str, Tensor]:
    """The mean normalised token at every position, over ``count`` batches."""
    sums: dict[str, Tensor] = {}
    seen: dict[str, Tensor] = {}
    for batch in itertools.islice(_forever(loader), count):
        _read(model, batch)
        for m, x in listener.tokens.items():
            real = (listener.others.get('masks') or {}).get(m)
            weight = x.new_ones(x.shape[:2]) if real is None else real.to(x)
            sums[m] = sums.get(m, 0.0) + (normalised(x) * weight[..., None]).sum(dim=0)
            seen[m] = seen.get(m, 0.0) + weight.sum(dim=0)
    return {m: total / seen[m].clamp(min=1)[:, None] for m, total in sums.items()}


@torch.no_grad()
def _read(model: Any, batch: Any) -> None:
    """Let the model see a batch as in a test, labels or not."""
    model.test_step(batch)


def _forever(loader: Any) -> Iterator[Any]:
    while True:
        empty = True
        for batch in loader:
            empty = False
            yield batch
        if empty:
            return
