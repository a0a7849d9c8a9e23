"""Write generated rooms in the published layouts of NYU Depth V2 and of Taskonomy.

``ROOT/{rgb,masks,depth}/NNNNNN.{jpg,png}`` with ``train.txt`` and ``val.txt`` (tab lists), and, if
asked for, ``ROOT/{domain}/point_P_view_0_domain_{domain}.png`` with ``train_domain.txt``
and ``val_domain.txt``: rgb, normal, reshading, depth_euclidean, depth_zbuffer,
edge_occlusion, edge_texture, in Taskonomy's units.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from mango_mm.datasets.mini.rooms import Frame, render_room
from mango_mm.domains import DEPTH_UNITS_PER_M, DOMAINS
from mango_mm.files import is_made, made_whole

__all__ = ['write_rooms']

DEPTH_SCALE = 5000  # NYUDv2's lists: value = metres * 5000
OCCLUSION_MAX, TEXTURE_MAX = (
    DOMAINS[f'edge_{kind}'].full_scale for kind in ('occlusion', 'texture')
)


def write_rooms(
    root: str | Path,
    *,
    train: int = 240,
    val: int = 60,
    size: tuple[int, int] | None = None,
    seed: int = 0,
    taskonomy: bool = False,
) -> Path:
    """Write a data set of rooms; does nothing if exactly it is there already.

    Args:
        root: Folder to write to.
        train: Training frames.
        val: Validation frames, of other rooms.
        size: Height and width in pixels; None: what the configs are for, 72 x 96, and with
            Taskonomy's layout 96 x 128.
        seed: Another seed, other rooms.
        taskonomy: Write Taskonomy's layout too.

    Returns:
        ``root``.

    Raises:
        ValueError: If a number is negative, or ``root`` holds something else.
    """
    root = Path(root)
    size = size or ((96, 128) if taskonomy else (72, 96))
    if min(train, val) < 0 or min(size) < 1:
        raise ValueError(f'frames and sizes must be positive; got {train} + {val} of {size}.')
    recipe = f'{train} {val} {size} {seed} {taskonomy} v1'
    if not is_made(root, recipe):
        with made_whole(root, recipe) as folder:
            _write(folder, train, val, size, seed, taskonomy=taskonomy)
    return root


def _write(
    root: Path, train: int, val: int, size: tuple[int, int], seed: int, *, taskonomy: bool
) -> None:
    for folder in ('rgb', 'masks', 'depth'):
        (root / folder).mkdir(exist_ok=True)
    splits = {'train': range(1, train + 1), 'val': range(train + 1, train + val + 1)}
    for split, numbers in splits.items():
        lines, views = [], []
        for number in tqdm(numbers, desc=f'rooms: {split}', unit='frame'):
            frame = render_room(seed * 1_000_003 + number, *size)
            lines.append(_write_nyu(root, number, frame))
            if taskonomy:
                views.append(_write_taskonomy(root, number, frame))
        (root / f'{split}.txt').write_text('\n'.join(lines))
        if taskonomy:
            (root / f'{split}_domain.txt').write_text('\n'.join(views))


def _write_nyu(root: Path, number: int, frame: Frame) -> str:
    stem = f'{number:06d}'
    names = (f'rgb/{stem}.jpg', f'masks/{stem}.png', f'depth/{stem}.png')
    Image.fromarray(frame.rgb).save(root / names[0], quality=95)
    Image.fromarray(frame.label).save(root / names[1])
    depth = np.round(frame.depth_m * DEPTH_SCALE).astype(np.uint16)
    Image.fromarray(depth).save(root / names[2])
    return '\t'.join(names)


def _write_taskonomy(root: Path, number: int, frame: Frame) -> str:
    template = f'{{domain}}/point_{number}_view_0_domain_{{domain}}.png'
    maps: dict[str, NDArray[np.generic]] = {
        'rgb': frame.rgb,
        'normal': np.round(frame.normal * 127 + 127).astype(np.uint8),
        'reshading': np.repeat(np.round(frame.shading * 255).astype(np.uint8)[..., None], 3, 2),
        'depth_euclidean': _taskonomy_depth(frame.distance_m),
        'depth_zbuffer': _taskonomy_depth(frame.true_depth_m),
        'edge_occlusion': _occlusion(frame),
        'edge_texture': _texture(frame.rgb),
    }
    for domain, image in maps.items():
        path = root / template.format(domain=domain)
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path)
    return template


def _taskonomy_depth(depth_m: NDArray[np.float32]) -> NDArray[np.uint16]:
    return np.clip(np.round(depth_m * DEPTH_UNITS_PER_M), 0, 65535).astype(np.uint16)


def _occlusion(frame: Frame) -> NDArray[np.uint16]:
    """Where one thing hides another: the step in depth across a change of object."""
    depth, instance = frame.true_depth_m, frame.instance
    step = np.zeros(depth.shape)
    for axis in (0, 1):
        jump = np.abs(np.diff(depth, axis=axis)) * (np.diff(instance, axis=axis) != 0)
        pad = [(0, 0), (0, 0)]
        pad[axis] = (0, 1)
        step = np.maximum(step, np.pad(jump, pad))
    return (np.clip(step, 0, 1) * OCCLUSION_MAX).astype(np.uint16)


def _texture(rgb: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Gradient magnitude of the brightness."""
    gray = rgb.astype(np.float64).mean(-1) / 255
    down, right = np.gradient(gray)
    return (np.clip(2 * np.hypot(down, right), 0, 1) * TEXTURE_MAX).astype(np.uint16)
