"""Datasets, one file each; transforms and generators beside them."""

from mango_mm.datasets.cached_features import CachedFeatures
from mango_mm.datasets.dataset_part import DatasetPart
from mango_mm.datasets.deliver import DELIVERDataset
from mango_mm.datasets.draws import SeededDraws, SeededSampler
from mango_mm.datasets.fmb import FMBDataset
from mango_mm.datasets.mcubes import MCubeSDataset
from mango_mm.datasets.mfnet import MFNetDataset
from mango_mm.datasets.mini_rooms import MiniRoomsDataset
from mango_mm.datasets.mm_imdb import MMIMDbDataset
from mango_mm.datasets.multimodal_folder import MultimodalFolderDataset
from mango_mm.datasets.multimodal_segmentation import MultimodalSegDataset
from mango_mm.datasets.muses import MUSESDataset
from mango_mm.datasets.nyu_depth_v2 import NYUDepthV2Dataset
from mango_mm.datasets.pst900 import PST900Dataset
from mango_mm.datasets.sun_rgbd import SUNRGBDDataset
from mango_mm.datasets.taskonomy import TaskonomyDataset
from mango_mm.datasets.token_sequences import TokenSequenceDataset

__all__ = [
    'CachedFeatures',
    'DELIVERDataset',
    'DatasetPart',
    'FMBDataset',
    'MCubeSDataset',
    'MFNetDataset',
    'MMIMDbDataset',
    'MUSESDataset',
    'PST900Dataset',
    'MiniRoomsDataset',
    'MultimodalFolderDataset',
    'MultimodalSegDataset',
    'NYUDepthV2Dataset',
    'SUNRGBDDataset',
    'SeededDraws',
    'SeededSampler',
    'TaskonomyDataset',
    'TokenSequenceDataset',
]
