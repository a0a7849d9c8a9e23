"""Dropping modalities: how often, what is left of them, and what the models are told."""

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

from mango_mm.datasets.transforms.missing import DropModality
from mango_mm.models.segmentors import MultimodalSegDataPreProcessor
from mango_mm.registry import TRANSFORMS

CHANNELS = dict(rgb=3, depth=1)


def sample():
    return {'img': np.ones((4, 5, 4), np.float32), 'img_shape': (4, 5), 'ori_shape': (4, 5)}


def test_a_dropped_modality_is_missing_to_the_preprocessor_and_to_the_model():
    init_default_scope('mmseg')
    results = DropModality(dict(depth=1.0), CHANNELS)(sample())
    assert results['present'] == dict(rgb=True, depth=False)
    pack = TRANSFORMS.build(dict(type='PackSegInputs', meta_keys=('img_shape', 'present')))
    packed = pack(results)
    assert packed['data_samples'].present == dict(rgb=True, depth=False)
    processor = MultimodalSegDataPreProcessor(
        dict(rgb=dict(channels=3, mean=[0.0] * 3, std=[1.0] * 3),
             depth=dict(channels=1, mean=[5.0], std=[2.0], missing=0.0))
    )  # fmt: skip
    processor.honours_present = True  # a MultimodalEncoderDecoder says so
    data = dict(inputs=[packed['inputs']], data_samples=[packed['data_samples']])
    x = processor(data, False)['inputs']
    torch.testing.assert_close(x[:, :3], torch.ones(1, 3, 4, 5))
    assert not x[:, 3].any()


def test_it_drops_as_often_as_it_says_and_never_everything():
    np.random.seed(0)
    drop = DropModality(dict(rgb=0.3, depth=0.5), CHANNELS)
    seen = [tuple(drop(sample())['present'].values()) for _ in range(4000)]
    assert (False, False) not in seen
    # Where both would go (.15), one of them is spared, either as often.
    without = [sum(not row[i] for row in seen) / 4000 for i in (0, 1)]
    assert without == pytest.approx([0.3 - 0.075, 0.5 - 0.075], abs=0.025)


def test_what_always_goes_is_not_spared():
    drop = DropModality(dict(rgb=1.0, depth=0.9), CHANNELS)
    assert all(drop(sample())['present'] == dict(rgb=False, depth=True) for _ in range(50))


def test_what_was_missing_before_stays_missing_and_the_last_one_stays():
    drop = DropModality(dict(image=0.9, text=0.9))
    for _ in range(50):
        results = drop({'present': dict(image=False, text=True)})
        assert results['present'] == dict(image=False, text=True)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((dict(rgb=1.5),), r'must lie in 0\.\.1'),
        (({},), r'must lie in 0\.\.1'),
        ((dict(rgb=1.0, depth=1.0),), 'one modality must stay'),
        ((dict(sound=0.5), CHANNELS), r"got probabilities of \['sound'\]"),
    ],
)
def test_what_makes_no_sense_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        DropModality(*arguments)


def test_it_comes_after_stacking():
    with pytest.raises(ValueError, match=r'4 channels; got an image \(4, 5, 3\)'):
        DropModality(dict(rgb=0.5), CHANNELS)({'img': np.ones((4, 5, 3), np.float32)})
