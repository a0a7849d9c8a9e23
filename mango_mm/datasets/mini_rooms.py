"""Mini rooms: generated furnished rooms, for the demo and the tests.

Source and licence:
    ``mango_mm/datasets/mini``; generated, no licence needed.
Layout on disk:
    That of NYU Depth V2 as a tab list; ``python tools/prepare/mini_rooms.py`` writes it.
Modalities:
    rgb, uint8. depth, uint16 PNG, metres = value / 5000, 0 = missing.
Classes:
    10. rug, picture and screen lie flat on floor or wall: depth alone cannot tell them.
    bed, table, cabinet and box share their colours, with the walls too: RGB alone
    has to guess.
Splits:
    As many as asked for, from different seeds.
"""

from __future__ import annotations

from mango_mm.datasets.mini.rooms import CLASSES
from mango_mm.datasets.multimodal_segmentation import MultimodalSegDataset
from mango_mm.datasets.palette import distinct_colours
from mango_mm.registry import DATASETS

__all__ = ['MiniRoomsDataset']


@DATASETS.register_module()
class MiniRoomsDataset(MultimodalSegDataset):
    """Generated rooms with 10 classes; arguments: see :class:`MultimodalSegDataset`."""

    METAINFO = dict(classes=CLASSES, palette=distinct_colours(len(CLASSES)))

    def how_to_get(self) -> str:
        return 'make it with `python tools/prepare/mini_rooms.py`.'
