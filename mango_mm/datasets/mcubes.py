"""MCubeS: RGB, polarisation and near infrared of outdoor scenes, 20 materials.

Source and licence:
    https://github.com/kyotovision-public/multimodal-material-segmentation; code MIT, of the data
    the authors state no licence.
Layout on disk (the authors'):
    ``polL_color/X.png``, ``polL_aolp_sin/X.npy``, ``polL_aolp_cos/X.npy``, ``polL_dolp/X.npy``,
    ``NIR_warped/X.png``, ``GT/X.png``, 1024 x 1224, and ``list_folder/{train,val,test}.txt``.
Modalities:
    rgb, 8 or 16 bits. aolp, the angle of linear polarisation as its sine and cosine; dolp, its
    degree; both floating point. nir, 8 or 16 bits.
Classes:
    20; stored labels are 0..19, 255 = ignored.
Splits:
    500 in all, by the authors; 302 train, 96 val, 102 test are not on a page that was at hand:
    if your lists differ, believe them. CMNeXt and StitchFusion choose on test.
Border:
    The authors drop the 192 columns on the left, where the cameras do not overlap; so does
    ``CropBorder(left=192)`` in our config.
Citation:
    Liang, Wakaki, Nobuhara, Nishino: Multimodal Material Segmentation, CVPR 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mango_mm.datasets.multimodal_segmentation import MultimodalSegDataset
from mango_mm.registry import DATASETS

__all__ = ['MCubeSDataset']


@DATASETS.register_module()
class MCubeSDataset(MultimodalSegDataset):
    """MCubeS with 20 classes; arguments: see :class:`MultimodalSegDataset`."""

    METAINFO = dict(
        classes=(
            'asphalt', 'concrete', 'metal', 'road marking', 'fabric, leather', 'glass', 'plaster',
            'plastic', 'rubber', 'sand', 'gravel', 'ceramic', 'cobblestone', 'brick', 'grass',
            'wood', 'leaf', 'water', 'human body', 'sky',
        ),
        palette=[
            [44, 160, 44], [31, 119, 180], [255, 127, 14], [214, 39, 40], [140, 86, 75],
            [127, 127, 127], [188, 189, 34], [255, 152, 150], [23, 190, 207], [174, 199, 232],
            [196, 156, 148], [197, 176, 213], [247, 182, 210], [199, 199, 199], [219, 219, 141],
            [158, 218, 229], [57, 59, 121], [107, 110, 207], [156, 158, 222], [99, 121, 57],
        ],
    )  # fmt: skip
    FOLDERS = dict.fromkeys(('rgb', 'aolp', 'dolp', 'nir', 'label'), ('', ''))  # see _parse_stem
    SIZES = {'train': 302, 'val': 96, 'test': 102}

    def __init__(
        self,
        ann_file: str = 'list_folder/train.txt',
        *,
        modalities: Sequence[str] = ('rgb', 'aolp', 'dolp', 'nir'),
        **others: Any,
    ) -> None:
        others.setdefault('void_zero', False)
        super().__init__(ann_file, layout='dformer', modalities=modalities, **others)

    def _parse_stem(self, line: str, where: str) -> dict[str, Any]:
        return {
            'rgb': f'polL_color/{line}.png',
            'aolp': [f'polL_aolp_sin/{line}.npy', f'polL_aolp_cos/{line}.npy'],
            'dolp': f'polL_dolp/{line}.npy',
            'nir': f'NIR_warped/{line}.png',
            'label': f'GT/{line}.png',
        }

    def how_to_get(self) -> str:
        return "unpack the authors' multimodal_dataset.zip."
