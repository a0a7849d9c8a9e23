"""What one modality shows in each window of a frame, in few numbers that a flow can learn.

A window of every map of a pyramid is summed up by the mean and the deviation of each channel, so
that coarse and fine stages both have a say: noise is seen in the fine ones, contents in the coarse.
Of these numbers

    tokens    are the first directions of their principal component analysis, whitened, and
    energies  the logarithm of the mean square, whitened, of the directions that are left over, in
              bands: what the tokens do not show. A broken sensor often leaves the directions in
              which intact ones vary.

Shape letters: B batch, C_i and (H_i, W_i) channels and size of stage i, W windows, F = 2 sum C_i
numbers of a window, K directions, E bands.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

__all__ = ['WindowDescriptor', 'describe_windows', 'neighbours_of', 'smoothed']

LARGEST = 8.0  # deviations, of a token: one that is far off is as far off as one can be
CHUNK = 64  # samples at a time: all of them standardised would be gigabytes
FLOOR = 1e-3  # smallest variance of a direction, as a share of the mean one


def describe_windows(pyramid: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
    """Mean and deviation of every channel in every window, (B, W, F).

    Args:
        pyramid: (B, C_i, H_i, W_i).
        grid: Windows along height and width.
    """
    found = []
    for x in pyramid:
        maps = x.float()
        mean = F.adaptive_avg_pool2d(maps, grid)
        square = F.adaptive_avg_pool2d(maps.square(), grid)
        found += [mean, (square - mean.square()).clamp(min=0).sqrt()]
    return torch.cat(found, dim=1).flatten(2).transpose(1, 2)


def neighbours_of(grid: tuple[int, int]) -> Tensor:
    """Who is averaged into each window, (W, W), rows adding up to 1; as a product it exports.

    Args:
        grid: Windows along height and width.
    """
    one = torch.eye(grid[0] * grid[1], dtype=torch.double).unflatten(1, grid)[:, None]
    pool = F.avg_pool2d(one, 3, stride=1, padding=1, count_include_pad=False)
    return pool.flatten(1).T


def smoothed(x: Tensor, neighbours: Tensor) -> Tensor:
    """Every window averaged with its neighbours, (B, M, W) or (B, M, W, E).

    Args:
        x: Likewise.
        neighbours: Of :func:`neighbours_of`.
    """
    if x.dim() == 4:
        return torch.stack([smoothed(part, neighbours) for part in x.unbind(dim=-1)], dim=-1)
    return x @ neighbours.to(x).T


class WindowDescriptor(nn.Module):
    """Principal tokens and left-over energies of windows; fitted once, in closed form.

    Args:
        features: F.
        windows: W: every window has a mean of its own (floors are below, ceilings above).
        directions: K, at most F.
        bands: E.

    Raises:
        ValueError: If K is not in 1..F.
    """

    center: Tensor
    scale: Tensor
    basis: Tensor

    def __init__(self, features: int, windows: int, directions: int = 64, bands: int = 2) -> None:
        super().__init__()
        if not 1 <= directions <= features:
            raise ValueError(f'directions must lie in 1..{features}; got {directions}.')
        self.directions, self.bands = directions, bands
        self.register_buffer('center', torch.zeros(windows, features))
        self.register_buffer('scale', torch.ones(features))
        self.register_buffer('basis', torch.eye(features))
        # Each band has four times the directions of what is before it, the last has the rest.
        inner = [min(features, directions * 4 ** (i + 1)) for i in range(bands - 1)]
        self.edges = [directions, *inner, features]

    @torch.no_grad()
    def fit(self, described: Tensor) -> None:
        """Set centre, scale and directions from windows of many samples, (S, W, F).

        Raises:
            ValueError: If there are fewer than two samples or a number is not finite.
        """
        if len(described) < 2 or not described.isfinite().all():
            raise ValueError(
                'a descriptor is fitted to finite features of two samples or more; got '
                f'{len(described)} samples.'
            )
        center = described.mean(dim=0)
        parts = described.split(CHUNK)
        squares = sum((part - center).square().sum(dim=(0, 1)) for part in parts)
        deviation = (squares / (len(described) * described.shape[1])).sqrt()
        seen = deviation > 1e-6 * deviation.max()
        scale = torch.where(seen, 1 / deviation.clamp(min=1e-12), 0.0)  # a constant says nothing
        products = described.new_zeros(len(scale), len(scale), dtype=torch.double)
        for part in parts:
            rows = ((part - center) * scale).flatten(0, 1)
            products += (rows.T @ rows).double()
        covariance = products / (len(described) * described.shape[1])
        variances, directions = torch.linalg.eigh(covariance)
        variances, directions = variances.flip(0), directions.flip(1)
        floor = FLOOR * variances.mean()
        self.center.copy_(center)
        self.scale.copy_(scale)
        self.basis.copy_(directions / variances.clamp(min=floor).sqrt())

    def forward(self, described: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, W, K), within +-8, and energies (B, W, E) of windows (B, W, F)."""
        whitened = ((described - self.center) * self.scale) @ self.basis
        tokens = LARGEST * torch.tanh(whitened[..., : self.directions] / LARGEST)
        energies = []
        for first, last in zip(self.edges, self.edges[1:]):
            rest = whitened[..., first:last]
            energy = (
                rest.square().mean(dim=-1) if last > first else tokens.new_zeros(tokens.shape[:2])
            )
            energies.append((energy + 1e-6).log())
        return tokens, torch.stack(energies, dim=-1)

    def variety(self, described: Tensor) -> Tensor:
        """How much the windows (B, W, F) of a sample differ from each other, in logs, (B,).

        Of one colour everywhere each window may be a usual one; that all are alike is not.
        """
        # Centred first: what all windows share is large, and would round away how they differ.
        off = described - described.mean(dim=1, keepdim=True)
        off = (off * self.scale) @ self.basis[:, : self.directions]
        return (off.square().mean(dim=(1, 2)) + 1e-6).log()
