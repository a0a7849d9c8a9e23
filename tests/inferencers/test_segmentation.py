"""MangoInferencer: paths or arrays in, label map and panel out."""

import numpy as np
import pytest
from PIL import Image
from rooms import MANGO, make_rooms

from mango_mm.inferencers import MangoInferencer


@pytest.fixture(scope='module')
def rooms(tmp_path_factory):
    return make_rooms(tmp_path_factory.mktemp('rooms'))


@pytest.fixture(scope='module')
def infer():
    return MangoInferencer(MANGO, device='cpu')


def test_paths_and_arrays_give_the_same(rooms, infer, tmp_path):
    paths = {'rgb': rooms / 'rgb/000001.jpg', 'depth': rooms / 'depth/000001.png'}
    rgb = np.asarray(Image.open(paths['rgb']))
    depth_m = np.asarray(Image.open(paths['depth'])).astype(np.float32) / 5000
    from_paths = infer(paths, show_dir=tmp_path)
    from_arrays = infer({'rgb': rgb, 'depth': depth_m})
    np.testing.assert_array_equal(from_paths['label'], from_arrays['label'])
    assert from_paths['label'].shape == (72, 96)
    assert from_paths['label'].max() < len(from_paths['classes']) == 10
    assert np.isfinite(from_paths['nll_per_dim'])
    panel = np.asarray(Image.open(tmp_path / '000001.png'))
    np.testing.assert_array_equal(panel, from_paths['panel'])
    assert list(from_paths['pictures']) == ['rgb', 'depth', 'prediction']
    assert set(paths) == {'rgb', 'depth'}  # the caller's dict is left alone


def test_batches_give_what_single_samples_give(rooms, infer):
    samples = [
        {'rgb': rooms / f'rgb/{i:06d}.jpg', 'depth': rooms / f'depth/{i:06d}.png'}
        for i in (1, 2, 3)
    ]
    batched = infer(samples, batch_size=2, progress=False)
    for sample, result in zip(samples, batched):
        alone = infer(sample)
        assert (alone['label'] == result['label']).mean() > 0.999
        assert result['nll_per_dim'] == pytest.approx(alone['nll_per_dim'], abs=1e-4)


def test_a_missing_modality_is_named(rooms, infer):
    with pytest.raises(KeyError, match=r"needs \['rgb', 'depth'\]; the input lacks \['depth'\]"):
        infer({'rgb': rooms / 'rgb/000001.jpg'})


def test_missing_files_are_named(infer, tmp_path):
    with pytest.raises(FileNotFoundError, match=r'nowhere\.jpg does not exist'):
        infer({'rgb': 'nowhere.jpg', 'depth': 'x.png'})
    with pytest.raises(FileNotFoundError, match=r'gone\.pth does not exist'):
        MangoInferencer(MANGO, tmp_path / 'gone.pth')
