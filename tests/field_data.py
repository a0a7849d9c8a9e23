"""Tiny files in the official layouts of the field's data sets, for tests that run for real."""

import itertools
import json

import numpy as np
from PIL import Image

SIZE = (48, 64)
RNG = np.random.default_rng(0)


def rgb(size=SIZE, channels=3):
    return RNG.integers(0, 256, (*size, channels), dtype=np.uint8)


def save(array, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == '.npy':
        np.save(path, array)
    elif path.suffix == '.npz':
        np.savez_compressed(path, array)
    else:
        Image.fromarray(array).save(path)


def labels(values, size=SIZE):
    """A label map that has every value."""
    flat = np.resize(np.asarray(values, np.uint8), size[0] * size[1])
    return np.sort(flat).reshape(size)


def mfnet(root):
    for split, names in (('train', '00001D 00002N 00003D 00004N'), ('val', '00005D 00006N'),
                         ('test', '00007D 00008N')):  # fmt: skip
        for name in names.split():
            save(rgb(channels=4), root / 'images' / f'{name}.png')
            save(labels(range(9)), root / 'labels' / f'{name}.png')
        (root / f'{split}.txt').write_text('\n'.join(names.split()) + '\n')


def pst900(root):
    for split, count in (('train', 20), ('test', 2)):
        for i in range(count):
            name = f'{i}_bag1a_rect_rgb_frame{i:010d}.png'
            place = root / split
            save(rgb(), place / 'rgb' / name)
            save(rgb()[..., 0], place / 'thermal' / name)
            save(RNG.integers(0, 60000, SIZE).astype(np.uint16), place / 'thermal_raw' / name)
            save(RNG.integers(0, 60000, SIZE).astype(np.uint16), place / 'depth' / name)
            save(labels(range(5)), place / 'labels' / name)


def fmb(root):
    for split, count in (('train', 20), ('test', 2)):
        for i in range(count):
            place, name = root / split, f'{i:05d}.png'
            save(rgb(), place / 'Visible' / name)
            grey = rgb()[..., :1]
            save(np.repeat(grey, 3, axis=2) if i % 2 else grey[..., 0], place / 'Infrared' / name)
            save(labels(range(15)), place / 'Label' / name)
            save(rgb(), place / 'color' / name)


def mcubes(root):
    size = (48, 64 + 192)
    for split, count in (('train', 4), ('val', 2), ('test', 2)):
        names = [f'outscene1208_{split}_{i:010d}' for i in range(count)]
        for name in names:
            save(rgb(size), root / 'polL_color' / f'{name}.png')
            for part in ('aolp_sin', 'aolp_cos', 'dolp'):
                values = RNG.uniform(-1, 1, size).astype(np.float32)
                save(values, root / f'polL_{part}' / f'{name}.npy')
            nir = RNG.integers(0, 65535, size).astype(np.uint16)
            save(nir, root / 'NIR_warped' / f'{name}.png')
            save(labels([*range(20), 255], size), root / 'GT' / f'{name}.png')
        (root / 'list_folder').mkdir(exist_ok=True)
        (root / 'list_folder' / f'{split}.txt').write_text('\n'.join(names) + '\n')


def deliver(root):
    scenes = ('MAP_10_point102', 'MAP_7_point4_lidarjitter', 'MAP_1_point3_eventlowres')
    for weather in ('cloud', 'fog', 'night', 'rain', 'sun'):
        for split in ('train', 'val', 'test'):
            for scene, frame in itertools.product(scenes, ('045050', '045055')):
                place = f'{weather}/{split}/{scene}'
                low = (SIZE[0] // 2, SIZE[1] // 2) if scene.endswith('eventlowres') else SIZE
                save(rgb(channels=4), root / 'img' / place / f'{frame}_rgb_front.png')
                save(rgb(), root / 'hha' / place / f'{frame}_depth_front.png')
                save(rgb()[..., 0], root / 'depth' / place / f'{frame}_depth_front.png')
                event = rgb(low)
                event[..., 1] = 0
                save(event, root / 'event' / place / f'{frame}_event_front.png')
                beams = rgb()[..., 0] * (RNG.random(SIZE) < 0.3)
                save(beams.astype(np.uint8), root / 'lidar' / place / f'{frame}_lidar_front.png')
                stored = np.zeros((*SIZE, 4), np.uint8)
                stored[..., 0], stored[..., 3] = labels([*range(26), 255]), 255
                save(stored, root / 'semantic' / place / f'{frame}_semantic_front.png')


def muses(root, size=SIZE):
    """The raw layout: point clouds, polar radar, events, one calibration."""
    height, width = size
    camera = [[40.0, 0, width / 2], [0, 40.0, height / 2], [0, 0, 1]]
    # The vehicle looks along x, y to the left, z up; the camera along z, x to the right, y down.
    turn = [[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]]
    calib = {
        'intrinsics': {'rgb': {'K': camera}, 'event': {'K': camera}},
        'extrinsics': {
            'lidar2rgb': turn, 'radar2rgb': turn, 'event2rgb': np.eye(4).tolist(),
        },
    }  # fmt: skip
    root.mkdir(parents=True, exist_ok=True)
    (root / 'calib.json').write_text(json.dumps(calib))
    number = 0
    for split in ('train', 'val', 'test'):
        for weather, time in (('clear', 'day'), ('rain', 'night')):
            for _ in range(2):
                stem = f'REC{number:04d}_frame_{number:06d}'
                place = f'{split}/{weather}/{time}/{stem}'
                number += 1
                save(rgb(size), root / 'frame_camera' / f'{place}_frame_camera.png')
                if split != 'test':
                    save(labels([*range(19), 255], size),
                         root / 'gt_semantic' / f'{place}_gt_labelTrainIds.png')  # fmt: skip
                write_lidar(root / 'lidar' / f'{place}_lidar.bin')
                write_radar(root / 'radar' / f'{place}_radar.png')
                write_events(root / 'event_camera' / f'{place}_event_camera.h5', size)


def write_lidar(path, count=400):
    points = np.zeros((count, 6))
    points[:, 0] = RNG.uniform(5, 50, count)
    points[:, 1] = RNG.uniform(-0.5, 0.5, count) * points[:, 0]
    points[:, 2] = RNG.uniform(-0.4, 0.4, count) * points[:, 0]
    points[:, 3] = RNG.uniform(1, 100, count)
    path.parent.mkdir(parents=True, exist_ok=True)
    points.tofile(path)


def write_radar(path, ranges=1500):
    polar = np.zeros((11 + ranges, 400), np.uint8)
    polar[10] = 255
    polar[11 + 200 :: 7, 180:220] = RNG.integers(1, 255, polar[11 + 200 :: 7, 180:220].shape)
    save(polar, path)


def write_events(path, size, count=500):
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, 'w') as file:
        group = file.create_group('events')
        group['x'] = RNG.integers(0, size[1], count).astype(np.uint16)
        group['y'] = RNG.integers(0, size[0], count).astype(np.uint16)
        group['t'] = np.sort(RNG.integers(0, 30000, count)).astype(np.uint32)
        group['p'] = RNG.integers(0, 2, count).astype(np.uint8)
