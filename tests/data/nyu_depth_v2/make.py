"""Tiny files in exactly the official formats of NYU Depth V2."""

import numpy as np


def make_official(folder, frames=4, height=6, width=8, train=(1, 3)):
    """``nyu_depth_v2_labeled.mat`` (HDF5, axes as MATLAB writes them) and its companions."""
    import h5py
    from scipy.io import savemat

    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (frames, 3, width, height), dtype=np.uint8)
    depths = rng.uniform(0.7, 10, (frames, width, height)).astype(np.float32)
    labels = rng.integers(0, 5, (frames, width, height)).astype(np.uint16)
    names = ['book', 'wall', 'bottle', 'floor mat']  # labels 1..4
    with h5py.File(folder / 'nyu_depth_v2_labeled.mat', 'w') as file:
        file['images'], file['depths'], file['labels'] = images, depths, labels
        table = file.create_dataset('names', (1, len(names)), dtype=h5py.ref_dtype)
        for i, name in enumerate(names):
            file[f'#refs#/{i}'] = np.array([[ord(c)] for c in name], dtype=np.uint16)
            table[0, i] = file[f'#refs#/{i}'].ref
    test = [n for n in range(1, frames + 1) if n not in train]
    columns = {'trainNdxs': np.array([train]).T, 'testNdxs': np.array([test]).T}
    savemat(folder / 'splits.mat', columns)
    savemat(folder / 'classMapping40.mat', {'mapClass': np.array([[23, 1, 40, 20]])})
    return images, depths, labels
