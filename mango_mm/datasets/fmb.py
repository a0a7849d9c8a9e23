"""FMB: RGB and infrared street scenes in all weathers, 14 classes.

Source and licence:
    https://github.com/JinyuanLiu-CV/SegMiF; the authors state no licence.
Layout on disk (the authors'):
    ``train/`` and ``test/``, in each ``Visible/X.png``, ``Infrared/X.png``, ``Label/X.png`` (and
    ``color/``, the labels in colours), 600 x 800.
Modalities:
    rgb, uint8. infrared, uint8, of one or more equal channels: the first is read.
Classes:
    14; stored labels are 1..14, 0 = unlabelled, ignored as in StitchFusion. Palette: the
    authors' (SegMiF, issue 10); others have its channels in the opposite order, so that one of
    both is BGR. The test split is reported to have no bicycle (issue 28): mmseg's mean is over
    the classes that occur, that of StitchFusion counts a 0 for it.
Splits:
    1220 train, 280 test. There is no validation split: every tenth training image is held out.
Citation:
    Liu, Liu, Wu, Ma, Liu, Zhong, Luo, Fan: Multi-interactive Feature Learning and a Full-time
    Multi-modality Benchmark for Image Fusion and Segmentation, ICCV 2023, arXiv 2308.02097.
"""

from __future__ import annotations

from mango_mm.datasets.split_folders import SplitFoldersDataset
from mango_mm.registry import DATASETS

__all__ = ['FMBDataset']


@DATASETS.register_module()
class FMBDataset(SplitFoldersDataset):
    """FMB with 14 classes; arguments: see :class:`SplitFoldersDataset`."""

    METAINFO = dict(
        classes=(
            'road', 'sidewalk', 'building', 'traffic light', 'traffic sign', 'vegetation', 'sky',
            'person', 'car', 'truck', 'bus', 'motorcycle', 'bicycle', 'pole',
        ),
        palette=[
            [179, 228, 228], [181, 57, 133], [67, 162, 177], [200, 178, 50], [132, 45, 199],
            [66, 172, 84], [179, 73, 79], [76, 99, 166], [66, 121, 253], [137, 165, 91],
            [155, 97, 152], [105, 153, 140], [222, 215, 158], [135, 113, 90],
        ],
    )  # fmt: skip
    FOLDERS = {
        'rgb': ('Visible', '.png'),
        'infrared': ('Infrared', '.png'),
        'label': ('Label', '.png'),
    }
    SIZES = {'test': 280}

    def __init__(self, split: str = 'train', **others: object) -> None:
        others.setdefault('void_zero', True)
        super().__init__(split, **others)

    def how_to_get(self) -> str:
        return "unpack the authors' archive; it holds train/ and test/."
