"""MangoInferencer of translators: paths, arrays and folders in, images out."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from rooms import ROOT, run

from mango_mm.inferencers import MangoInferencer, TranslationInferencer

CONFIG = ROOT / 'configs/mango/mango-l1-rgb-edge2depth_small_1xb8-600it_mini-rooms-96x128.py'


@pytest.fixture(scope='module')
def views(tmp_path_factory):
    """Two source folders with files of the same names."""
    root = tmp_path_factory.mktemp('views')
    rng = np.random.default_rng(0)
    for i in range(3):
        for name, array in (
            ('rgb', rng.integers(0, 256, (96, 128, 3)).astype(np.uint8)),
            ('edge_occlusion', rng.integers(0, 65536, (96, 128)).astype(np.uint16)),
        ):
            (root / name).mkdir(exist_ok=True)
            Image.fromarray(array).save(root / name / f'{i}.png')
    return root


@pytest.fixture(scope='module')
def infer():
    return MangoInferencer(CONFIG, device='cpu')


def test_paths_and_arrays_give_the_same(views, infer, tmp_path):
    assert isinstance(infer, TranslationInferencer)
    paths = {m: views / m / '0.png' for m in ('rgb', 'edge_occlusion')}
    made = infer(paths, show_dir=tmp_path)
    arrays = {m: np.asarray(Image.open(p)) for m, p in paths.items()}
    again = infer(arrays)
    np.testing.assert_array_equal(made['image'], again['image'])
    assert made['image'].shape == (96, 128, 1)
    assert made['metres'].shape == (96, 128)
    assert (made['metres'] > 0).all()
    assert np.isfinite(made['nll_per_dim'])
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / '0.png')), made['panel'])
    assert list(made['pictures']) == ['rgb', 'edge_occlusion', 'depth_euclidean (made)']


def test_folders_and_batches_give_what_single_samples_give(views, infer):
    folders = {m: views / m for m in ('rgb', 'edge_occlusion')}
    several = infer(folders, batch_size=2, progress=False)
    assert len(several) == 3
    for i, one in enumerate(several):
        alone = infer({m: views / m / f'{i}.png' for m in folders})
        np.testing.assert_allclose(one['image'], alone['image'], atol=1e-5)


@pytest.mark.slow
def test_the_tool_takes_folders(views, tmp_path):
    pairs = [f'{m}={views / m}' for m in ('rgb', 'edge_occlusion')]

    model = MangoInferencer(CONFIG, device='cpu').model
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, tmp_path / 'm.pth')
    done = run(views, ROOT / 'tools/infer.py', CONFIG, tmp_path / 'm.pth', '--input', *pairs,
               '--show-dir', tmp_path / 'out', '--batch-size', '2')  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(list((tmp_path / 'out').glob('*.png'))) == 3
    found = json.loads(done.stdout[done.stdout.index('[') : done.stdout.rindex(']') + 1])
    assert all(np.isfinite(one['nll_per_dim']) for one in found)


def test_what_is_wrong_is_named(views, infer, tmp_path):
    with pytest.raises(KeyError, match=r"the input lacks \['edge_occlusion'\]"):
        infer({'rgb': views / 'rgb/0.png'})
    for name in ('a', 'b'):
        (tmp_path / name).mkdir()
    with pytest.raises(FileNotFoundError, match='there is no file in'):
        infer({'rgb': tmp_path / 'a', 'edge_occlusion': tmp_path / 'b'})
    Image.open(views / 'rgb/0.png').save(tmp_path / 'a/0.png')
    with pytest.raises(ValueError, match=r"b lacks \['0'\], 1 of 1"):
        infer({'rgb': tmp_path / 'a', 'edge_occlusion': tmp_path / 'b'})
    with pytest.raises(ValueError, match='8 bits per channel.*from the array of rgb'):
        infer(
            {
                'rgb': np.zeros((96, 128, 3), np.uint16),
                'edge_occlusion': np.zeros((96, 128), np.uint16),
            }
        )
