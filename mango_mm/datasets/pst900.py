"""PST900: RGB and thermal underground, 4 classes and background.

Source and licence:
    https://github.com/ShreyasSkandanS/pst900_thermal_rgb; the authors state no licence.
Layout on disk (the authors'):
    ``train/`` and ``test/``, in each ``rgb/X.png``, ``thermal/X.png``, ``labels/X.png`` (and
    ``thermal_raw/``, ``depth/``, 16 bits), 720 x 1280.
Modalities:
    rgb, uint8. thermal, uint8, as the camera's gain control makes it; 0 is a hole of the
    reprojection. thermal_raw, uint16. depth, uint16.
Classes:
    5, of which the first is background; it counts in the mean, as the authors count it.
Splits:
    597 train, 288 test in most papers; the authors' page says 894 in all, 606 and 288. There is no
    validation split: every tenth training image is held out.
Citation:
    Shivakumar, Rodrigues, Zhou, Miller, Kumar, Taylor: PST900: RGB-Thermal Calibration, Dataset
    and Segmentation Network, ICRA 2020, arXiv 1909.10980.
"""

from __future__ import annotations

from mango_mm.datasets.split_folders import SplitFoldersDataset
from mango_mm.registry import DATASETS

__all__ = ['PST900Dataset']


@DATASETS.register_module()
class PST900Dataset(SplitFoldersDataset):
    """PST900 with 5 classes; arguments: see :class:`SplitFoldersDataset`.

    ``modalities`` may name ``thermal_raw`` and ``depth`` too.
    """

    METAINFO = dict(
        classes=('background', 'fire extinguisher', 'backpack', 'hand drill', 'survivor'),
        palette=[[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]],
    )
    FOLDERS = {
        'rgb': ('rgb', '.png'),
        'thermal': ('thermal', '.png'),
        'thermal_raw': ('thermal_raw', '.png'),
        'depth': ('depth', '.png'),
        'label': ('labels', '.png'),
    }
    SIZES = {'test': 288}

    def __init__(self, split: str = 'train', **others: object) -> None:
        others.setdefault('modalities', ('rgb', 'thermal'))
        others.setdefault('void_zero', False)
        super().__init__(split, **others)

    def how_to_get(self) -> str:
        return "unpack the authors' PST900_RGBT_Dataset.zip; it holds train/ and test/."
