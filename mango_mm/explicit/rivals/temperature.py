"""Late fusion of calibrated experts: every expert's logits have a temperature of their own."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

__all__ = ['TemperatureScaling']


class TemperatureScaling:
    """Mean over experts of softmax(logits_m / T_m).

    Source:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017,
        https://arxiv.org/abs/1706.04599: T minimises the cross-entropy on held-out samples.
    """

    def __init__(self) -> None:
        self.temperatures = torch.ones(0)

    def fit(self, logits: Tensor, labels: Tensor) -> None:
        """Find every expert's temperature.

        Args:
            logits: (M, N, C).
            labels: (N,).
        """
        found = []
        for rows in logits.detach().double():
            log_t = torch.zeros((), dtype=torch.double, requires_grad=True)
            optimizer = torch.optim.LBFGS([log_t], max_iter=50, line_search_fn='strong_wolfe')

            def step(rows: Tensor = rows, log_t: Tensor = log_t) -> Tensor:
                log_t.grad = None
                loss = F.cross_entropy(rows / log_t.exp(), labels)
                loss.backward()  # type: ignore[no-untyped-call]  # torch's
                return loss

            with torch.enable_grad():
                optimizer.step(step)  # type: ignore[no-untyped-call]  # torch's
            found.append(log_t.detach().exp())
        self.temperatures = torch.stack(found)

    def __call__(self, logits: Tensor) -> Tensor:
        """(B, C, ...) of (M, B, C, ...)."""
        t = self.temperatures.to(logits).view(-1, *(1,) * (logits.dim() - 1))
        return (logits / t).softmax(dim=2).mean(dim=0)
