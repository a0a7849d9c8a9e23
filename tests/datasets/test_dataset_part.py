"""A part of a data set is what the whole has there, draws included."""

import pytest
import torch
from mmengine.registry import init_default_scope
from rooms import ROOT, make_rooms

from mango_mm.apis import load_config
from mango_mm.datasets import DatasetPart
from mango_mm.datasets.draws import Draw
from mango_mm.registry import DATASETS

CONCAT = ROOT / 'configs/concat/concat_small_1xb8-600it_mini-rooms-72x96.py'


def test_a_part_is_what_the_whole_has_there(tmp_path, monkeypatch):
    monkeypatch.setenv('MANGO_MINI_ROOMS', str(make_rooms(tmp_path / 'rooms')))
    init_default_scope('mmseg')
    own = load_config(CONCAT).train_dataloader.dataset
    whole = DATASETS.build(own)
    kept, held = DatasetPart(own, (None, -3)), DatasetPart(whole, (-3, None))
    assert (len(kept), len(held), len(whole)) == (5, 3, 8)
    names = [d.get_data_info(i)['img_path'] for d in (kept, held) for i in range(len(d))]
    assert names == [whole.get_data_info(i)['img_path'] for i in range(8)]
    assert held.metainfo == whole.metainfo
    assert held.data_root == whole.data_root
    # The random numbers are those of the draw, not of the place in the part.
    one, same = held[Draw.of(1, 7, 3)], whole[Draw.of(6, 7, 3)]
    torch.testing.assert_close(one['inputs'], same['inputs'])
    assert not torch.equal(held[Draw.of(1, 7, 4)]['inputs'], one['inputs'])
    with pytest.raises(ValueError, match=r'part \(8, None\) of 8 samples has none'):
        DatasetPart(whole, (8, None))
    with pytest.raises(AttributeError):
        _ = held.nothing
