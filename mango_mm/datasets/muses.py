"""MUSES: frame camera, event camera, lidar and radar of real drives in bad weather, 19 classes.

Source and licence:
    https://muses.ethz.ch (registration); ETH's end user licence: research, not to be passed on.
Layout on disk (the authors'):
    ``<folder>/<split>/<weather>/<time>/REC0006_frame_043620_<suffix>``, folders frame_camera
    (PNG, 1080 x 1920), event_camera (HDF5), lidar (float64), radar (PNG, polar), gt_semantic.
    ``tools/prepare/muses.py`` projects the last three into the frame camera, as the authors' SDK
    does: ``projected_to_rgb/<sensor>/.../REC0006_frame_043620_<sensor>.npz``.
Modalities:
    rgb. event: counts of positive and negative events within 30 ms. lidar: range in metres,
    intensity, height; radar: range, intensity. 0 where nothing was measured.
Classes:
    Cityscapes' 19 (``gt_labelTrainIds``), 255 = ignored.
Splits:
    1500 train, 250 val, 750 test, whose labels the authors keep (Codabench).
Conditions:
    ``weather``: clear, fog, rain, snow; ``time``: day, night.
Citation:
    Broedermann, Bruggemann, Sakaridis, Ta, Liagouris, Corkill, Van Gool: MUSES: The Multi-Sensor
    Semantic Perception Dataset for Driving under Uncertainty, ECCV 2024, arXiv 2401.12761.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mango_mm.datasets.multimodal_segmentation import MultimodalSegDataset
from mango_mm.files import own_files
from mango_mm.registry import DATASETS

__all__ = ['CONDITIONS', 'MUSESDataset']

CONDITIONS = tuple((w, t) for w in ('clear', 'fog', 'rain', 'snow') for t in ('day', 'night'))
PLACES = {
    'rgb': ('frame_camera', 'frame_camera.png'),
    'event': ('projected_to_rgb/event_camera', 'event_camera.npz'),
    'lidar': ('projected_to_rgb/lidar', 'lidar.npz'),
    'radar': ('projected_to_rgb/radar', 'radar.npz'),
    'label': ('gt_semantic', 'gt_labelTrainIds.png'),
}


@DATASETS.register_module()
class MUSESDataset(MultimodalSegDataset):
    """MUSES with 19 classes.

    Args:
        split: ``'train'``, ``'val'`` or ``'test'``; the last has labels only where they are there.
        **others: The same as in :class:`MultimodalSegDataset`.

    Raises:
        ValueError: If the split is unknown or has no sample.
    """

    METAINFO = dict(
        classes=(
            'road', 'sidewalk', 'building', 'wall', 'fence', 'pole', 'traffic light',
            'traffic sign', 'vegetation', 'terrain', 'sky', 'person', 'rider', 'car', 'truck',
            'bus', 'train', 'motorcycle', 'bicycle',
        ),
        palette=[
            [128, 64, 128], [244, 35, 232], [70, 70, 70], [102, 102, 156], [190, 153, 153],
            [153, 153, 153], [250, 170, 30], [220, 220, 0], [107, 142, 35], [152, 251, 152],
            [70, 130, 180], [220, 20, 60], [255, 0, 0], [0, 0, 142], [0, 0, 70], [0, 60, 100],
            [0, 80, 100], [0, 0, 230], [119, 11, 32],
        ],
    )  # fmt: skip
    FOLDERS = PLACES
    SIZES = {'train': 1500, 'val': 250, 'test': 750}

    def __init__(self, split: str = 'train', **others: Any) -> None:
        if split not in self.SIZES:
            raise ValueError(f'split must be one of {tuple(self.SIZES)}; got {split!r}.')
        self.split = split
        others.setdefault('modalities', ('rgb', 'event', 'lidar', 'radar'))
        others.setdefault('void_zero', False)
        super().__init__('', layout='dformer', **others)

    def load_data_list(self) -> list[dict[str, Any]]:
        """One dict per sample, with the keys that mmseg's transforms expect."""
        root = Path(self.data_root or '')
        if not (root / 'frame_camera' / self.split).is_dir():
            raise FileNotFoundError(
                f'the folder {root / "frame_camera" / self.split} does not exist; '
                f'{self.how_to_get()}'
            )
        samples = []
        for weather, time in CONDITIONS:
            place = f'{self.split}/{weather}/{time}'
            folder = root / 'frame_camera' / place
            for path in own_files(folder, '*_frame_camera.png') if folder.is_dir() else ():
                stem = path.name.removesuffix('frame_camera.png')
                names = ['rgb', *self.modalities]
                if self.split != 'test' or (root / 'gt_semantic' / place).is_dir():
                    names.append('label')
                files = {m: f'{PLACES[m][0]}/{place}/{stem}{PLACES[m][1]}' for m in names}
                samples.append(
                    self.sample(
                        files, f'{root}, {place}/{stem}', sample_id=f'{place}/{stem.rstrip("_")}',
                        conditions=dict(weather=weather, time=time),
                    )
                )  # fmt: skip
        if not samples:
            raise ValueError(f'{root}/frame_camera/{self.split} has no *_frame_camera.png.')
        return samples

    def how_to_get(self) -> str:
        return 'unpack the archives of https://muses.ethz.ch, then run tools/prepare/muses.py.'
