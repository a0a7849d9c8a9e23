"""Which OpenMMLab packages are here, and what to say when one is not.

The package works with any subset of its hosts: nothing imports one before it is
needed, and what needs a missing one says which, and how to install it.
"""

from __future__ import annotations

import importlib
import importlib.util

__all__ = ['HOSTS', 'has_host', 'make_checkpoints_safe_to_load', 'require_host']

# import name -> what to type; the extras of setup.py carry tested bounds
HOSTS = {
    'mmengine': 'pip install "mango_mm[seg]"',
    'mmcv': 'make setup, or MMCV_WITH_OPS=1 pip install --no-build-isolation mmcv==2.1.0',
    'mmseg': 'pip install "mango_mm[seg]"',
    'mmagic': 'pip install "mango_mm[edit]"',
    'transformers': 'pip install "mango_mm[imdb]"',
    'timm': 'pip install "mango_mm[encoders]"',
    'h5py': 'pip install h5py',
    'sklearn': 'pip install scikit-learn',
    'scipy': 'pip install scipy',
    'flask': 'pip install "mango_mm[web]"',
    'waitress': 'pip install "mango_mm[web]"',
    'matplotlib': 'pip install matplotlib',
    'onnxscript': 'pip install "mango_mm[onnx]"',
    'onnxruntime': 'pip install "mango_mm[onnx]"',
}


def has_host(name: str) -> bool:
    """True if the package could be imported; does not import it."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ValueError, ImportError):  # a stub without a spec, or a blocked import
        return False


def require_host(name: str, user: str) -> None:
    """Say clearly that ``user`` cannot work without the package ``name``.

    Raises:
        ImportError: If the package is missing.
    """
    if not has_host(name):
        raise ImportError(
            f'{user} needs {name}, which is not installed; install it with `{HOSTS[name]}`.'
        )


def make_checkpoints_safe_to_load() -> None:
    """Let mmengine's checkpoints pass torch's safe loader, without opening it to code.

    Since torch 2.6 ``torch.load`` refuses classes it does not know. mmengine 0.10
    stores its loss history as ``HistoryBuffer`` objects that pickle bound methods,
    for which the loader would have to allow ``getattr``. Here they are pickled as a
    call of their own constructor on lists of numbers, and only that class and
    numpy's scalars and arrays are allowed. mmengine without us reads such a file too.
    """
    import copyreg
    from _codecs import encode

    import numpy as np
    import torch
    from mmengine.logging import HistoryBuffer

    def rebuild(buffer: HistoryBuffer) -> tuple[type, tuple[list[float], list[float], int]]:
        values, counts = buffer.data
        return HistoryBuffer, (values.tolist(), counts.tolist(), buffer.max_length)

    copyreg.pickle(HistoryBuffer, rebuild)
    if not hasattr(torch.serialization, 'add_safe_globals'):  # torch < 2.4 has no safe list
        return
    core = importlib.import_module('numpy._core' if np.__version__ >= '2' else 'numpy.core')
    dtypes = {type(np.dtype(t)) for t in 'bool i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8'.split()}
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            core.multiarray._reconstruct,
            core.multiarray.scalar,
            np.ndarray,
            np.dtype,
            *dtypes,
            encode,  # text to bytes, inside numpy's scalars; torch allows it since 2.5
        ]
    )
