"""What each modality and token contributed to a trained model's prediction."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from numpy.typing import NDArray
from torch import Tensor

from mango_mm.analysis.fusion_recorder import FusionCall, FusionRecorder
from mango_mm.apis.open_model import open_model
from mango_mm.explicit.attention_rollout import attention_rollout
from mango_mm.explicit.attribution import integrated_gradients, push_forward
from mango_mm.fusion import MangoFusion
from mango_mm.models.tasks import recognition_task_of
from mango_mm.pipelines import in_order

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
    averaged over pixels; of movies, the logit of a genre. Tokens are told apart where they enter
    the fusions (of a ``MangoFusion``: normalised; the means and deviations that
    ``normalize='restore'`` gives back stay), and all other weights stay as they are. What counts
    as nothing is a token of zeros, which is how an absent modality enters.

    Args:
        config: Of the model's training; its loaders are used.
        model: In evaluation mode.
        steps: Points of the integrated gradients.

    Raises:
        TypeError: If the model has no fusion of several modalities, or is of another kind.
    """

    def __init__(self, config: Config, model: Any, steps: int = 16) -> None:
        self.config, self.model, self.steps = config, model, steps
        self.recorder = FusionRecorder(model)
        self.task = recognition_task_of(model, f'attribution of a {type(model).__name__}')
        self.classes: tuple[str, ...] = ()

    @classmethod
    def open(
        cls,
        config: str | Path,
        checkpoint: str | Path | None,
        options: Mapping[str, Any] | None = None,
        steps: int = 16,
    ) -> Attribution:
        """Of a trained model.

        Args:
            config: File, or a name of the zoo.
            checkpoint: File, or a work dir; None: the zoo's.
            options: Overrides of the config.
            steps: Points of the integrated gradients.

        Raises:
            TypeError: If the model has no fusion of several modalities, or is of another kind.
            FileNotFoundError: If config or checkpoint do not exist.
            ValueError: If the checkpoint is of another model.
        """
        return cls(*open_model(config, checkpoint, options=options), steps)

    def explain(
        self, split: str = 'val', count: int = 4, target: str | None = None
    ) -> Iterator[Explanation]:
        """Explain the first samples of a split.

        Args:
            split: ``'train'``, ``'val'`` or ``'test'``.
            count: How many.
            target: A class: of segmentation only its predicted pixels are explained; of movies
                its logit. None: every pixel's own prediction; a movie's likeliest genre.

        Raises:
            ValueError: If the target is no class.
        """
        loader = in_order(self.config[f'{split}_dataloader'], batch_size=1)
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
        with torch.no_grad():
            features, _ = self.task.encode(data['inputs'], samples)
            with self.recorder.recording() as calls:
                logits = self.task.output_of(features, samples)
        weights, label = self.task.explained(logits, self.classes, target)
        tokens = {f'{i}.{m}': x for i, call in enumerate(calls) for m, x in call.entered.items()}

        def score(entered: Mapping[str, Tensor]) -> Tensor:
            by_fusion = [
                {m: entered[f'{i}.{m}'] for m in call.fusion.modalities}
                for i, call in enumerate(calls)
            ]
            with self.recorder.replacing(calls, by_fusion):
                found = self.task.output_of(features, samples)
            return (found * weights).sum(dim=tuple(range(1, found.dim())))

        contributions, rest = integrated_gradients(score, tokens, self.steps)
        with torch.no_grad():
            whole = float(score(tokens))
            nothing = float(score({k: torch.zeros_like(x) for k, x in tokens.items()}))
        shaped: dict[str, dict[str, Map]] = {}
        for i, call in enumerate(calls):
            shaped[str(i)] = {
                m: _shape(contributions[f'{i}.{m}'], call.grid) for m in call.fusion.modalities
            }
        arrivals, drawn = self._through_the_flow(score, tokens, calls)
        meta = samples[0].metainfo
        inputs = batch['inputs']
        return Explanation(
            name=_name_of(meta),
            target=label, score=whole, without=nothing, tokens=shaped, rest=float(rest[0]),
            arrivals=arrivals, drawn_from=drawn,
            inputs={k: v[0] for k, v in inputs.items()} if isinstance(inputs, dict) else inputs[0],
        )  # fmt: skip

    def _through_the_flow(
        self, score: Any, tokens: Mapping[str, Tensor], calls: list[FusionCall]
    ) -> tuple[dict[str, Map], dict[str, float]]:
        """Where the last fusion's modalities arrive and what its attention draws from them."""
        fusion, grid = calls[-1].fusion, calls[-1].grid
        if not isinstance(fusion, MangoFusion):
            return {}, {}
        layout, last = fusion.layout, len(calls) - 1
        parts = [tokens[f'{last}.{m}'] for m in fusion.modalities]
        x, mask = layout.pack(parts, fusion.joint_mask(parts, calls[-1].masks), grid)
        _, tangents = push_forward(fusion.flow, x, layout.lengths, mask)
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
            at = layout.unpack((gradient * tangent).sum(dim=2, keepdim=True), grid)
            arrivals[m] = _shape(torch.cat(at, dim=2).sum(dim=2), grid) if grid else _shape(
                torch.cat([a[..., 0] for a in at], dim=1), None
            )  # fmt: skip
        drawn = attention_rollout(fusion.flow, x, mask).abs().mean(dim=1)
        drawn = drawn / drawn.sum(dim=2, keepdim=True).clamp(min=1e-12)
        real = torch.ones_like(drawn[..., 0]) if mask is None else mask.to(drawn)
        sizes = [
            float((part.sum(dim=2) * real).sum() / real.sum())
            for part in drawn.split(list(layout.lengths), dim=2)
        ]
        return arrivals, dict(zip(fusion.modalities, sizes))


def _name_of(meta: Mapping[str, Any]) -> str:
    """What a sample is called; one given as arrays has no name."""
    named = [meta.get(key) for key in ('sample_id', 'img_path')]
    return next((str(n) for n in named if isinstance(n, (str, Path)) and str(n)), '')


def _shape(values: Tensor, grid: tuple[int, int] | None) -> Map:
    found = values[0].detach().float().cpu().numpy()
    return np.asarray(found.reshape(grid) if grid else found, np.float32)
