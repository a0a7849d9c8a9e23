"""Weights of another model are not taken for a model's own, at any door."""

import shutil

import pytest
import torch
from mmengine.runner import Runner
from rooms import MANGO, ROOT, SHORT, iterations, make_rooms

from mango_mm.apis import load_config, train
from mango_mm.apis import test as evaluate
from mango_mm.apis.open_model import open_model
from mango_mm.checkpoints import find_checkpoint

CONCAT = ROOT / 'configs/concat/concat_small_1xb8-600it_mini-rooms-72x96.py'


def options(**more):
    pairs = dict(o.split('=') for o in [*SHORT, *iterations(2, 2)])
    known = {'False': False}
    return {k: known.get(v, int(v) if v.isdigit() else v) for k, v in pairs.items()} | more


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A short training of MANGO: its work dir, with rooms beside it."""
    folder = tmp_path_factory.mktemp('whose')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('MANGO_MINI_ROOMS', str(make_rooms(folder / 'rooms')))
        config = load_config(MANGO, work_dir=folder / 'mango', options=options())
        config.experiment_name = f'whose-{folder.name}'
        Runner.from_cfg(config).train()
    return folder


@pytest.fixture(autouse=True)
def _rooms(trained, monkeypatch):
    monkeypatch.setenv('MANGO_MINI_ROOMS', str(trained / 'rooms'))


def named(config):
    return dict(experiment_name=f'whose-{config.stem}-{torch.randint(10**9, ()).item()}')


def test_a_test_of_another_models_checkpoint_is_no_score(trained, tmp_path):
    given = options(**named(CONCAT))
    with pytest.raises(
        ValueError, match=r'mango/iter_2.pth is not of this .* model: .*neck.fusions'
    ):
        evaluate(CONCAT, trained / 'mango', work_dir=tmp_path / 'test', options=given)
    scores = evaluate(MANGO, trained / 'mango', work_dir=tmp_path / 'own', options=options(
        **named(MANGO)))  # fmt: skip
    assert 0 <= scores['mIoU'] <= 100


@pytest.mark.parametrize('tta', [False, True])
def test_half_a_checkpoint_is_refused_with_its_missing_keys(trained, tmp_path, tta):
    saved = torch.load(trained / 'mango' / 'iter_2.pth', weights_only=True)
    state = saved['state_dict']
    half = {k: v for k, v in state.items() if not k.startswith('decode_head')}
    torch.save({**saved, 'state_dict': half}, tmp_path / 'half.pth')
    with pytest.raises(ValueError, match=r'half.pth is not of this .*decode_head'):
        evaluate(MANGO, tmp_path / 'half.pth', work_dir=tmp_path / 'test', tta=tta,
                 options=options(**named(MANGO)))  # fmt: skip
    with pytest.raises(ValueError, match=r'half.pth is not of this .*decode_head'):
        open_model(MANGO, tmp_path / 'half.pth')


def test_resuming_from_another_models_checkpoint_names_file_and_keys(trained, tmp_path):
    path = str(trained / 'mango' / 'iter_2.pth')
    with pytest.raises(ValueError, match=r'iter_2.pth is not of this .* model: .*neck.fusions'):
        train(CONCAT, work_dir=tmp_path / 'work', resume=path, options=options(**named(CONCAT)))


def test_a_copied_work_dir_is_read_where_it_is(trained, tmp_path):
    copy = tmp_path / 'copy'
    shutil.copytree(trained / 'mango', copy)
    assert (trained / 'mango' / 'iter_2.pth').is_file()  # the original is there still
    for path in (copy, copy / 'latest'):
        assert find_checkpoint(path) == str(copy / 'iter_2.pth')
    (copy / 'iter_2.pth').unlink()
    assert find_checkpoint(copy) == str(trained / 'mango' / 'iter_2.pth')  # where it points
