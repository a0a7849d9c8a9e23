"""Pipeline steps for several aligned modalities. Geometry and photometry are mmseg's."""

from mango_mm.hosts import require_host

require_host('mmcv', 'mango_mm.datasets.transforms')

from mango_mm.datasets.transforms.crop_border import CropBorder  # noqa: E402
from mango_mm.datasets.transforms.degrade import Degrade  # noqa: E402
from mango_mm.datasets.transforms.domains import (  # noqa: E402
    LoadDomains,
    RandomCropDomains,
    RandomFlipDomains,
    ResizeDomains,
)
from mango_mm.datasets.transforms.load_array import LoadArray  # noqa: E402
from mango_mm.datasets.transforms.load_modalities import LoadModalities  # noqa: E402
from mango_mm.datasets.transforms.loading import (  # noqa: E402
    LoadDepth,
    LoadImage,
    LoadSegmentation,
)
from mango_mm.datasets.transforms.missing import DropModality  # noqa: E402
from mango_mm.datasets.transforms.movies import (  # noqa: E402
    LoadMovieFeatures,
    LoadPoster,
    PackMovie,
)
from mango_mm.datasets.transforms.pack_domains import PackDomains  # noqa: E402
from mango_mm.datasets.transforms.stacking import StackModalities  # noqa: E402
from mango_mm.datasets.transforms.tokens import LoadTokens, PackTokens  # noqa: E402

__all__ = [
    'CropBorder',
    'Degrade',
    'DropModality',
    'LoadArray',
    'LoadDepth',
    'LoadDomains',
    'LoadModalities',
    'LoadMovieFeatures',
    'LoadImage',
    'LoadPoster',
    'LoadSegmentation',
    'LoadTokens',
    'PackDomains',
    'PackMovie',
    'PackTokens',
    'RandomCropDomains',
    'RandomFlipDomains',
    'ResizeDomains',
    'StackModalities',
]
