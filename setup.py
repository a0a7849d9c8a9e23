"""Packaging. `pip install .` gives flows and fusion; extras add the OpenMMLab hosts."""

import os
import shutil
import sys
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent

BASE = [
    'torch>=2.1',  # Tensor.mT, use_reentrant=False and dynamic SDPA masks as used here
    'numpy>=1.22',
]
RUNTIME = [
    'mmengine>=0.10.6,<1.0',  # before 0.10.6 Adafactor is registered twice under torch 2.5
    'torch>=2.4',  # torch.serialization.add_safe_globals, for mmengine's checkpoints
    'mmcv>=2.0.0rc4,<2.2.0',  # mmseg 1.2.2 and mmagic 1.2.0 assert it; build it with ops
    'safetensors>=0.4',  # the model zoo
    'pillow>=9.1',  # Image.Resampling
    'matplotlib>=3.5',  # matplotlib.colormaps
    'tqdm',
    'setuptools<81',  # mmengine 0.10 imports pkg_resources in places
]
SEG = [
    *RUNTIME,
    'mmsegmentation>=1.2.1,<2.0',  # 1.2.0's wheel lacks a file that it reads when imported
    'ftfy',  # imported by mmseg.utils, declared only in its extra
    'regex',  # likewise
]
EDIT = [
    *RUNTIME,
    'mmagic==1.2.0',  # frozen upstream; its pins follow
    'diffusers==0.24.0',  # newer ones up to 0.27 and from 0.29 break mmagic's imports
    'huggingface_hub<0.26',  # cached_download, which diffusers 0.24 imports
    'transformers<4.49',  # with that hub
    'numpy<2',  # np.bool8 in mmagic.utils
    'albumentations==1.3.1',  # imported by mmagic.datasets, declared for its tests only
]
# Movies and sequences.
IMDB = [*RUNTIME, 'transformers>=4.30', 'scikit-learn>=1.2', 'scipy>=1.8', 'h5py>=3.0']
ENCODERS = [*RUNTIME, 'timm>=0.9', 'safetensors>=0.4', 'transformers>=4.30']
PREPARE = ['h5py>=3.0', 'scipy>=1.8']  # MATLAB v7.3 and v5 files
ONNX = [
    'torch>=2.5',  # 2.4 cannot export a region of autocast
    'onnx>=1.17,<1.19',  # protobuf < 5, for mmagic
    'onnxscript>=0.5',
    'onnxruntime>=1.20',
]
WEB = [*SEG, 'flask>=3.1', 'waitress>=3.0']
DOCS = ['sphinx>=8.1', 'myst-nb>=1.1', 'furo>=2024.8', 'nbclient>=0.10', 'ipykernel>=6.29']
DEV = ['pytest>=8', 'hypothesis>=6.100', 'ruff>=0.9', 'mypy>=1.11', 'import-linter>=2.1']


def add_mim_extension() -> None:
    """Put configs, tools and the model index where MIM looks: ``mango_mm/.mim``.

    Links in a development install, copies in a built package.
    """
    # setuptools calls an editable build 'editable_wheel'; 'develop' is the old name.
    develop = 'develop' in sys.argv or 'editable_wheel' in sys.argv
    building = {'sdist', 'bdist_wheel', 'build', 'install', 'dist_info', 'egg_info'} & set(sys.argv)
    if not develop and not building:
        return
    target = ROOT / 'mango_mm' / '.mim'
    target.mkdir(exist_ok=True)
    for name in ('tools', 'configs', 'model-index.yml'):
        source, copy = ROOT / name, target / name
        if not source.exists():
            continue
        if copy.is_symlink() or copy.is_file():
            copy.unlink()
        elif copy.is_dir():
            shutil.rmtree(copy)
        if develop:
            copy.symlink_to(os.path.relpath(source, target))
        elif source.is_dir():
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns('__pycache__'))
        else:
            shutil.copy(source, copy)


def version() -> str:
    """The number in ``version.py``, without importing the package."""
    scope: dict = {}
    exec((ROOT / 'mango_mm' / 'version.py').read_text(), scope)
    return scope['__version__']


add_mim_extension()
setup(
    name='mango_mm',  # MIM needs the distribution to be named as the module
    version=version(),
    description='MANGO and its baselines: explicit multimodal fusion for OpenMMLab',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.9',
    packages=find_packages(include=['mango_mm', 'mango_mm.*']),
    include_package_data=True,
    package_data={'mango_mm': ['py.typed', 'zoo/*.json', 'zoo/*.safetensors', 'web/page/*']},
    install_requires=BASE,
    extras_require={
        'seg': SEG,
        'edit': EDIT,
        'imdb': IMDB,
        'prepare': PREPARE,
        'encoders': ENCODERS,
        'onnx': ONNX,
        'all': sorted({*SEG, *EDIT, *IMDB, *PREPARE, *ENCODERS}),
        'web': WEB,
        'docs': DOCS,
        'dev': DEV,
    },
    zip_safe=False,
)
