"""SUN RGB-D: indoor frames of four depth sensors, 37 classes.

Source and licence:
    Song et al., CVPR 2015, https://rgbd.cs.princeton.edu; free for research.
Layout on disk:
    ``RGB/train_0.jpg``, ``labels/train_0.png``, ``Depth/train_0.png``, lists ``train.txt`` and
    ``test.txt`` (DFormer, GeminiFusion); lines are stems, or three tab-separated paths with
    ``layout='tab_list'``. ``tools/prepare/sun_rgbd.py`` makes it from the official archive.
Modalities:
    rgb, uint8. depth, uint16 PNG: millimetres, circularly shifted by three bits (official
    archive, and what our tool keeps), or 8-bit gray, per-image range, no unit (DFormer).
Classes:
    37, the first of NYU's 40; labels 1..37, 0 = void.
Splits:
    5285 train, 5050 test, by the data's authors.
Citation:
    Song, Lichtenberg, Xiao: SUN RGB-D: A RGB-D Scene Understanding Benchmark Suite, CVPR 2015.
"""

from __future__ import annotations

from typing import Any

from mango_mm.datasets.multimodal_segmentation import MultimodalSegDataset
from mango_mm.datasets.nyu_depth_v2 import NYU40_CLASSES
from mango_mm.datasets.palette import distinct_colours
from mango_mm.registry import DATASETS

__all__ = ['SUN37_CLASSES', 'SUNRGBDDataset']

SUN37_CLASSES = NYU40_CLASSES[:37]


@DATASETS.register_module()
class SUNRGBDDataset(MultimodalSegDataset):
    """SUN RGB-D with 37 classes; arguments: see :class:`MultimodalSegDataset`."""

    METAINFO = dict(classes=SUN37_CLASSES, palette=distinct_colours(len(SUN37_CLASSES)))
    FOLDERS = {**MultimodalSegDataset.FOLDERS, 'label': ('labels', '.png')}

    def __init__(
        self, ann_file: str = 'train.txt', *, layout: str = 'dformer', **others: Any
    ) -> None:
        others.setdefault('void_zero', True)  # in both layouts
        super().__init__(ann_file, layout=layout, **others)

    def how_to_get(self) -> str:
        return 'make it with tools/prepare/sun_rgbd.py from the official SUNRGBD.zip.'
