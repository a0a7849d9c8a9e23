"""NYU Depth V2: indoor RGB-D frames of a Kinect, 40 classes.

Source and licence:
    Silberman et al., ECCV 2012, https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html; free
    for research. The 40 classes are those of Gupta et al., CVPR 2013.
Layout on disk:
    Either of the two in ``multimodal_segmentation.py``. ``tools/prepare/nyu_depth_v2.py``
    makes the first from the official ``nyu_depth_v2_labeled.mat``.
Modalities:
    rgb, uint8. depth, uint16 PNG, metres = value / 5000, 0 = missing (tab lists); or 8-bit
    gray, per-image range, no unit (DFormer). hha, uint8, three channels.
Classes:
    40; labels 0..39, 255 = ignore (tab lists) or 1..40, 0 = void (DFormer).
Splits:
    795 train, 654 test, by the data's authors (``splits.mat``).
Citation:
    Silberman, Hoiem, Kohli, Fergus: Indoor Segmentation and Support Inference from RGBD
    Images, ECCV 2012.
"""

from __future__ import annotations

from mango_mm.datasets.multimodal_segmentation import MultimodalSegDataset
from mango_mm.datasets.palette import distinct_colours
from mango_mm.registry import DATASETS

__all__ = ['NYU40_CLASSES', 'NYUDepthV2Dataset']

# fmt: off
NYU40_CLASSES = (
    'wall', 'floor', 'cabinet', 'bed', 'chair', 'sofa', 'table', 'door', 'window', 'bookshelf',
    'picture', 'counter', 'blinds', 'desk', 'shelves', 'curtain', 'dresser', 'pillow', 'mirror',
    'floor mat', 'clothes', 'ceiling', 'books', 'refridgerator', 'television', 'paper', 'towel',
    'shower curtain', 'box', 'whiteboard', 'person', 'night stand', 'toilet', 'sink', 'lamp',
    'bathtub', 'bag', 'otherstructure', 'otherfurniture', 'otherprop',
)
# fmt: on


@DATASETS.register_module()
class NYUDepthV2Dataset(MultimodalSegDataset):
    """NYU Depth V2 with 40 classes; arguments: see :class:`MultimodalSegDataset`."""

    METAINFO = dict(classes=NYU40_CLASSES, palette=distinct_colours(len(NYU40_CLASSES)))

    def how_to_get(self) -> str:
        return 'make it with tools/prepare/nyu_depth_v2.py from nyu_depth_v2_labeled.mat.'
