"""Taskonomy's domains computed from one RGB-D frame: for whoever has RGB-D and no Taskonomy.

    point       P = z K^-1 (u, v, 1)            camera coordinates: x right, y down, z forward
    distance    |P|                             depth_euclidean
    normal      dP/du x dP/dv, to the camera    as a picture: x right, y up, z to the camera
    shading     max(0, n . -P/|P|)              a lamp at the camera, without fall-off
    occlusion   |d ln z|, above a threshold     edge_occlusion: jumps of depth, not slopes
    texture     |d brightness|                  edge_texture

Sensor depth is rough: NYU's comes in steps of centimetres after filling. So it is smoothed
along the surface before it is differentiated, with the weights of measured pixels alone.
These are estimates from a sensor, where Taskonomy's are rendered from a mesh.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from mango_mm.domains import DEPTH_UNITS_PER_M, get_domain

__all__ = ['DOMAINS_OF_FRAME', 'Camera', 'domains_of_frame', 'normals_of']

Array = NDArray[np.float64]
OCCLUSION_STEP = 0.05  # of ln z between neighbours, below which it is a slope
OCCLUSION_FULL = 0.5  # a step of that size is the brightest
DOMAINS_OF_FRAME = (
    'rgb', 'normal', 'reshading', 'depth_euclidean', 'depth_zbuffer', 'edge_occlusion',
    'edge_texture',
)  # fmt: skip
TEXTURE_FULL = 0.5  # likewise, of the brightness gradient


@dataclasses.dataclass(frozen=True)
class Camera:
    """Pinhole camera, in pixels.

    Attributes:
        fx: Focal length along x.
        fy: Focal length along y.
        cx: Principal point.
        cy: Principal point.
    """

    fx: float
    fy: float
    cx: float
    cy: float

    @classmethod
    def nyu(cls, height: int, width: int) -> Camera:
        """The Kinect of NYU Depth V2 (its toolbox' calibration of 640 x 480), resized."""
        sx, sy = width / 640, height / 480
        return cls(518.86 * sx, 519.47 * sy, 325.58 * sx, 253.74 * sy)

    def points(self, depth_m: Array) -> Array:
        """Camera coordinates of every pixel, (H, W, 3) in metres."""
        height, width = depth_m.shape
        u, v = np.meshgrid(np.arange(width), np.arange(height))
        x = (u - self.cx) / self.fx * depth_m
        y = (v - self.cy) / self.fy * depth_m
        return np.stack([x, y, depth_m], axis=-1)


def _smooth(values: Array, weights: Array, sigma: float) -> Array:
    """Gaussian mean over pixels of weight 1; where there are none nearby, 0."""
    import cv2

    total = cv2.GaussianBlur(values * weights, (0, 0), sigma)
    weight = cv2.GaussianBlur(weights, (0, 0), sigma)
    return np.divide(total, weight, out=np.zeros_like(total), where=weight > 1e-6)


def normals_of(points: Array) -> Array:
    """Unit normals towards the camera, (H, W, 3), of a surface over the pixel grid."""
    down, right = np.gradient(points, axis=(0, 1))
    normal = np.cross(right, down)
    length = np.linalg.norm(normal, axis=-1, keepdims=True)
    normal = np.divide(normal, length, out=np.zeros_like(normal), where=length > 1e-12)
    away = (normal * points).sum(-1, keepdims=True) > 0
    return np.where(away, -normal, normal)


def domains_of_frame(
    rgb: NDArray[np.uint8],
    depth_m: NDArray[np.floating],
    camera: Camera,
    *,
    sigma: float = 2.0,
) -> dict[str, NDArray[np.unsignedinteger]]:
    """All domains that a frame gives, as Taskonomy stores them.

    Args:
        rgb: (H, W, 3).
        depth_m: (H, W), along the optical axis; 0 where nothing was measured.
        camera: Its intrinsics for this image size.
        sigma: Of the smoothing before differentiation, in pixels.

    Returns:
        One image for every name of ``DOMAINS_OF_FRAME``, (H, W) or (H, W, 3).

    Raises:
        ValueError: If the sizes differ or no depth was measured.
    """
    if rgb.ndim != 3 or rgb.shape[:2] != depth_m.shape:
        raise ValueError(f'RGB and depth must have one size; got {rgb.shape}, {depth_m.shape}.')
    depth = np.where(np.isfinite(depth_m), depth_m, 0).astype(np.float64)
    measured = depth > 0
    if not measured.any():
        raise ValueError('no pixel of the frame has depth.')
    # 1 / z, because that is linear over the image of a plane, and a mean leaves it alone.
    inverse = np.divide(1.0, depth, out=np.zeros_like(depth), where=measured)
    smooth = _smooth(inverse, measured.astype(np.float64), sigma)
    points = camera.points(1 / np.where(smooth > 0, smooth, inverse[measured].mean()))
    normal = normals_of(points)
    distance = np.linalg.norm(points, axis=-1, keepdims=True)
    shading = np.clip(-(normal * points / distance).sum(-1), 0, 1)
    picture = normal * np.array([1, -1, -1])  # x right, y up, z to the camera
    ray = distance[..., 0] / points[..., 2]
    return {
        'rgb': rgb,
        'normal': _encode('normal', picture),
        'reshading': np.repeat(_encode('reshading', 2 * shading[..., None] - 1)[..., None], 3, 2),
        'depth_euclidean': _store_depth(depth * ray, measured),
        'depth_zbuffer': _store_depth(depth, measured),
        'edge_occlusion': _encode('edge_occlusion', 2 * _occlusion(depth, measured) - 1),
        'edge_texture': _encode('edge_texture', 2 * _texture(rgb) - 1),
    }


def _encode(name: str, values: Array) -> NDArray[np.unsignedinteger]:
    values = values if values.ndim == 3 else values[..., None]
    return get_domain(name).encode(values.astype(np.float32))


def _store_depth(depth_m: Array, measured: NDArray[np.bool_]) -> NDArray[np.uint16]:
    stored = np.clip(np.round(depth_m * DEPTH_UNITS_PER_M), 1, 65534)
    return np.where(measured, stored, 65535).astype(np.uint16)


def _occlusion(depth: Array, measured: NDArray[np.bool_]) -> Array:
    log = np.log(np.where(measured, depth, np.nan))
    step = np.zeros_like(log)
    for axis in (0, 1):
        jump = np.nan_to_num(np.abs(np.diff(log, axis=axis)))  # none beside a hole
        pad = [(0, 0), (0, 0)]
        pad[axis] = (0, 1)
        step = np.maximum(step, np.pad(jump, pad))
    return np.clip((step - OCCLUSION_STEP) / (OCCLUSION_FULL - OCCLUSION_STEP), 0, 1)


def _texture(rgb: NDArray[np.uint8]) -> Array:
    brightness = rgb.astype(np.float64).mean(-1) / 255
    down, right = np.gradient(brightness)
    return np.clip(np.hypot(down, right) / TEXTURE_FULL, 0, 1)
