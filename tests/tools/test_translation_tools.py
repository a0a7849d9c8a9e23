"""Translation by our tools and by mmagic's packaged ones, in one process and in two."""

import json
from pathlib import Path

import mmagic
import pytest
import torch
from PIL import Image
from rooms import ROOT, SHORT, iterations
from rooms import run as run_on

from mango_mm.analysis.translations import draw_translations
from mango_mm.datasets.mini.write_rooms import write_rooms

pytestmark = pytest.mark.slow

MMAGIC_TOOLS = Path(mmagic.__file__).parent / '.mim' / 'tools'
CONFIG = ROOT / 'configs/mango/mango-l1-rgb-edge2depth_small_1xb8-600it_mini-rooms-96x128.py'
OPTIONS = [*SHORT, 'val_dataloader.batch_size=2']


@pytest.fixture(scope='module')
def rooms(tmp_path_factory):
    folder = tmp_path_factory.mktemp('rooms')
    return write_rooms(folder, train=4, val=3, size=(96, 128), taskonomy=True)


def run(rooms, *command):
    done = run_on(rooms, *command)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


def errors_of(work_dir):
    files = sorted(work_dir.glob('*/vis_data/scalars.json'))
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [{k: x[k] for k in ('MAE', 'MSE', 'RMSE', 'nll_per_dim')} for x in lines if 'MAE' in x]


@pytest.fixture(scope='module')
def trained(rooms, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('ours')
    run(rooms, ROOT / 'tools/train.py', CONFIG, '--work-dir', work_dir,
        '--cfg-options', *OPTIONS, *iterations(4, 2))  # fmt: skip
    return work_dir


def test_our_tools_train_and_test(rooms, trained):
    assert len(errors_of(trained)) == 2
    printed = run(rooms, ROOT / 'tools/test.py', CONFIG, trained / 'latest', '--cfg-options',
                  *OPTIONS)  # fmt: skip
    assert f'MAE={errors_of(trained)[-1]["MAE"]:.4g}' in printed


def test_show_dir_gets_a_picture_of_every_sample(rooms, trained, tmp_path):
    printed = run(rooms, ROOT / 'tools/test.py', CONFIG, trained / 'latest', '--show-dir',
                  tmp_path / 'shown', '--cfg-options', *OPTIONS)  # fmt: skip
    assert 'panels in' in printed
    pictures = sorted((tmp_path / 'shown').rglob('*.png'))
    assert len(pictures) == 3
    with Image.open(pictures[0]) as picture:
        assert picture.size == (4 * 128, 96)  # two sources, target, output


def test_a_grid_without_the_data_shows_outputs_and_errors_alone(
    rooms, trained, tmp_path, monkeypatch
):
    monkeypatch.setenv('MANGO_MINI_TASKONOMY', str(rooms))
    quiet = {'val_dataloader.num_workers': 0, 'val_dataloader.persistent_workers': False}
    models = {'MANGO': (CONFIG, trained), 'again': (CONFIG, trained)}
    for show_data, columns in ((False, 4), (True, 5)):
        path = draw_translations(
            models, tmp_path / f'{show_data}.png', count=2, show_data=show_data, options=quiet
        )
        with Image.open(path) as picture:
            assert picture.size == (columns * 256 + (columns - 1) * 4, 2 * (192 + 16))
    concat = ROOT / 'configs/concat/concat-rgb-edge2depth_small_1xb8-600it_mini-rooms-96x128.py'
    with pytest.raises(ValueError, match=r"not of this config's model: .*generator\.neck"):
        draw_translations({'concat': (concat, trained)}, tmp_path / 'none.png', options=quiet)
    with pytest.raises(ValueError, match='no model was given'):
        draw_translations({}, tmp_path / 'none.png')


def test_mmagics_packaged_tools_run_the_same_config_to_the_same_numbers(rooms, trained, tmp_path):
    run(rooms, MMAGIC_TOOLS / 'train.py', CONFIG, '--work-dir', tmp_path,
        '--cfg-options', *OPTIONS, *iterations(4, 2))  # fmt: skip
    assert errors_of(tmp_path) == errors_of(trained)
    printed = run(rooms, MMAGIC_TOOLS / 'test.py', CONFIG, tmp_path / 'iter_4.pth', '--work-dir',
                  tmp_path / 'test', '--cfg-options', *OPTIONS)  # fmt: skip
    assert 'MAE: ' in printed


def test_a_resumed_run_ends_with_the_same_weights(rooms, trained, tmp_path):
    run(rooms, ROOT / 'tools/train.py', CONFIG, '--work-dir', tmp_path,
        '--cfg-options', *OPTIONS, *iterations(2, 2))  # fmt: skip
    run(rooms, ROOT / 'tools/train.py', CONFIG, '--work-dir', tmp_path, '--resume',
        '--cfg-options', *OPTIONS, *iterations(4, 2))  # fmt: skip
    whole, resumed = (
        torch.load(folder / 'iter_4.pth', weights_only=True)['state_dict']
        for folder in (trained, tmp_path)
    )
    for name, wanted in whole.items():
        torch.testing.assert_close(resumed[name], wanted, rtol=0, atol=0, msg=name)


def test_two_gloo_processes_train(rooms, tmp_path):
    run(rooms, '-m', 'torch.distributed.run', '--nproc_per_node=2', '--standalone',
        ROOT / 'tools/train.py', CONFIG, '--work-dir', tmp_path, '--launcher', 'pytorch',
        '--cfg-options', *OPTIONS, *iterations(2, 2))  # fmt: skip
    (errors,) = errors_of(tmp_path)
    assert 0 < errors['MAE'] < 2
    assert (tmp_path / 'iter_2.pth').is_file()


def test_two_gloo_processes_train_with_a_discriminator(rooms, tmp_path):
    config = tmp_path / 'gan.py'
    config.write_text(f"""
_base_ = '{CONFIG}'
model = dict(
    discriminator=dict(
        type='mmagic.PatchDiscriminator', in_channels=5, base_channels=8, num_conv=2,
        norm_cfg=dict(type='IN'),
    ),
    gan_loss=dict(type='mmagic.GANLoss', gan_type='vanilla', loss_weight=0.01),
)
adam = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=2e-4))
optim_wrapper = dict(
    _delete_=True, constructor='MultiOptimWrapperConstructor', generator=adam, discriminator=adam
)
model_wrapper_cfg = dict(type='MMSeparateDistributedDataParallel')
""")
    run(rooms, '-m', 'torch.distributed.run', '--nproc_per_node=2', '--standalone',
        ROOT / 'tools/train.py', config, '--work-dir', tmp_path / 'work', '--launcher', 'pytorch',
        '--cfg-options', *OPTIONS, *iterations(3, 3))  # fmt: skip
    lines = (tmp_path / 'work').glob('*/vis_data/scalars.json')
    scalars = [json.loads(line) for file in lines for line in file.read_text().splitlines()]
    assert all(key in scalars[0] for key in ('loss_disc_fake', 'disc_loss', 'loss_gan'))
    assert (tmp_path / 'work/iter_3.pth').is_file()


@pytest.mark.soak
def test_the_demo_trains_prints_a_table_and_draws(tmp_path):
    write_rooms(tmp_path / 'data', train=240, val=60, size=(16, 24), taskonomy=True)
    recipe = tmp_path / 'data/complete.txt'  # small images under the name of the demo's
    recipe.write_text(recipe.read_text().replace('(16, 24)', '(96, 128)'))
    printed = run(tmp_path, ROOT / 'tools/demo_translation.py', '--iters', '2', '--data',
                  tmp_path / 'data', '--out', tmp_path / 'out')  # fmt: skip
    header = '| fusion | seeds | MAE | MSE | RMSE | NLL / dim (nats) | s per run |'
    assert header in printed
    assert all(f'| {name} | 1 | 0.' in printed for name in ('RGB only', 'concat', 'MANGO'))
    with Image.open(tmp_path / 'out/translations.png') as picture:
        assert picture.size[0] > 6 * 120  # two sources, truth, three models
