"""Taskonomy's image domains: what a stored value means, and how a network sees it.

One table, :data:`DOMAINS`. Decoding gives float32 (H, W, C) in [-1, 1] and a mask of the
pixels that were measured; encoding is its inverse on whole stored values.

    domain               stored      -1 ... 1 stands for                         not measured
    rgb                  8 bit x 3   black ... white                             -
    normal               8 bit x 3   components -1 ... 1 of the surface normal   -
    reshading            8 bit       dark ... lit (grey; three equal channels)   -
    principal_curvature  8 bit x 3   centred on 127                              -
    segment_unsup2d      8 bit x 3   colours of segments                         -
    segment_unsup25d     8 bit x 3   colours of segments                         -
    depth_euclidean      16 bit      ln(1 + v) from 0 to 11.1, v = 512 m         0, 65535
    depth_zbuffer        16 bit      the same                                    0, 65535
    edge_occlusion       16 bit      0 ... 11584                                 -
    edge_texture         16 bit      0 ... 11355                                 -

Source:
    Zamir et al., Taskonomy, CVPR 2018, and the README of its sample building: units, folders.
    Wang et al., CEN (https://arxiv.org/abs/2011.05005) and TokenFusion
    (https://arxiv.org/abs/2204.08721), whose numbers are compared with: scalings.
Differs from their code:
    it rounds to 8 bits before the network, which wraps above the full scale; here nothing is
    rounded and larger values are cut. It has no masks.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

__all__ = ['DEPTH_UNITS_PER_M', 'DOMAINS', 'Domain', 'get_domain']

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]
DEPTH_UNITS_PER_M = 512


@dataclasses.dataclass(frozen=True)
class Domain:
    """How one domain is stored and decoded.

    Attributes:
        name: The same as in folders and file names.
        channels: C after decoding.
        bits: Of a stored channel, 8 or 16.
        full_scale: What decodes to 1: a stored value, or ln(1 + it) if ``logarithmic``.
        logarithmic: Decode ln(1 + v) instead of v.
        invalid: Stored values that mean: not measured.
        flips_x: Channel 0 is a direction along x, and changes sign in a mirror.
        folder: Its folder in an official building.
    """

    name: str
    channels: int = 3
    bits: int = 8
    full_scale: float = 255.0
    logarithmic: bool = False
    invalid: tuple[int, ...] = ()
    flips_x: bool = False
    folder: str = ''

    def decode(self, stored: NDArray[np.integer], source: str = 'array') -> tuple[Image, Mask]:
        """Values in [-1, 1], (H, W, C), and the measured pixels, (H, W).

        Args:
            stored: (H, W) or (H, W, 3); grey domains may be stored as three equal channels.
            source: Where it came from, for errors.

        Raises:
            ValueError: If channels or bit depth are not those of the domain.
        """
        wanted = np.uint8 if self.bits == 8 else np.uint16
        # Pillow opens 16-bit PNG as int32.
        if stored.dtype.kind == 'i' and self.bits == 16:
            if stored.min(initial=0) < 0 or stored.max(initial=0) > 65535:
                raise ValueError(f'{self.name} must fit 16 bits; {source} does not.')
            stored = stored.astype(np.uint16)
        if stored.dtype != wanted:
            raise ValueError(
                f'{self.name} must be stored with {self.bits} bits per channel; '
                f'got {stored.dtype} from {source}.'
            )
        if stored.ndim == 2:
            stored = stored[..., None]
        if self.channels == 1 and stored.shape[2] == 3:
            if (stored[..., :1] != stored).any():
                raise ValueError(f'{self.name} must be grey; got colours from {source}.')
            stored = stored[..., :1]
        if stored.shape[2] != self.channels:
            raise ValueError(
                f'{self.name} must have {self.channels} channels; '
                f'got {stored.shape[2]} from {source}.'
            )
        measured = ~np.isin(stored[..., 0], self.invalid)
        values = stored.astype(np.float32)
        if self.logarithmic:
            values = np.log1p(values)
        decoded = np.minimum(values * (2.0 / self.full_scale) - 1.0, 1.0)
        decoded[~measured] = -1.0
        return decoded.astype(np.float32), measured

    def encode(self, values: Image) -> NDArray[np.unsignedinteger]:
        """Stored values of what lies in [-1, 1], (H, W, C) to (H, W) or (H, W, 3)."""
        stored = (np.clip(values, -1, 1).astype(np.float64) + 1) / 2 * self.full_scale
        if self.logarithmic:
            stored = np.expm1(stored)
        kind = np.uint8 if self.bits == 8 else np.uint16
        whole = np.clip(np.round(stored), 0, np.iinfo(kind).max).astype(kind)
        return whole[..., 0] if self.channels == 1 else whole

    def to_metres(self, values: Image) -> Image:
        """Metres of a decoded depth."""
        if not self.logarithmic:
            raise ValueError(f'{self.name} is no depth.')
        return (np.expm1((values + 1) / 2 * self.full_scale) / DEPTH_UNITS_PER_M).astype(np.float32)


_DEPTH = {
    'channels': 1, 'bits': 16, 'full_scale': 11.1, 'logarithmic': True, 'invalid': (0, 65535),
}  # fmt: skip
DOMAINS: dict[str, Domain] = {
    domain.name: domain
    for domain in (
        Domain('rgb', folder='rgb'),
        Domain('normal', folder='normal', flips_x=True),
        Domain('reshading', folder='reshade', channels=1),
        Domain('principal_curvature', folder='curvature'),
        Domain('segment_unsup2d', folder='segment2d'),
        Domain('segment_unsup25d', folder='segment25d'),
        Domain('depth_euclidean', folder='mist', **_DEPTH),
        Domain('depth_zbuffer', folder='depth', **_DEPTH),
        Domain('edge_occlusion', folder='edge', channels=1, bits=16, full_scale=11584.0),
        Domain('edge_texture', folder='edge2d', channels=1, bits=16, full_scale=11355.0),
    )
}


def get_domain(name: str) -> Domain:
    """The domain of that name.

    Raises:
        KeyError: If there is none; says which there are.
    """
    if name not in DOMAINS:
        raise KeyError(f'the domains are {sorted(DOMAINS)}; got {name!r}.')
    return DOMAINS[name]
