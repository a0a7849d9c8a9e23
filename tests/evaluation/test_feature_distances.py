"""FID's metric: on files, off predictions, and never under a name that it has not earned."""

import hashlib

import numpy as np
import pytest
import torch
from mmagic.evaluation.functional import InceptionV3
from mmagic.evaluation.functional.fid_inception import fid_inception_v3
from mmagic.structures import DataSample
from mmengine.evaluator import Evaluator

from mango_mm.evaluation.functional import frechet_distance, kernel_distance
from mango_mm.models.editors import InceptionFeatures, inception_features
from mango_mm.models.extractors import RandomFeatures
from mango_mm.registry import METRICS


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('inception') / 'weights.pth'
    net = fid_inception_v3(False)
    for name, x in net.state_dict().items():  # statistics that a trained network would have
        if name.endswith('running_var'):
            x.uniform_(0.5, 2)
        elif name.endswith('running_mean'):
            x.normal_(0, 0.1)
    torch.save(net.state_dict(), path)
    return path


def samples(count, channels, seed):
    generator = torch.Generator().manual_seed(seed)
    made = []
    for _ in range(count):
        pred, real = torch.rand(2, channels, 24, 32, generator=generator) * 2 - 1
        sample = DataSample(output=DataSample(pred_img=pred))
        sample.set_tensor_data(dict(gt_img=real))
        made.append(sample)
    return made


def evaluate(made, **options):
    metric = METRICS.build(dict(type='mango_mm.FeatureDistances', **options))
    evaluator = Evaluator([metric])
    for sample in made:
        evaluator.process([sample], None)
    return evaluator.evaluate(len(made)), metric


@pytest.mark.parametrize('channels', [1, 3])
def test_it_is_the_distance_of_the_features_of_8_bit_images(channels):
    made = samples(6, channels, 0)
    got, metric = evaluate(made)
    assert set(got) == {'frechet_random_features', 'kernel_random_features'}
    fake, real = (
        torch.stack([x.output.pred_img if kind == 'fake' else x.gt_img for x in made])
        for kind in ('fake', 'real')
    )
    levels = [np.round((x.numpy() + 1) / 2 * 255).astype(np.uint8) for x in (fake, real)]
    tiled = [torch.from_numpy(x).float().expand(-1, 3, -1, -1) / 127.5 - 1 for x in levels]
    features = [metric.extractor(x).numpy() for x in tiled]
    assert got['frechet_random_features'] == pytest.approx(frechet_distance(*features), rel=1e-4)
    kernel, _ = kernel_distance(*features)
    assert got['kernel_random_features'] == pytest.approx(kernel, rel=1e-3)


def test_random_features_are_the_same_every_time_and_tell_blurred_images_apart():
    first, second = RandomFeatures(), RandomFeatures()
    images = torch.rand(40, 3, 32, 32) * 2 - 1
    assert first(images).shape == (40, 224)
    torch.testing.assert_close(first(images), second(images), rtol=0, atol=0)
    blurred = torch.nn.functional.avg_pool2d(images, 3, 1, 1)
    halves = frechet_distance(first(images[:20]).numpy(), first(images[20:]).numpy())
    apart = frechet_distance(first(images[:20]).numpy(), first(blurred[20:]).numpy())
    assert apart > 2 * halves


def test_inception_gives_the_features_of_mmagics(weights):
    ours = InceptionFeatures(str(weights)).train()
    theirs = InceptionV3([3], load_fid_inception=False).eval()
    state = torch.load(weights, weights_only=True)
    blocks = (
        ['Conv2d_1a_3x3', 'Conv2d_2a_3x3', 'Conv2d_2b_3x3'],
        ['Conv2d_3b_1x1', 'Conv2d_4a_3x3'],
        ['Mixed_5b', 'Mixed_5c', 'Mixed_5d', 'Mixed_6a', 'Mixed_6b', 'Mixed_6c', 'Mixed_6d',
         'Mixed_6e'],
        ['Mixed_7a', 'Mixed_7b', 'Mixed_7c'],
    )  # fmt: skip
    for block, names in zip(theirs.blocks, blocks):
        for layer, name in zip(block, names):
            layer.load_state_dict(
                {k[len(name) + 1 :]: v for k, v in state.items() if k.startswith(f'{name}.')}
            )
    images = torch.rand(2, 3, 40, 56)
    got, wanted = ours(images * 2 - 1), theirs(images)[0].flatten(1)
    assert got.shape == (2, 2048)
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_only_the_published_file_makes_it_fid(weights, monkeypatch):
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:8]
    unknown = InceptionFeatures(str(weights))
    assert unknown.metric_names == (f'frechet_inception_{digest}', f'kernel_inception_{digest}')
    assert 'not FID' in unknown.weights
    monkeypatch.setattr(inception_features, 'SHA256', digest)
    got, _ = evaluate(
        samples(3, 3, 1), extractor=dict(type='InceptionFeatures', weights=str(weights))
    )
    assert set(got) == {'FID', 'KID'}


def test_missing_and_foreign_weights_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='pt_inception-2015-12-05'):
        InceptionFeatures(str(tmp_path / 'none.pth'))
    torch.save({'weight': torch.zeros(2)}, tmp_path / 'other.pth')
    with pytest.raises(ValueError, match=r'other\.pth does not hold'):
        InceptionFeatures(str(tmp_path / 'other.pth'))
