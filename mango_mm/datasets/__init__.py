"""Datasets, one file each; transforms and generators beside them."""

from mango_mm.datasets.draws import SeededDraws, SeededSampler
from mango_mm.datasets.mini_rooms import MiniRoomsDataset
from mango_mm.datasets.mm_imdb import MMIMDbDataset
from mango_mm.datasets.multimodal_folder import MultimodalFolderDataset
from mango_mm.datasets.multimodal_segmentation import MultimodalSegDataset
from mango_mm.datasets.nyu_depth_v2 import NYUDepthV2Dataset
from mango_mm.datasets.sun_rgbd import SUNRGBDDataset
from mango_mm.datasets.taskonomy import TaskonomyDataset

__all__ = [
    'MMIMDbDataset',
    'MiniRoomsDataset',
    'MultimodalFolderDataset',
    'MultimodalSegDataset',
    'NYUDepthV2Dataset',
    'SUNRGBDDataset',
    'SeededDraws',
    'SeededSampler',
    'TaskonomyDataset',
]
