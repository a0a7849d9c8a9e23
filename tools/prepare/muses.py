"""Project lidar, radar and events of MUSES into its frame camera.

Reads ROOT/{frame_camera,lidar,radar,event_camera}/<split>/<weather>/<time>/REC*_frame_* and
ROOT/calib.json; writes ROOT/projected_to_rgb/{lidar,radar,event_camera}/.../*.npz, where
``MUSESDataset`` and the authors' SDK look for them. A file that is there is kept, so that it goes
on where it was stopped.

Example:
    python tools/prepare/muses.py data/muses
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mango_mm.apis.command import Parser, run_tool
from mango_mm.datasets.muses_projection import (
    Calibration,
    project_events,
    project_points,
    read_lidar,
    read_radar,
)
from mango_mm.files import own_files, read_image

SUFFIXES = {'lidar': 'lidar.bin', 'radar': 'radar.png', 'event_camera': 'event_camera.h5'}


def project(source: Path, sensor: str, calibration: Calibration, size: tuple[int, int]) -> object:
    """One file of a sensor in the camera's image."""
    if sensor == 'event_camera':
        return project_events(source, calibration, size)
    read = read_lidar if sensor == 'lidar' else read_radar
    return project_points(
        read(source), calibration.camera, calibration.to_camera[sensor], size,
        height=sensor == 'lidar',
    )  # fmt: skip


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('root', type=Path, help="holds the authors' folders and calib.json")
    parser.add_argument('--sensors', nargs='+', choices=tuple(SUFFIXES), default=tuple(SUFFIXES))
    args = parser.parse_args()
    calibration = Calibration.read(args.root / 'calib.json')
    cameras = args.root / 'frame_camera'
    frames = own_files(cameras, '*/*/*/*_frame_camera.png') if cameras.is_dir() else []
    if not frames:
        raise SystemExit(f'{cameras} holds no <split>/<weather>/<time>/*_frame_camera.png.')
    width, height = read_image(frames[0], 'frame camera').size
    written = 0
    for frame in tqdm(frames, desc='MUSES', unit='frame'):
        place = frame.parent.relative_to(cameras)
        stem = frame.name.removesuffix('frame_camera.png')
        for sensor in args.sensors:
            target = args.root / 'projected_to_rgb' / sensor / place / f'{stem}{sensor}.npz'
            if target.is_file():
                continue
            source = args.root / sensor / place / f'{stem}{SUFFIXES[sensor]}'
            image = project(source, sensor, calibration, (height, width))
            target.parent.mkdir(parents=True, exist_ok=True)
            half = target.with_suffix('.part.npz')
            np.savez_compressed(half, image)
            os.replace(half, target)
            written += 1
    print(f'{len(frames)} frames, {written} files written below {args.root / "projected_to_rgb"}')


if __name__ == '__main__':
    run_tool(main)
