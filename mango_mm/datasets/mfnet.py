"""MFNet: RGB and thermal street scenes by day and night, 8 classes and background.

Source and licence:
    https://www.mi.t.u-tokyo.ac.jp/static/projects/mil_multispectral/; the authors state no licence.
Layout on disk (the authors'):
    ``images/00001D.png``, RGBA, 480 x 640: RGB, and thermal in the fourth channel.
    ``labels/00001D.png``, lists ``train.txt``, ``val.txt``, ``test.txt`` of stems.
Modalities:
    rgb, uint8. thermal, uint8, no unit.
Classes:
    9, of which the first is everything unlabelled; it counts in the mean, as in RTFNet, CMX and
    CMNeXt. MFNet's own script left it out: its numbers are not comparable.
Splits:
    784 train, 392 val (what is left of the authors' 1569), 393 test. Many train on train and
    val, and choose on test; ours do not.
Conditions:
    ``time``: day or night, the last letter of the name.
Citation:
    Ha, Watanabe, Karasawa, Ushiku, Harada: MFNet: Towards Real-Time Semantic Segmentation for
    Autonomous Vehicles with Multi-Spectral Scenes, IROS 2017.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mango_mm.datasets.multimodal_segmentation import MultimodalSegDataset
from mango_mm.registry import DATASETS

__all__ = ['MFNetDataset']

TIMES = {'D': 'day', 'N': 'night'}


@DATASETS.register_module()
class MFNetDataset(MultimodalSegDataset):
    """MFNet with 9 classes; arguments: see :class:`MultimodalSegDataset`."""

    METAINFO = dict(
        classes=(
            'unlabelled', 'car', 'person', 'bike', 'curve', 'car stop', 'guardrail', 'color cone',
            'bump',
        ),
        palette=[
            [0, 0, 0], [64, 0, 128], [64, 64, 0], [0, 128, 192], [0, 0, 192], [128, 128, 0],
            [64, 64, 128], [192, 128, 128], [192, 64, 0],
        ],
    )  # fmt: skip
    FOLDERS = {
        'rgb': ('images', '.png'),
        'thermal': ('images', '.png'),
        'label': ('labels', '.png'),
    }
    SIZES = {'train': 784, 'val': 392, 'test': 393}

    def __init__(
        self,
        ann_file: str = 'train.txt',
        *,
        modalities: Sequence[str] = ('rgb', 'thermal'),
        **others: Any,
    ) -> None:
        others.setdefault('void_zero', False)
        super().__init__(ann_file, layout='dformer', modalities=modalities, **others)

    def sample(
        self, paths: Mapping[str, str | Sequence[str]], where: str, **known: Any
    ) -> dict[str, Any]:
        stem = str(paths['rgb']).rpartition('/')[2].removesuffix('.png')
        time = TIMES.get(stem[-1:], 'unknown')
        return super().sample(paths, where, sample_id=stem, conditions=dict(time=time), **known)

    def how_to_get(self) -> str:
        return "unpack the authors' archive: images/, labels/ and the lists lie side by side."
