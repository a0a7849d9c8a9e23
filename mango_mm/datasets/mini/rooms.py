"""Furnished rooms, ray-cast: RGB, metric depth, normals, shading and labels.

A room is an empty box; everything in it is an axis-aligned box too, rugs and pictures
being very thin ones. Every pixel casts one ray from a pinhole camera and takes the
nearest hit (slab test). Light is one lamp under the ceiling plus ambient light.

The scene is made so that fusing pays: flat things (rug, picture, screen) have no
depth of their own, and solid things (bed, table, cabinet, box) share one set of
colours with each other and with the walls.

Coordinates: x right, y forward, z up, metres. Depth is along the optical axis, as a
depth camera reports it.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

__all__ = ['CLASSES', 'Frame', 'render_room']

CLASSES = (
    'wall',
    'floor',
    'ceiling',
    'rug',
    'picture',
    'screen',
    'bed',
    'table',
    'cabinet',
    'box',
)
INDEX = {name: i for i, name in enumerate(CLASSES)}

NEUTRALS = np.array([[0.75, 0.7, 0.62], [0.62, 0.55, 0.45], [0.8, 0.79, 0.76], [0.5, 0.42, 0.33]])
FLOORS = np.array([[0.45, 0.33, 0.22], [0.5, 0.48, 0.45], [0.6, 0.5, 0.38]])
RUGS = np.array([[0.6, 0.15, 0.15], [0.15, 0.25, 0.5], [0.2, 0.4, 0.2], [0.65, 0.5, 0.1]])
PICTURES = np.array([[0.7, 0.3, 0.1], [0.1, 0.5, 0.5], [0.55, 0.2, 0.5], [0.8, 0.7, 0.2]])
SCREEN = np.array([0.08, 0.09, 0.11])

# depth of field of the sensor, as a Kinect's
MIN_DEPTH_M, MAX_DEPTH_M = 0.5, 10.0


@dataclasses.dataclass
class Frame:
    """One view of one room, all maps (H, W) or (H, W, 3).

    Attributes:
        rgb: uint8.
        depth_m: Metres, float32, with sensor noise, 0 = no measurement.
        true_depth_m: Metres, float32, without noise.
        distance_m: Metres from the camera's centre, float32 (not along the axis).
        normal: Unit normals in camera coordinates (right, up, towards the camera).
        shading: Light without colour, float32 in 0..1.
        label: Index in ``CLASSES``, uint8.
        instance: A number per object, int32, for occlusion edges.
    """

    rgb: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    true_depth_m: NDArray[np.float32]
    distance_m: NDArray[np.float32]
    normal: NDArray[np.float32]
    shading: NDArray[np.float32]
    label: NDArray[np.uint8]
    instance: NDArray[np.int32]


@dataclasses.dataclass
class _Box:
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    label: int
    colour: NDArray[np.float64]
    texture: str


def render_room(seed: int, height: int = 96, width: int = 128) -> Frame:
    """Furnish a room and photograph it.

    Args:
        seed: The same seed gives the same frame.
        height: Pixels.
        width: Pixels.
    """
    rng = np.random.default_rng(seed)
    size = np.array([rng.uniform(3.5, 6), rng.uniform(4, 7), rng.uniform(2.4, 3)])
    boxes = _furnish(rng, size)
    camera = np.array(
        [size[0] * rng.uniform(0.3, 0.7), rng.uniform(0.2, 0.8), rng.uniform(1.2, 1.8)]
    )
    rays, rotation = _rays(rng, height, width)
    t, normal, which = _cast(camera, rays, size, boxes)
    points = camera + t[..., None] * rays
    surfaces = _room_surfaces(rng) + boxes
    label = np.array([b.label for b in surfaces])[which]
    albedo = _paint(rng, points, normal, which, surfaces)
    shading = _light(rng, points, normal, size)
    rgb = np.clip(albedo * shading[..., None] * rng.uniform(0.85, 1.1), 0, 1)
    rgb = rgb + rng.normal(0, 0.025, rgb.shape)
    forward = rotation[:, 1]
    true_depth = (t * (rays @ forward)).astype(np.float32)
    camera_normal = normal @ rotation  # right, forward, up
    return Frame(
        rgb=(np.clip(rgb, 0, 1) * 255).astype(np.uint8),
        depth_m=_sense(rng, true_depth, normal, rays),
        true_depth_m=true_depth,
        distance_m=t.astype(np.float32),
        normal=np.stack(
            [camera_normal[..., 0], camera_normal[..., 2], -camera_normal[..., 1]], -1
        ).astype(np.float32),
        shading=shading.astype(np.float32),
        label=label.astype(np.uint8),
        instance=which.astype(np.int32),
    )


def _furnish(rng: np.random.Generator, size: NDArray[np.float64]) -> list[_Box]:
    boxes: list[_Box] = []
    colours = NEUTRALS + rng.normal(0, 0.02, NEUTRALS.shape)
    for _ in range(rng.integers(1, 3)):
        boxes.append(_on_floor(rng, size, 'rug', (0.8, 2.2), (0.8, 2.0), (0.008, 0.012), RUGS))
    solids = [
        ('bed', (1.0, 1.8), (1.6, 2.1), (0.35, 0.55)),
        ('table', (0.8, 1.5), (0.6, 1.0), (0.68, 0.8)),
        ('cabinet', (0.6, 1.2), (0.4, 0.6), (1.3, 2.1)),
        ('box', (0.25, 0.5), (0.25, 0.5), (0.2, 0.45)),
    ]
    for _ in range(rng.integers(4, 8)):
        name, width, length, height = solids[rng.integers(len(solids))]
        boxes.append(_on_floor(rng, size, name, width, length, height, colours))
    for _ in range(rng.integers(2, 5)):
        boxes.append(_on_wall(rng, size))
    return boxes


def _on_floor(
    rng: np.random.Generator,
    size: NDArray[np.float64],
    name: str,
    width: tuple[float, float],
    length: tuple[float, float],
    height: tuple[float, float],
    colours: NDArray[np.float64],
) -> _Box:
    extent = np.array([rng.uniform(*width), rng.uniform(*length), rng.uniform(*height)])
    if rng.random() < 0.5:
        extent[:2] = extent[1::-1]
    if name == 'cabinet':  # stands against the left or right wall
        x = 0.0 if rng.random() < 0.5 else size[0] - extent[0]
    else:
        x = rng.uniform(0, max(size[0] - extent[0], 0.01))
    # nothing stands where the camera does
    y = rng.uniform(min(1.8, size[1] - extent[1]), size[1] - extent[1])
    low = np.array([x, y, 0.0])
    colour = colours[rng.integers(len(colours))]
    texture = rng.choice(['plain', 'stripes'] if name == 'rug' else ['plain', 'grain'])
    return _Box(low, low + extent, INDEX[name], colour, str(texture))


def _on_wall(rng: np.random.Generator, size: NDArray[np.float64]) -> _Box:
    name = str(rng.choice(['picture', 'screen']))
    wide, high = rng.uniform(0.5, 1.3), rng.uniform(0.4, 0.9)
    bottom = rng.uniform(0.9, size[2] - high - 0.2)
    thin = 0.01
    side = rng.integers(3)
    if side == 2:  # the wall opposite the camera
        x = rng.uniform(0, size[0] - wide)
        low = np.array([x, size[1] - thin, bottom])
        high_corner = np.array([x + wide, size[1], bottom + high])
    else:
        y = rng.uniform(1.0, size[1] - wide)
        x = 0.0 if side == 0 else size[0] - thin
        low = np.array([x, y, bottom])
        high_corner = np.array([x + thin, y + wide, bottom + high])
    colour = SCREEN if name == 'screen' else PICTURES[rng.integers(len(PICTURES))]
    return _Box(low, high_corner, INDEX[name], colour, 'checks' if name == 'picture' else 'plain')


def _rays(
    rng: np.random.Generator, height: int, width: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit directions (H, W, 3) and the camera's axes as columns: right, forward, up."""
    yaw, pitch = rng.normal(0, 0.25), rng.uniform(-0.35, -0.1)
    forward = np.array([np.sin(yaw) * np.cos(pitch), np.cos(yaw) * np.cos(pitch), np.sin(pitch)])
    right = np.array([np.cos(yaw), -np.sin(yaw), 0.0])
    up = np.cross(right, forward)
    focal = width / (2 * np.tan(np.radians(rng.uniform(58, 68)) / 2))
    u = (np.arange(width) - (width - 1) / 2) / focal
    v = -(np.arange(height) - (height - 1) / 2) / focal
    rays = forward + u[None, :, None] * right + v[:, None, None] * up
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    return rays, np.stack([right, forward, up], axis=1)


def _cast(
    origin: NDArray[np.float64],
    rays: NDArray[np.float64],
    size: NDArray[np.float64],
    boxes: list[_Box],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Distance, normal and surface of the nearest hit; surfaces 0..2 are the room's."""
    safe = np.where(np.abs(rays) < 1e-9, 1e-9, rays)
    leave = np.where(safe > 0, (size - origin) / safe, -origin / safe)
    axis = leave.argmin(-1)
    t = np.take_along_axis(leave, axis[..., None], -1)[..., 0]
    normal = -np.sign(safe) * (np.arange(3) == axis[..., None])
    upwards = np.take_along_axis(safe, axis[..., None], -1)[..., 0] > 0
    which = np.where(axis == 2, np.where(upwards, 2, 1), 0)
    for number, box in enumerate(boxes, start=3):
        a, b = (box.low - origin) / safe, (box.high - origin) / safe
        near, far = np.minimum(a, b), np.maximum(a, b)
        enter_axis = near.argmax(-1)
        enter, leave_box = near.max(-1), far.min(-1)
        hit = (enter < leave_box) & (enter > 0.05) & (enter < t - 1e-6)
        t = np.where(hit, enter, t)
        facing = -np.sign(safe) * (np.arange(3) == enter_axis[..., None])
        normal = np.where(hit[..., None], facing, normal)
        which = np.where(hit, number, which)
    return t, normal, which


def _room_surfaces(rng: np.random.Generator) -> list[_Box]:
    nowhere = np.zeros(3)
    wall = NEUTRALS[rng.integers(len(NEUTRALS))] + rng.normal(0, 0.02, 3)
    floor = FLOORS[rng.integers(len(FLOORS))] + rng.normal(0, 0.02, 3)
    return [
        _Box(nowhere, nowhere, INDEX['wall'], wall, 'plain'),
        _Box(nowhere, nowhere, INDEX['floor'], floor, 'grain'),
        _Box(nowhere, nowhere, INDEX['ceiling'], np.array([0.85, 0.85, 0.83]), 'plain'),
    ]


def _paint(
    rng: np.random.Generator,
    points: NDArray[np.float64],
    normal: NDArray[np.float64],
    which: NDArray[np.int64],
    surfaces: list[_Box],
) -> NDArray[np.float64]:
    """Colour before light: plain, stripes, checks or grain, in the surface's own plane."""
    albedo = np.array([b.colour for b in surfaces])[which]
    # Two coordinates inside the plane of the surface.
    flat = np.where(np.abs(normal[..., 2]) > 0.5, 2, np.where(np.abs(normal[..., 0]) > 0.5, 0, 1))
    a = np.where(flat == 0, points[..., 1], points[..., 0])
    b = np.where(flat == 2, points[..., 1], points[..., 2])
    period = rng.uniform(0.12, 0.3)
    patterns = {
        'stripes': (np.floor(a / period) % 2) * 0.35 - 0.15,
        'checks': ((np.floor(a / period) + np.floor(b / period)) % 2) * 0.4 - 0.2,
        'grain': 0.06 * np.sin(40 * a + 5 * np.sin(3 * b)),
        'plain': np.zeros_like(a),
    }
    kinds = np.array([b.texture for b in surfaces])[which]
    for kind, pattern in patterns.items():
        albedo = np.where((kinds == kind)[..., None], albedo * (1 + pattern[..., None]), albedo)
    return albedo


def _light(
    rng: np.random.Generator,
    points: NDArray[np.float64],
    normal: NDArray[np.float64],
    size: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Lambert's law for one lamp, with falloff, plus ambient light; in 0..1."""
    lamp = size * np.array([rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.7), 0.95])
    towards = lamp - points
    distance = np.linalg.norm(towards, axis=-1)
    cosine = np.clip((towards * normal).sum(-1) / np.maximum(distance, 1e-6), 0, 1)
    strength = rng.uniform(0.5, 0.8)
    shading = rng.uniform(0.35, 0.5) + strength * cosine / (0.5 + 0.15 * distance**2)
    return np.clip(shading, 0, 1)


def _sense(
    rng: np.random.Generator,
    depth: NDArray[np.float32],
    normal: NDArray[np.float64],
    rays: NDArray[np.float64],
) -> NDArray[np.float32]:
    """What a depth camera makes of it: noise growing with depth squared, and holes."""
    noisy = depth + rng.normal(0, 1, depth.shape) * (0.002 + 0.0018 * depth**2)
    grazing = np.abs((normal * rays).sum(-1)) < 0.08
    lost = (rng.random(depth.shape) < 0.01) | (grazing & (rng.random(depth.shape) < 0.6))
    lost |= (noisy < MIN_DEPTH_M) | (noisy > MAX_DEPTH_M)
    return np.where(lost, 0, noisy).astype(np.float32)
