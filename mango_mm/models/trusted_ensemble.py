"""Experts, a fused prediction, and whom to believe: what heads with ``combine='trust'`` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mango_mm.explicit.sensor_states import state_names
from mango_mm.explicit.state_weights import StateWeights, mix
from mango_mm.explicit.trust import SensorTrust, TrustOutput

__all__ = ['TrustedEnsemble', 'check_trust', 'describe_tokens', 'trust_of_sample', 'trusted_of']

ACTS = ('alarm', 'windows', 'posterior')


def describe_tokens(tokens: Tensor, mask: Tensor) -> Tensor:
    """Mean and deviation of tokens (B, N, C) over those that are real, as one window (B, 1, 2 C).

    Args:
        tokens: (B, N, C).
        mask: Real tokens, bool (B, N).
    """
    x, weight = tokens.float(), mask[..., None].float()
    count = weight.sum(dim=1).clamp(min=1)
    x = x.masked_fill(~mask[..., None], 0.0)
    mean = x.sum(dim=1) / count
    square = x.square().sum(dim=1) / count
    deviation = (square - mean.square()).clamp(min=0).sqrt()
    return torch.cat([mean, deviation], dim=1)[:, None]


class TrustedEnsemble(nn.Module):
    """Mixes predictions by the posterior over which sensors work.

    The posterior's prior is set so that the alarm is rarely false: P(ok | x) is 1/2 at the edge of
    what is usual, and so too low for most of what is. A prediction that followed it would always
    give some weight to failures that are not there. So a sample without an alarm is predicted by
    the weights of `ok`, and one with an alarm by the posterior: everywhere (``act='alarm'``), or
    where a window shows the state (``'windows'``), for a sensor may be broken in a part of what it
    sees. Of state s a window then has the weight P(s | x) q(s), q its own posterior of s against
    `ok` at even odds, and `ok` has the rest.

    Before ``TrustHook`` has fitted and calibrated it, at the end of a training, every prediction
    of what a sample has counts alike, and nothing is said of trust.

    Args:
        modalities: Their names; each has a prediction, and there is a fused one.
        features: The same as in :class:`~mango_mm.explicit.trust.SensorTrust`.
        grid: Likewise.
        values: Predictions are numbers (a regression, an image), not probabilities.
        act: ``'windows'``, of predictions without height and width the same as ``'alarm'``; or
            ``'posterior'``: every sample is predicted by its posterior.
        **trust: Its other options.

    Raises:
        ValueError: If ``act`` is unknown.
    """

    fingerprint: Tensor

    def __init__(
        self,
        modalities: Sequence[str],
        features: int | Mapping[str, int],
        grid: Sequence[int],
        *,
        values: bool = False,
        act: str = 'windows',
        **trust: Any,
    ) -> None:
        super().__init__()
        if act not in ACTS:
            raise ValueError(f'act must be one of {ACTS}; got {act!r}.')
        self.act, self.values = act, values
        self.trust = SensorTrust(modalities, features, (grid[0], grid[1]), **trust)
        self.weights = StateWeights(modalities)
        self.register_buffer('fingerprint', torch.zeros(32, dtype=torch.uint8))

    @property
    def modalities(self) -> tuple[str, ...]:
        """Their names."""
        return self.trust.modalities

    def stack(self, observed: Tensor) -> None:
        """Learn the weights of every state: see :meth:`StateWeights.fit`."""
        self.weights.fit(observed, values=self.values)

    def sign(self, encoders: str) -> None:
        """Remember the SHA-256, in hexadecimal digits, of the encoders that it was fitted to."""
        self.fingerprint.copy_(torch.tensor(list(bytes.fromhex(encoders)), dtype=torch.uint8))

    def check(self, encoders: str) -> None:
        """Compare that hash with another.

        Raises:
            ValueError: If it is calibrated, and for other encoders.
        """
        known = bytes(self.fingerprint.tolist()).hex()
        if self.trust.calibrated and known != encoders:
            raise ValueError(
                f'the trust was calibrated for encoders with SHA-256 {known[:16]}, and the model '
                f'has {encoders[:16]}: what is usual for those says nothing of these. Train to '
                'the end with a TrustHook, which calibrates anew.'
            )

    def forward(
        self,
        described: Mapping[str, Tensor],
        probabilities: Sequence[Tensor],
        present: Tensor | None = None,
    ) -> tuple[Tensor, TrustOutput | None]:
        """One prediction of several, and what it rests on.

        Args:
            described: Windows (B, W, F) of each modality.
            probabilities: (B, C, ...) of each modality, then the fused ones.
            present: Which modalities a sample has, bool (B, M); None: all.
        """
        found = None
        if self.trust.calibrated:
            found = self.trust(described, present)
            states = found.states
            if self.act != 'posterior':
                works = torch.zeros_like(states)
                works[:, 0] = 1.0
                states = torch.where(found.alarm[:, None], states, works)
        else:
            states = probabilities[0].new_zeros(
                len(probabilities[0]), len(state_names(self.modalities))
            )
            states[:, 0] = 1.0
        stacked = torch.stack(list(probabilities))
        present = _usable(described, present, self.modalities)
        if found is None or self.act != 'windows' or stacked.dim() < 5:
            return mix(stacked, self.weights(states, present)), found
        return mix(stacked, self._by_window(states, found.shows, present)), found

    def _by_window(self, states: Tensor, shows: Tensor, present: Tensor | None) -> Tensor:
        """Weights of every prediction in every window, (B, K, h, w)."""
        share = states[:, 1:, None, None] * shows[:, 1:]
        local = torch.cat([1 - share.sum(dim=1, keepdim=True), share], dim=1)
        rows = local.permute(0, 2, 3, 1).flatten(0, 2)
        windows = shows.shape[2] * shows.shape[3]
        there = None if present is None else present.repeat_interleave(windows, dim=0)
        found = self.weights(rows, there)
        # Not len(states), a number that would fix the batch of an export.
        return found.unflatten(0, (states.shape[0], *shows.shape[2:])).permute(0, 3, 1, 2)


def _usable(
    described: Mapping[str, Tensor], present: Tensor | None, modalities: Sequence[str]
) -> Tensor:
    """What a prediction may rest on, bool (B, M): present, and finite.

    Of several that are not finite, each state takes out its own sensor alone.
    """
    finite = torch.stack([described[m].isfinite().flatten(1).all(dim=1) for m in modalities], dim=1)
    return finite if present is None else present.to(finite.device) & finite


def trust_of_sample(trust: TrustOutput, index: int, modalities: Sequence[str]) -> dict[str, Any]:
    """Of one sample: ``trust`` and ``states`` by name, ``alarm``, and ``trust_map`` (M, h, w)."""
    names = state_names(modalities)
    return {
        'trust': {m: float(v) for m, v in zip(modalities, trust.trust[index])},
        'states': {s: float(v) for s, v in zip(names, trust.states[index])},
        'alarm': bool(trust.alarm[index]),
        'alarm_score': float(trust.score[index]),
        'trust_map': trust.maps[index],
    }


def trusted_of(model: Any) -> TrustedEnsemble | None:
    """The trusted ensemble of a model; None: it has none, as most."""
    try:
        return model.trusted_ensemble
    except (AttributeError, TypeError):
        return None


def check_trust(model: Any, checkpoint: str | Path) -> None:
    """Stop if the trust in a checkpoint was calibrated for other encoders than those beside it.

    Raises:
        ValueError: If so.
    """
    inner = getattr(model, 'student', model)
    ensemble = trusted_of(inner)
    if ensemble is None:
        return
    try:
        ensemble.check(inner.sensors_hash())
    except ValueError as error:
        raise ValueError(f'{checkpoint}: {error}') from error
