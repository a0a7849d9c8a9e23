"""Tiny files in exactly the official formats of SUN RGB-D."""

import numpy as np
from PIL import Image

FRAMES = ('SUNRGBD/kv1/NYUdata/NYU0001', 'SUNRGBD/kv2/a/b', 'SUNRGBD/xtion/c/d')


def make_official(folder, height=6, width=8):
    """The unpacked archives with three frames, the second of which trains."""
    import h5py
    from scipy.io import savemat

    rng = np.random.default_rng(0)
    labels, depths_mm = [], []
    meta = folder / 'SUNRGBDtoolbox' / 'Metadata'
    split = folder / 'SUNRGBDtoolbox' / 'traintestSUNRGBD'
    meta.mkdir(parents=True)
    split.mkdir()
    for name in FRAMES:
        (folder / name / 'image').mkdir(parents=True)
        (folder / name / 'depth').mkdir()
        rgb = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
        Image.fromarray(rgb).save(folder / name / 'image' / '0001.jpg')
        millimetres = rng.integers(500, 7900, (height, width)).astype(np.uint16)
        shifted = (millimetres << 3) | (millimetres >> 13)
        Image.fromarray(shifted).save(folder / name / 'depth' / '0001.png')
        depths_mm.append(millimetres)
        labels.append(rng.integers(0, 38, (height, width), dtype=np.uint8))
    entries = np.zeros((1, 3), dtype=[('sequenceName', object)])
    for i, name in enumerate(FRAMES):
        entries[0, i]['sequenceName'] = name
    savemat(meta / 'SUNRGBDMeta.mat', {'SUNRGBDMeta': entries})
    train = np.empty((1, 1), dtype=object)
    train[0, 0] = '/n/fs/sun3d/data/' + FRAMES[1]
    savemat(split / 'allsplit.mat', {'alltrain': train})
    with h5py.File(meta / 'SUNRGBD2Dseg.mat', 'w') as file:
        table = file.create_dataset('SUNRGBD2Dseg/seglabel', (3, 1), dtype=h5py.ref_dtype)
        for i, label in enumerate(labels):
            file[f'#refs#/{i}'] = label.T
            table[i, 0] = file[f'#refs#/{i}'].ref
    return labels, depths_mm
