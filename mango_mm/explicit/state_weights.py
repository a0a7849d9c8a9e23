"""What each state of the sensors predicts: a mixture of the experts' and the fused prediction.

    p(y | x) = sum_s P(s | x) sum_k w_sk p_k(y | x)

over states s and predictions k, one per modality (the experts) and the fused one. The weights of a
state are learned by stacking (Wolpert, 1992): those that make clean held-out samples likeliest,

    max_w  sum_n ln sum_k w_k p_k(y_n | x_n),   w in the simplex

which is concave, and whose optimum expectation maximisation finds. Predictions that are numbers,
not probabilities (a regression, an image), are averaged themselves, and the weights are those of
the least squares of what they leave over (stacked regressions, Breiman, 1996, with weights in the
simplex). `ok` may use every prediction;
`m broken` and `m apart` the experts of the others; `apart` of two is one of the two for all that is
known, half of each. So the fused head has to earn its place.

Shape letters: B batch, M modalities, S states, K = M + 1 predictions, C classes, N observations.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mango_mm.explicit.sensor_states import state_names

__all__ = ['StateWeights', 'mix', 'stacked_regression', 'stacking_weights']

STEPS = 500
FEW = 1e-12


def stacking_weights(likelihoods: Tensor, steps: int = STEPS) -> Tensor:
    """Weights in the simplex, (K,), of the mixture that makes what was observed likeliest.

    Args:
        likelihoods: p_k(y_n | x_n), (N, K), not negative.
        steps: Of expectation maximisation; each makes it likelier.

    Raises:
        ValueError: If there is no observation, or one is not finite.
    """
    if not len(likelihoods) or not likelihoods.isfinite().all():
        raise ValueError(
            f'stacking needs finite likelihoods of observations; got {len(likelihoods)}.'
        )
    p = likelihoods.double().clamp(min=FEW)
    weights = p.new_full((p.shape[1],), 1 / p.shape[1])
    for _ in range(steps):
        shares = p * weights
        weights = (shares / shares.sum(dim=1, keepdim=True)).mean(dim=0)
    return weights


def stacked_regression(residuals: Tensor) -> Tensor:
    """Weights in the simplex, (K,), of the average that has the least mean square error.

    The exact minimum: on every set of predictions the one with weights of any sign that add up to
    1 is known in closed form, and the best of those without a negative one is it.

    Args:
        residuals: Prediction minus truth of N observations, (N, K); K is small.

    Raises:
        ValueError: If there is no observation, or one is not finite.
    """
    if not len(residuals) or not residuals.isfinite().all():
        raise ValueError(f'stacking needs finite errors of observations; got {len(residuals)}.')
    rows = residuals.double()
    products = rows.T @ rows / len(rows)
    count = len(products)
    ridge = FEW * products.diagonal().mean().clamp(min=FEW) * torch.eye(count).to(products)
    best, least = products.new_full((count,), 1 / count), torch.inf
    for size in range(1, count + 1):
        for chosen in itertools.combinations(range(count), size):
            part = (products + ridge)[list(chosen)][:, list(chosen)]
            found = torch.linalg.solve(part, part.new_ones(size))
            found = found / found.sum()
            error = float(found @ part @ found)
            if (found >= 0).all() and error < least:
                best, least = products.new_zeros(count), error
                best[list(chosen)] = found
    return best


def mix(probabilities: Tensor, weights: Tensor) -> Tensor:
    """sum_k w_k p_k, (B, C, ...).

    Args:
        probabilities: (K, B, C, ...). Where a weight is 0 they may be anything, NaN too.
        weights: (B, K), or of windows, (B, K, h, w), which are interpolated to the predictions.
    """
    if weights.dim() == 4:
        maps = torch.nn.functional.interpolate(
            weights.to(probabilities), probabilities.shape[-2:], mode='bilinear'
        )
        share = maps.transpose(0, 1)[:, :, None]
        return (share * probabilities.masked_fill(share == 0, 0.0)).sum(dim=0)
    shape = (*weights.T.shape, *(1,) * (probabilities.dim() - 2))
    share = weights.T.reshape(shape).to(probabilities)
    return (share * probabilities.masked_fill(share == 0, 0.0)).sum(dim=0)


class StateWeights(nn.Module):
    """The weights w_sk of every state; before they are fitted, all it may use alike.

    Args:
        modalities: Names of the experts.
        fused: Whether there is a fused prediction, the last of the K.
    """

    weights: Tensor

    def __init__(self, modalities: Sequence[str], *, fused: bool = True) -> None:
        super().__init__()
        self.modalities, self.fused = tuple(modalities), fused
        self.register_buffer('weights', self._start())

    @property
    def count(self) -> int:
        """K."""
        return len(self.modalities) + int(self.fused)

    def _start(self) -> Tensor:
        usable = self._usable().double()
        return usable / usable.sum(dim=1, keepdim=True)

    def _usable(self) -> Tensor:
        """What each state may use, bool (S, K)."""
        names = state_names(self.modalities)
        usable = torch.zeros(len(names), self.count, dtype=torch.bool)
        for row, name in enumerate(names):
            if name == 'ok':
                usable[row] = True
                continue
            wrong = name.rpartition(' ')[0]
            usable[row, : len(self.modalities)] = torch.tensor(
                [m != wrong for m in self.modalities]
            )
        return usable

    @torch.no_grad()
    def fit(self, observed: Tensor, *, values: bool = False) -> None:
        """Learn the weights of every state from clean held-out samples.

        Args:
            observed: Probability of the truth by each prediction, (N, K); with ``values``
                prediction minus truth.
            values: Predictions are numbers.
        """
        learn = stacked_regression if values else stacking_weights
        for row, (name, usable) in enumerate(zip(state_names(self.modalities), self._usable())):
            if name == 'apart':  # which of the two is right, the clean samples do not tell
                continue
            self.weights[row] = 0.0
            self.weights[row, usable] = learn(observed[:, usable]).to(self.weights)

    def forward(self, states: Tensor, present: Tensor | None = None) -> Tensor:
        """Weights of the predictions of samples, (B, K), that add up to 1.

        Args:
            states: P(s | x), (B, S).
            present: Which modalities a sample has, bool (B, M); None: all. What is absent, and the
                fused prediction beside it, has no weight; if nothing else remains, the experts of
                what is there share it.
        """
        weights = self.weights.to(states).expand(states.shape[0], -1, -1)
        if present is not None:
            there = present.to(states.device)
            seen = torch.cat([there, there.all(dim=1, keepdim=True)], dim=1)[:, : self.count]
            weights = weights * seen[:, None].to(weights)
            total = weights.sum(dim=2, keepdim=True)
            rest = there.to(weights) / there.sum(dim=1, keepdim=True).clamp(min=1)
            rest = torch.nn.functional.pad(rest, (0, self.count - rest.shape[1]))
            weights = torch.where(total > FEW, weights / total.clamp(min=FEW), rest[:, None])
        return (states[..., None] * weights).sum(dim=1)
