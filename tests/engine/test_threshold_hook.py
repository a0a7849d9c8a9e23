"""Every checkpoint has the thresholds of its own validation."""

from pathlib import Path

import pytest
import torch

from mango_mm.apis import train
from mango_mm.checkpoints import load_safely
from mango_mm.datasets.mini.write_movies import write_movies

CONFIG = (
    Path(__file__).resolve().parents[2]
    / 'configs/concat/concat_small_1xb32-600it_mini-movies-96x64.py'
)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('thresholds')
    data = write_movies(folder / 'movies', train=16, dev=12, test=4)
    seen = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('MANGO_MINI_MOVIES', str(data))
        options = {
            'train_cfg.max_iters': 6,
            'train_cfg.val_interval': 3,
            'default_hooks.checkpoint.interval': 3,
            'default_hooks.checkpoint.max_keep_ckpts': 2,
            'train_dataloader.batch_size': 8,
            'train_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': False,
            'val_dataloader.num_workers': 0,
            'val_dataloader.persistent_workers': False,
            'optim_wrapper.optimizer.lr': 1e-2,
        }
        runner = train(CONFIG, work_dir=folder / 'run', options=options)
        (metric,) = (m for m in runner.val_evaluator.metrics if hasattr(m, 'thresholds'))
        seen[6] = torch.as_tensor(metric.thresholds, dtype=torch.float32)
    return folder / 'run', seen


def thresholds(path):
    return load_safely(path)['state_dict']['heads.fused.thresholds']


def test_the_last_checkpoint_has_the_thresholds_of_its_validation(trained):
    work_dir, seen = trained
    torch.testing.assert_close(thresholds(work_dir / 'iter_6.pth'), seen[6], rtol=0, atol=0)


def test_so_has_the_one_before_and_they_differ(trained):
    work_dir, seen = trained
    earlier = thresholds(work_dir / 'iter_3.pth')
    assert not torch.equal(earlier, torch.full_like(earlier, 0.5))  # what a head starts with
    assert not torch.equal(earlier, seen[6])


def test_the_rest_of_the_checkpoint_is_untouched(trained):
    saved = load_safely(trained[0] / 'iter_6.pth')
    assert {'meta', 'state_dict', 'optimizer', 'message_hub', 'param_schedulers'} <= set(saved)
    assert saved['meta']['iter'] == 6
