"""DELIVER: RGB, depth, events and lidar of simulated drives, five weathers, five failures.

Source and licence:
    https://github.com/jamycheung/DELIVER; Apache-2.0.
Layout on disk (the authors'):
    ``<folder>/<weather>/<split>/<scene>/<frame>_<name>_front.png``, 1042 x 1042, with folders and
    names img/rgb, hha/depth, depth/depth, event/event, lidar/lidar, semantic/semantic. In scenes of
    the failure ``eventlowres`` events are 512 x 512.
Modalities:
    rgb. depth as the HHA image that all published code reads (``hha``), or as it is in ``depth``,
    8 bits. event, three channels of which the second is empty. lidar, equal channels, 0 where no
    beam came back.
Classes:
    25. Labels are the first of four channels, 1..25; 0 and 255 are ignored.
Splits:
    3983 train, 2005 val, 1897 test, all labelled. CMNeXt's table is of val; report both.
Conditions:
    ``weather``: cloud, fog, night, rain, sun; ``case``: normal, or the scene's failure: motionblur,
    overexposure, underexposure, lidarjitter, eventlowres.
Citation:
    Zhang, Liu, Shi, Yang, Reiss, Peng, Fu, Wang, Stiefelhagen: Delivering Arbitrary-Modal Semantic
    Segmentation, CVPR 2023, arXiv 2303.01480.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mango_mm.datasets.multimodal_segmentation import MultimodalSegDataset
from mango_mm.files import own_files
from mango_mm.registry import DATASETS

__all__ = ['DELIVERDataset']

WEATHERS = ('cloud', 'fog', 'night', 'rain', 'sun')
FAILURES = ('motionblur', 'overexposure', 'underexposure', 'lidarjitter', 'eventlowres')
# Folder, and what files are called in it.
PLACES = {
    'rgb': ('img', 'rgb'),
    'hha': ('hha', 'depth'),
    'depth': ('depth', 'depth'),
    'event': ('event', 'event'),
    'lidar': ('lidar', 'lidar'),
    'label': ('semantic', 'semantic'),
}


@DATASETS.register_module()
class DELIVERDataset(MultimodalSegDataset):
    """DELIVER with 25 classes.

    Args:
        split: ``'train'``, ``'val'`` or ``'test'``.
        weathers: Those that are read.
        cases: Those that are read, ``'normal'`` and the failures; None: all.
        **others: The same as in :class:`MultimodalSegDataset`.

    Raises:
        ValueError: If a split, weather or case is unknown, or no sample is left.
    """

    METAINFO = dict(
        classes=(
            'building', 'fence', 'other', 'pedestrian', 'pole', 'road line', 'road', 'sidewalk',
            'vegetation', 'cars', 'wall', 'traffic sign', 'sky', 'ground', 'bridge', 'rail track',
            'ground rail', 'traffic light', 'static', 'dynamic', 'water', 'terrain', 'two wheeler',
            'bus', 'truck',
        ),
        palette=[
            [70, 70, 70], [100, 40, 40], [55, 90, 80], [220, 20, 60], [153, 153, 153],
            [157, 234, 50], [128, 64, 128], [244, 35, 232], [107, 142, 35], [0, 0, 142],
            [102, 102, 156], [220, 220, 0], [70, 130, 180], [81, 0, 81], [150, 100, 100],
            [230, 150, 140], [180, 165, 180], [250, 170, 30], [110, 190, 160], [170, 120, 50],
            [45, 60, 150], [145, 170, 100], [0, 0, 230], [0, 60, 100], [0, 0, 70],
        ],
    )  # fmt: skip
    FOLDERS = PLACES
    SIZES = {'train': 3983, 'val': 2005, 'test': 1897}
    label_channel = 0

    def __init__(
        self,
        split: str = 'train',
        *,
        weathers: tuple[str, ...] = WEATHERS,
        cases: tuple[str, ...] | None = None,
        **others: Any,
    ) -> None:
        wrong = [c for c in cases or () if c not in ('normal', *FAILURES)]
        wrong += [w for w in weathers if w not in WEATHERS]
        if split not in self.SIZES or wrong:
            raise ValueError(
                f'split must be one of {tuple(self.SIZES)}, weathers of {WEATHERS} and cases of '
                f'{("normal", *FAILURES)}; got {split!r} and {wrong}.'
            )
        self.split, self.weathers, self.cases = split, tuple(weathers), cases
        if cases is not None or set(weathers) != set(WEATHERS):
            self.SIZES = {}  # a part on purpose
        others.setdefault('modalities', ('rgb', 'hha', 'event', 'lidar'))
        others.setdefault('void_zero', True)
        super().__init__('', layout='dformer', **others)

    def load_data_list(self) -> list[dict[str, Any]]:
        """One dict per sample, with the keys that mmseg's transforms expect."""
        root = Path(self.data_root or '')
        samples = []
        for weather in self.weathers:
            folder = root / 'img' / weather / self.split
            if not folder.is_dir():
                raise FileNotFoundError(f'the folder {folder} does not exist; {self.how_to_get()}')
            for path in own_files(folder, '*/*_rgb_front.png'):
                scene = path.parent.name
                case = next((f for f in FAILURES if scene.endswith(f'_{f}')), 'normal')
                if self.cases is not None and case not in self.cases:
                    continue
                frame = path.name.removesuffix('_rgb_front.png')
                place = f'{weather}/{self.split}/{scene}/{frame}'
                names = ('rgb', *self.modalities, 'label')
                files = {m: f'{PLACES[m][0]}/{place}_{PLACES[m][1]}_front.png'
                         for m in names}  # fmt: skip
                conditions = dict(weather=weather, case=case)
                samples.append(
                    self.sample(files, f'{root}, {place}', sample_id=place, conditions=conditions)
                )
        if not samples:
            raise ValueError(
                f'{root} has no sample of {self.split} for weathers {self.weathers} and cases '
                f'{self.cases}.'
            )
        return samples

    def how_to_get(self) -> str:
        return "unpack the authors' archive; it holds img/, hha/, event/, lidar/ and semantic/."
