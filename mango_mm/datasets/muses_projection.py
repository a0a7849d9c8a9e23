"""Lidar, radar and events of MUSES in the image of its frame camera.

As the authors' SDK does it (``timbroed/MUSES``), but: of several points on a pixel the nearest
stays, where the SDK keeps the last; points behind the camera are left out; counts of events end at
255, where the SDK's run over; the newest 30 ms are all that a file holds.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango_mm.files import open_hdf5, read_image, read_json

__all__ = ['Calibration', 'project_events', 'project_points', 'read_lidar', 'read_radar']

Array = NDArray[Any]
RANGE_PER_BIN_M = 0.0438
HEADER_ROWS = 11  # of a radar image: time stamps, and whether an azimuth is valid
AZIMUTHS = 400
RADAR_HEIGHT_M = -1.62  # the ground, seen from the sensor
NEAREST_M, FARTHEST_RADAR_M = 1.0, 150.0
EVENT_KEYS = ('x', 'y', 'p')


@dataclasses.dataclass
class Calibration:
    """What ``calib.json`` says.

    Attributes:
        camera: Intrinsics of the frame camera, (3, 3).
        event_camera: Of the event camera, (3, 3).
        to_camera: From ``lidar``, ``radar`` and ``event`` to the frame camera, (4, 4) each.
    """

    camera: Array
    event_camera: Array
    to_camera: dict[str, Array]

    @classmethod
    def read(cls, path: str | Path) -> Calibration:
        """Read ``calib.json``.

        Raises:
            FileNotFoundError: If there is none.
            ValueError: If it lacks a matrix; named.
        """
        found = read_json(path)
        places = {
            'camera': ('intrinsics', 'rgb', 'K'),
            'event_camera': ('intrinsics', 'event', 'K'),
            **{s: ('extrinsics', f'{s}2rgb') for s in ('lidar', 'radar', 'event')},
        }
        matrices = {}
        for name, keys in places.items():
            node = found
            for key in keys:
                node = node.get(key) if isinstance(node, dict) else None
            size = 4 if keys[0] == 'extrinsics' else 3
            matrix = np.asarray([] if node is None else node, dtype=np.float64)
            if matrix.shape != (size, size):
                raise ValueError(
                    f'{path}: {"/".join(keys)} must be a matrix of {size} x {size}; got '
                    f'{matrix.shape}.'
                )
            matrices[name] = matrix
        sensors = {s: matrices[s] for s in ('lidar', 'radar', 'event')}
        return cls(matrices['camera'], matrices['event_camera'], sensors)


def read_lidar(path: str | Path) -> Array:
    """Points of a ``lidar.bin``: x, y, z in metres, intensity, (N, 4).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds no rows of six numbers.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'the lidar file {path} does not exist.')
    size = path.stat().st_size
    if not size or size % 48:
        raise ValueError(f'{path} must hold rows of six float64, 48 bytes each; it has {size}.')
    return np.fromfile(path, np.float64).reshape(-1, 6)[:, :4]


def read_radar(path: str | Path) -> Array:
    """Echoes of a polar radar image as points on the ground: x, y, z in metres, intensity, (N, 4).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no radar image.
    """
    polar = np.asarray(read_image(path, 'radar'))
    polar = polar if polar.ndim == 2 else polar[..., 0]
    if polar.shape[0] <= HEADER_ROWS or polar.shape[1] != AZIMUTHS or polar.dtype != np.uint8:
        raise ValueError(
            f'{path} must have {AZIMUTHS} columns of 8 bits and more than {HEADER_ROWS} rows; got '
            f'{polar.shape} {polar.dtype}.'
        )
    step = 360 / AZIMUTHS
    azimuths = -np.radians(np.linspace(-180 + step, 180, AZIMUTHS))
    bins, columns = np.nonzero(polar[HEADER_ROWS:])
    distance = bins * RANGE_PER_BIN_M
    kept = distance <= FARTHEST_RADAR_M
    bins, columns, distance = bins[kept], columns[kept], distance[kept]
    angle = azimuths[columns]
    return np.stack(
        [
            distance * np.cos(angle),
            distance * np.sin(angle),
            np.full_like(distance, RADAR_HEIGHT_M),
            polar[HEADER_ROWS:][bins, columns].astype(np.float64),
        ],
        axis=1,
    )


def project_points(
    points: Array, camera: Array, to_camera: Array, size: tuple[int, int], *, height: bool
) -> NDArray[np.float32]:
    """Points in the image of the camera.

    Args:
        points: x, y, z in metres in the sensor's frame, intensity, (N, 4).
        camera: Intrinsics, (3, 3).
        to_camera: From the sensor to the camera, (4, 4).
        size: Height and width of the image.
        height: Also the height of the points, z in the sensor's frame.

    Returns:
        (H, W, 2 or 3) float32: range in metres, intensity, height; 0 where no point falls.
    """
    ranges = np.linalg.norm(points[:, :3], axis=1)
    points, ranges = points[ranges >= NEAREST_M], ranges[ranges >= NEAREST_M]
    seen = (to_camera @ np.c_[points[:, :3], np.ones(len(points))].T)[:3]
    ahead = seen[2] > 0
    points, ranges, seen = points[ahead], ranges[ahead], seen[:, ahead]
    u, v = (camera @ (seen / seen[2]))[:2]
    inside = (u > 0) & (u < size[1] - 1) & (v > 0) & (v < size[0] - 1)
    order = np.argsort(-ranges[inside])  # the nearest is written last
    columns, rows = u[inside].astype(int)[order], v[inside].astype(int)[order]
    values = [ranges[inside], points[inside, 3]] + ([points[inside, 2]] if height else [])
    image = np.zeros((*size, len(values)), np.float32)
    image[rows, columns] = np.stack(values, axis=1)[order]
    return image


def project_events(
    path: str | Path, calibration: Calibration, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Events in the image of the frame camera, as if they were far away.

    Args:
        path: ``event_camera.h5``.
        calibration: Of both cameras.
        size: Height and width of the image.

    Returns:
        (H, W, 2) uint8: counts of positive and of negative events.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read; MUSES' compression needs the package hdf5plugin.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'the event file {path} does not exist.')
    try:
        import hdf5plugin  # noqa: F401  # registers its filters
    except ImportError:
        pass
    keys = [f'events/{k}' for k in EVENT_KEYS]
    try:
        with open_hdf5(path, *keys) as file:
            x, y, positive = (np.asarray(file[k][()]) for k in keys)
    except (KeyError, OSError) as error:
        raise ValueError(
            f'{path} cannot be read: {error}. It must have {keys}; if a filter is missing, install '
            'hdf5plugin.'
        ) from error
    turn = calibration.to_camera['event'][:3, :3]
    to_pixel = calibration.camera @ turn @ np.linalg.inv(calibration.event_camera)
    seen = to_pixel @ np.stack([x, y, np.ones(len(x))]).astype(np.float64)
    u, v = np.rint(seen[:2] / seen[2]).astype(int)
    inside = (seen[2] > 0) & (u >= 0) & (u < size[1]) & (v >= 0) & (v < size[0])
    counts = np.zeros((*size, 2), np.int64)
    channel = np.where(np.asarray(positive)[inside] > 0, 0, 1)
    np.add.at(counts, (v[inside], u[inside], channel), 1)
    return np.minimum(counts, 255).astype(np.uint8)
