"""What each modality and token contributed to a trained model's prediction."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.runner import Runner
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

from mango_mm.apis.trained import fusions_of, load_trained
from mango_mm.flows.position_mixing import position_mixing
from mango_mm.fusion import Fusion, MangoFusion
from mango_mm.fusion.attribution import integrated_gradients, push_forward

__all__ = ['Attribution', 'Explanation']

Map = NDArray[np.float32]


@dataclasses.dataclass
class Explanation:
    """Of one sample. Contributions are in units of the score.

    Attributes:
        name: Path or id of the sample.
        target: What is explained.
        score: Its score.
        without: The score with all tokens absent; ``score - without`` is what is explained.
        tokens: By fusion and modality: every token's contribution, (N_m,), or (h, w) of maps.
        rest: What the quadrature missed.
        arrivals: By modality: how the score would follow its tokens at every fused position, as
            ``tokens``; of the last fusion, if that is a flow.
        drawn_from: By modality: share of its tokens in the composed attention, averaged over the
            fused positions; of the last fusion, if that is a flow.
        inputs: What the model saw, as the loader gave it.
    """

    name: str
    target: str
    score: float
    without: float
    tokens: dict[str, dict[str, Map]]
    rest: float
    arrivals: dict[str, Map]
    drawn_from: dict[str, float]
    inputs: Any

    @property
    def by_modality(self) -> dict[str, float]:
        """Sum of each modality's contributions over all fusions."""
        names = next(iter(self.tokens.values()))
        return {m: float(sum(stage[m].sum() for stage in self.tokens.values())) for m in names}

    @property
    def shares(self) -> dict[str, float]:
        """Each modality's share of all absolute contributions."""
        names = next(iter(self.tokens.values()))
        sizes = {
            m: float(sum(np.abs(stage[m]).sum() for stage in self.tokens.values())) for m in names
        }
        total = sum(sizes.values()) or 1.0
        return {m: size / total for m, size in sizes.items()}

    def as_json(self) -> dict[str, Any]:
        """The numbers, tokens included."""
        return {
            'name': self.name,
            'target': self.target,
            'score': self.score,
            'without': self.without,
            'rest': self.rest,
            'by_modality': self.by_modality,
            'shares': self.shares,
            'drawn_from': self.drawn_from,
            'tokens': {
                stage: {m: np.round(x, 6).tolist() for m, x in of.items()}
                for stage, of in self.tokens.items()
            },
        }


class Attribution:
    """Explains the predictions of a segmentor with a neck or of a classifier with a fusion.

    The score of a segmentation is the logit of the predicted class above the mean over classes,
    averaged over pixels; of films, the logit of a genre. Tokens are told apart where they enter
    the fusions (of a ``MangoFusion``: normalised), and all other weights stay as they are. What
    counts as nothing is a token of zeros, which is how an absent modality enters.

    Args:
        config: File.
        checkpoint: File, or a work dir.
        options: Overrides of the config.
        steps: Points of the integrated gradients.

    Raises:
        TypeError: If the model has no fusion of several modalities, or is of another kind.
        FileNotFoundError: If config or checkpoint do not exist.
        ValueError: If the checkpoint is of another model.
    """

    def __init__(
        self,
        config: str | Path,
        checkpoint: str | Path | None,
        options: Mapping[str, Any] | None = None,
        steps: int = 16,
    ) -> None:
        self.config, self.model = load_trained(config, checkpoint, options)
        self.fusions = fusions_of(self.model)
        self.films = hasattr(self.model, 'classify')
        if not self.films and not hasattr(self.model, 'merge'):
            raise TypeError(
                'attributions are made of a MultimodalEncoderDecoder or a MultimodalClassifier; '
                f'{config} has a {type(self.model).__name__}.'
            )
        self.steps = steps
        self.classes: tuple[str, ...] = ()

    def explain(
        self, split: str = 'val', count: int = 4, target: str | None = None
    ) -> Iterator[Explanation]:
        """Explain the first samples of a split.

        Args:
            split: ``'train'``, ``'val'`` or ``'test'``.
            count: How many.
            target: A class: of segmentation only its predicted pixels are explained; of films
                its logit. None: every pixel's own prediction; a film's likeliest genre.

        Raises:
            ValueError: If the target is no class.
        """
        loader = self.config[f'{split}_dataloader'].to_dict()
        loader.update(batch_size=1, sampler={'type': 'DefaultSampler', 'shuffle': False})
        built = Runner.build_dataloader(loader)
        self.classes = tuple(built.dataset.metainfo['classes'])
        if target is not None and target not in self.classes:
            raise ValueError(f'target must be one of {self.classes}; got {target!r}.')
        for index, batch in enumerate(built):
            if index == count:
                return
            yield self.explain_batch(batch, target)

    def explain_batch(self, batch: Any, target: str | None = None) -> Explanation:
        """Explain a batch of one sample, as the loader gives it."""
        data = self.model.data_preprocessor(batch, False)  # noqa: FBT003  # mmengine passes it by position
        samples = data['data_samples']
        given: list[tuple[dict[str, Tensor], dict[str, Any]]] = []
        with torch.no_grad():
            features = self._encode(data['inputs'], samples)
            with self._inputs_of_fusions(lambda i, x, kwargs: given.append((x, kwargs))):
                logits = self._decode(features, samples)
        weights, label = self._target(logits, target)
        tokens = {
            f'{i}.{m}': _as_entered(fusion, x[m])
            for i, (fusion, (x, _)) in enumerate(zip(self.fusions, given))
            for m in fusion.modalities
        }

        def score(entered: Mapping[str, Tensor]) -> Tensor:
            def replace(i: int, x: Any, kwargs: Any) -> dict[str, Tensor]:
                return {m: entered[f'{i}.{m}'] for m in self.fusions[i].modalities}

            with self._inputs_of_fusions(replace), _entered(self.fusions):
                found = self._decode(features, samples)
            return (found * weights).sum(dim=tuple(range(1, found.dim())))

        contributions, rest = integrated_gradients(score, tokens, self.steps)
        with torch.no_grad():
            whole = float(score(tokens))
            nothing = float(score({k: torch.zeros_like(x) for k, x in tokens.items()}))
        shaped: dict[str, dict[str, Map]] = {}
        for i, (fusion, (_, kwargs)) in enumerate(zip(self.fusions, given)):
            grid = kwargs.get('grid')
            shaped[str(i)] = {m: _shape(contributions[f'{i}.{m}'], grid) for m in fusion.modalities}
        arrivals, drawn = self._through_the_flow(score, tokens, given[-1][1])
        meta = samples[0].metainfo
        inputs = batch['inputs']
        return Explanation(
            name=str(meta.get('sample_id') or meta.get('img_path') or ''),
            target=label, score=whole, without=nothing, tokens=shaped, rest=float(rest[0]),
            arrivals=arrivals, drawn_from=drawn,
            inputs={k: v[0] for k, v in inputs.items()} if isinstance(inputs, dict) else inputs[0],
        )  # fmt: skip

    def _encode(self, inputs: Any, samples: Any) -> Any:
        if self.films:
            return self.model.encode(inputs, samples)
        return self.model.encode(inputs, [s.metainfo for s in samples])[0]

    def _decode(self, features: Any, samples: Any) -> Tensor:
        """Logits (1, K) or (1, K, h, w), from the features on."""
        if self.films:
            logits, _, _ = self.model.classify(*features)
            return torch.as_tensor(logits['fused'])
        present = self.model.presence([s.metainfo for s in samples])
        return torch.as_tensor(self.model.decode_head(self.model.merge(features, present)[0]))

    def _target(self, logits: Tensor, target: str | None) -> tuple[Tensor, str]:
        """Weights of the logits in the score, and what it is called."""
        if self.films:
            index = int(logits[0].argmax()) if target is None else self.classes.index(target)
            return F.one_hot(torch.tensor([index]), logits.shape[1]).to(logits), self.classes[index]
        predicted = logits.argmax(dim=1)
        pixels = torch.ones_like(predicted, dtype=torch.bool)
        if target is not None:
            pixels = predicted == self.classes.index(target)
        chosen = F.one_hot(predicted, logits.shape[1]).movedim(-1, 1).to(logits)
        weights = (chosen - 1 / logits.shape[1]) * pixels[:, None]
        return weights / pixels.sum().clamp(min=1), target or 'predicted classes'

    @contextlib.contextmanager
    def _inputs_of_fusions(self, see: Any) -> Iterator[None]:
        """Hand what each fusion is given to ``see``; tokens that it returns take their place."""

        def hook(i: int) -> Any:
            def inner(module: Any, args: Any, kwargs: Any) -> Any:
                features = see(i, args[0], kwargs)
                return None if features is None else ((features, *args[1:]), kwargs)

            return inner

        handles = [
            fusion.register_forward_pre_hook(hook(i), with_kwargs=True)
            for i, fusion in enumerate(self.fusions)
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _through_the_flow(
        self, score: Any, tokens: Mapping[str, Tensor], kwargs: Mapping[str, Any]
    ) -> tuple[dict[str, Map], dict[str, float]]:
        """Where the last fusion's modalities arrive and what its attention draws from them."""
        fusion = self.fusions[-1]
        if not isinstance(fusion, MangoFusion):
            return {}, {}
        last = len(self.fusions) - 1
        parts = [tokens[f'{last}.{m}'] for m in fusion.modalities]
        grid, joint = kwargs.get('grid'), fusion.joint_mask(parts, kwargs.get('masks'))
        x, mask = fusion.enter(parts, joint, grid)
        _, tangents = push_forward(fusion.flow, x, fusion.lengths, mask)
        seen: list[Tensor] = []
        handle = fusion.flow.register_forward_hook(lambda m, a, out: seen.append(out[0]))
        try:
            with torch.enable_grad():
                entered = {k: v.detach().requires_grad_() for k, v in tokens.items()}
                total = score(entered).sum()
                (gradient,) = torch.autograd.grad(total, [seen[0]])
        finally:
            handle.remove()
        arrivals = {}
        for m, tangent in zip(fusion.modalities, tangents):
            at = fusion.leave((gradient * tangent).sum(dim=2, keepdim=True), grid)
            arrivals[m] = _shape(torch.cat(at, dim=2).sum(dim=2), grid) if grid else _shape(
                torch.cat([a[..., 0] for a in at], dim=1), None
            )  # fmt: skip
        drawn = position_mixing(fusion.flow, x, mask).abs().mean(dim=1)
        drawn = drawn / drawn.sum(dim=2, keepdim=True).clamp(min=1e-12)
        real = torch.ones_like(drawn[..., 0]) if mask is None else mask.to(drawn)
        sizes = [
            float((part.sum(dim=2) * real).sum() / real.sum())
            for part in drawn.split(list(fusion.lengths), dim=2)
        ]
        return arrivals, dict(zip(fusion.modalities, sizes))


def _as_entered(fusion: Fusion, x: Tensor) -> Tensor:
    """Tokens as they enter what is differentiated: a flow's after their normalisation."""
    x = x.detach().float()
    if isinstance(fusion, MangoFusion) and fusion.normalize:
        return F.layer_norm(x, (x.shape[2],), eps=1e-5)
    return x


@contextlib.contextmanager
def _entered(fusions: list[Fusion]) -> Iterator[None]:
    """Flows that take their tokens as they are, for a while."""
    before = [getattr(f, 'normalize', None) for f in fusions]
    try:
        for fusion, was in zip(fusions, before):
            if was is not None:
                fusion.normalize = False  # type: ignore[assignment]
        yield
    finally:
        for fusion, was in zip(fusions, before):
            if was is not None:
                fusion.normalize = was


def _shape(values: Tensor, grid: tuple[int, int] | None) -> Map:
    found = values[0].detach().float().cpu().numpy()
    return np.asarray(found.reshape(grid) if grid else found, np.float32)
