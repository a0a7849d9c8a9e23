"""What the fusions of a model are given: recorded, or replaced.

Shape letters: B batch, N_m tokens of modality m, D channels.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mango_mm.fusion import Fusion, MangoFusion, fusions_of

__all__ = ['FusionCall', 'FusionRecorder', 'deepest']


@dataclasses.dataclass(frozen=True)
class FusionCall:
    """One call of a fusion.

    Attributes:
        fusion: Which.
        features: Tokens of each modality, detached copies, (B, N_m, D).
        masks: Real tokens, bool (B, N_m) each; None: all.
        grid: Height and width in tokens, of maps.
    """

    fusion: Fusion
    features: dict[str, Tensor]
    masks: dict[str, Tensor] | None
    grid: tuple[int, int] | None

    @property
    def options(self) -> dict[str, Any]:
        """Masks and grid, as a fusion takes them."""
        return {'masks': self.masks, 'grid': self.grid}

    @property
    def tokens(self) -> dict[str, Tensor]:
        """The features in float32, in the order of the fusion's modalities."""
        return {m: self.features[m].float() for m in self.fusion.modalities}

    @property
    def entered(self) -> dict[str, Tensor]:
        """Tokens as they enter what mixes them: a flow's after their normalisation, float32."""
        if not isinstance(self.fusion, MangoFusion):
            return self.tokens
        normalised, _ = self.fusion.norm(list(self.tokens.values()))
        return dict(zip(self.fusion.modalities, normalised))


def deepest(calls: Sequence[FusionCall]) -> FusionCall:
    """The call of the fusion that was called last.

    Slide inference calls it once per window: those are one call here, window by window along the
    batch, (W B, N_m, D).
    """
    own = [call for call in calls if call.fusion is calls[-1].fusion]
    if len(own) == 1:
        return own[0]
    features = {m: torch.cat([call.features[m] for call in own]) for m in own[0].features}
    given = [call.masks for call in own]
    masks = None
    if all(given):
        masks = {m: torch.cat([part[m] for part in given if part]) for m in given[0] or ()}
    return FusionCall(own[0].fusion, features, masks, own[0].grid)


class FusionRecorder:
    """Sees what the fusions of a model are given while it runs.

    Args:
        model: With at least one fusion of several modalities.

    Raises:
        TypeError: If there is none.
    """

    def __init__(self, model: nn.Module) -> None:
        self.fusions = fusions_of(model)

    @contextlib.contextmanager
    def recording(self) -> Iterator[list[FusionCall]]:
        """Within it, every call of every fusion is added to the list that it gives."""
        calls: list[FusionCall] = []

        def note(module: nn.Module, args: Any, kwargs: Any) -> None:
            given = args[0] if args else kwargs['features']
            features = {m: given[m].detach().clone() for m in module.modalities}
            calls.append(
                FusionCall(module, features, kwargs.get('masks'), kwargs.get('grid'))  # type: ignore[arg-type]
            )

        with contextlib.ExitStack() as stack:
            for fusion in self.fusions:
                stack.callback(fusion.register_forward_pre_hook(note, with_kwargs=True).remove)
            yield calls

    @contextlib.contextmanager
    def replacing(
        self, calls: Sequence[FusionCall], entered: Sequence[Mapping[str, Tensor]]
    ) -> Iterator[None]:
        """Within it, the fusions work on these tokens, as :attr:`FusionCall.entered` has them.

        Args:
            calls: As recorded; not every fusion of a model need be called, nor in the order of
                its layers.
            entered: Tokens of each of them.
        """
        with contextlib.ExitStack() as stack:
            for call, tokens in zip(calls, entered):
                handle = _replace(call.fusion, tokens)
                stack.callback(handle.remove)
            yield


def _replace(fusion: Fusion, tokens: Mapping[str, Tensor]) -> Any:
    if isinstance(fusion, MangoFusion):  # behind its normalisation
        ordered = [tokens[m] for m in fusion.modalities]
        # The statistics stay: normalize='restore' gives them back behind the flow.
        return fusion.norm.register_forward_hook(lambda module, args, output: (ordered, output[1]))

    def swap(module: nn.Module, args: Any, kwargs: Any) -> Any:
        return ((dict(tokens), *args[1:]), kwargs)

    return fusion.register_forward_pre_hook(swap, with_kwargs=True)
