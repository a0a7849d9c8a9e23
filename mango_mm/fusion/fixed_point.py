"""Fixed points by Anderson acceleration, with gradients by the implicit function theorem.

    z = f(z)                        solved without building a graph
    dL/du = (dL/dz) (I - J)^-1 df/du,  J = df/dz        u whatever f depends on

so that memory does not grow with the iterations. The product with (I - J)^-1 is the fixed
point of y = y J + dL/dz, found by the same solver.

Samples are solved each by itself: one that has converged is left alone, and its result does
not depend on the batch it came in.

Source:
    Walker and Ni, Anderson acceleration for fixed-point iterations, SIAM J. Numer. Anal. 2011;
    Bai et al., Deep Equilibrium Models, NeurIPS 2019, https://arxiv.org/abs/1909.01377, Eq. 8-10.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ['AndersonSolver', 'fixed_point', 'jacobian_penalty']

Map = Callable[[Tensor], Tensor]


@dataclasses.dataclass(frozen=True)
class AndersonSolver:
    """Solves z = f(z) for every sample.

    Attributes:
        memory: Iterates that are combined.
        tolerance: Stops a sample at ``|f(z) - z| <= tolerance * |f(z)|``.
        max_iter: Evaluations of f at most; the best iterate so far is returned then.
        ridge: Regularisation of the combination, relative to the residuals.
        damping: Weight of f(z) against z in a new iterate.
    """

    memory: int = 6
    tolerance: float = 1e-4
    max_iter: int = 50
    ridge: float = 1e-4
    damping: float = 1.0

    def __call__(self, f: Map, start: Tensor) -> tuple[Tensor, Tensor]:
        """The fixed point (B, ...) from ``start`` (B, ...), and its residual (B,), relative.

        Without autocast: a backward pass may call it from inside one.
        """
        with torch.autocast(start.device.type, enabled=False):
            return self._solve(f, start)

    def _solve(self, f: Map, start: Tensor) -> tuple[Tensor, Tensor]:
        batch = start.shape[0]
        z = start.flatten(1)
        best, best_residual = z, z.new_full((batch,), torch.inf)
        states: list[Tensor] = []
        images: list[Tensor] = []
        for _ in range(self.max_iter):
            image = f(z.view_as(start)).flatten(1)
            # Relative to what f says, so that units do not matter.
            residual = (image - z).norm(dim=1) / image.norm(dim=1).clamp(min=1e-12)
            # A sample that is done keeps its place.
            done = best_residual <= self.tolerance
            better = (residual < best_residual) & ~done
            best = torch.where(better[:, None], image, best)
            best_residual = torch.where(better, residual, best_residual)
            if bool((best_residual <= self.tolerance).all()):
                break
            states, images = [*states, z][-self.memory :], [*images, image][-self.memory :]
            z = self._combine(torch.stack(states, 1), torch.stack(images, 1))
        return best.view_as(start), best_residual

    def _combine(self, states: Tensor, images: Tensor) -> Tensor:
        """The affine combination of iterates with the smallest residual, (B, n)."""
        steps = images - states  # (B, m, n)
        gram = steps @ steps.transpose(1, 2)
        scale = gram.diagonal(dim1=1, dim2=2).mean(1).clamp(min=1e-30)[:, None, None]
        eye = torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
        weights = torch.linalg.solve(
            gram / scale + self.ridge * eye, torch.ones_like(gram[..., :1])
        )
        weights = weights / weights.sum(1, keepdim=True)
        mixed = self.damping * images + (1 - self.damping) * states
        return (weights * mixed).sum(1)


def fixed_point(f: Map, start: Tensor, solver: AndersonSolver) -> tuple[Tensor, Tensor]:
    """The fixed point of f, differentiable in whatever f depends on, and its residual, (B,).

    Once differentiable. The gradient is that at the point found: where the solver has not
    converged, it is as inexact as the point is.
    """
    with torch.no_grad():
        z, residual = solver(f, start)
    if not torch.is_grad_enabled():
        return z, residual
    entry = z.detach().requires_grad_()
    image = f(entry)

    def solve_backward(grad: Tensor | None) -> Tensor | None:
        if grad is None:  # nothing downstream depends on it
            return None
        if torch.is_grad_enabled():
            raise RuntimeError(
                'a fixed point (DEQ-Fusion) can be differentiated once: create_graph=True would '
                'give second derivatives without the solution of the backward pass.'
            )

        def pull(y: Tensor) -> Tensor:
            (back,) = torch.autograd.grad(image, entry, y, retain_graph=True)
            return back + grad

        cotangent, _ = solver(pull, torch.zeros_like(grad))
        return cotangent

    # A second pass: a hook on ``image`` itself would be called inside its own solution.
    out = f(z.detach())
    if out.requires_grad:
        out.register_hook(solve_backward)
    return out, residual


def jacobian_penalty(f: Map, z: Tensor, probes: int = 2) -> Tensor:
    """Hutchinson's estimate of ``|df/dz|_F^2 / numel`` at z, differentiable in f.

    Source:
        Bai et al., Stabilizing Equilibrium Models by Jacobian Regularization, ICML 2021,
        https://arxiv.org/abs/2106.14342, Eq. 5.
    """
    entry = z.detach().requires_grad_()
    image = f(entry)
    total = z.new_zeros(())
    for _ in range(probes):
        probe = torch.randn_like(image)
        (pulled,) = torch.autograd.grad(image, entry, probe, create_graph=True)
        total = total + pulled.square().mean()
    return total / probes
