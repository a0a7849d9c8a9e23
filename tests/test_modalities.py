"""Modalities keep their order where a run saves its config."""

import pytest
from mmengine.config import Config, ConfigDict
from rooms import MANGO

from mango_mm.apis import load_config
from mango_mm.inferencers import MangoInferencer
from mango_mm.modalities import channels_by_name, specs_by_name

LIST = [dict(name='rgb', channels=3, mean=[0.0] * 3), dict(name='depth', channels=1)]


def test_lists_and_sorted_dicts_are_read():
    assert list(specs_by_name(LIST)) == ['rgb', 'depth']
    assert specs_by_name(LIST)['rgb'] == dict(channels=3, mean=[0.0] * 3)
    assert channels_by_name(LIST) == {'rgb': 3, 'depth': 1}
    assert list(specs_by_name(['rgb', 'depth'])) == ['rgb', 'depth']
    assert channels_by_name({'depth': 1, 'rgb': dict(channels=3)}) == {'depth': 1, 'rgb': 3}


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (ConfigDict(rgb=3, depth=1), r"alphabetical order; got \['rgb', 'depth'\]"),
        ([dict(channels=3)], 'must be named, each once'),
        (['rgb', 'rgb'], 'must be named, each once'),
        ([dict(name='rgb')], "'rgb' must have channels, a positive number"),
        ([dict(name='rgb', channels=0)], "'rgb' must have channels, a positive number"),
        (['rgb'], "'rgb' must have channels"),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        channels_by_name(wrong)


def test_mmengine_sorts_what_it_saves(tmp_path):
    """The trap: if this fails, dicts could be allowed again."""
    Config(dict(modalities=dict(rgb=3, depth=1))).dump(tmp_path / 'saved.py')
    assert list(Config.fromfile(tmp_path / 'saved.py').modalities) == ['depth', 'rgb']


def test_a_saved_config_reads_the_modalities_in_their_order(tmp_path):
    load_config(MANGO).dump(tmp_path / 'saved.py')
    infer = MangoInferencer(tmp_path / 'saved.py')
    model = infer.model
    assert list(model.data_preprocessor.channels) == ['rgb', 'depth']
    assert list(model.backbone.channels) == ['rgb', 'depth']
    assert model.neck.modalities == ('rgb', 'depth')
    assert model.neck.fusions[1].modalities == ('rgb', 'depth')
