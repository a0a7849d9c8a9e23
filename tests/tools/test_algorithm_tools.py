"""Strategies through mmengine's Runner: teachers first, then students; and two processes."""

import sys

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from rooms import ROOT, SHORT, iterations, make_rooms
from rooms import run as run_on

from mango_mm.apis import load_config, train
from mango_mm.apis import test as evaluate
from mango_mm.datasets.mini.write_movies import write_movies
from mango_mm.inferencers import MangoInferencer

pytestmark = pytest.mark.slow

ROOMS = 'small_1xb8-600it_mini-rooms-72x96'
MOVIES = 'small_1xb32-1000it_movies-96x64'
NAMES = {ROOMS: ('rgb', 'depth'), MOVIES: ('image', 'text')}


@pytest.fixture(scope='module')
def workplace(tmp_path_factory):
    """Data of both tasks, in a folder in which the trainings work."""
    folder = tmp_path_factory.mktemp('algorithms')
    make_rooms(folder / 'rooms')
    write_movies(folder / 'data/movies', train=24, dev=7, test=7)
    patch = pytest.MonkeyPatch()
    patch.setenv('MANGO_MINI_ROOMS', str(folder / 'rooms'))
    patch.setenv('MANGO_DATA_ROOT', str(folder / 'data'))
    patch.chdir(folder)
    yield folder
    patch.undo()


def options(validates=True):
    """A few iterations; a pretraining has no validation to configure."""
    given = [o for o in SHORT if validates or not o.startswith(('val_', 'test_'))]
    pairs = dict(o.split('=') for o in [*given, *iterations(2, 2)])
    if not validates:
        pairs.pop('train_cfg.val_interval')
    known = {'True': True, 'False': False}
    return {k: known.get(v, int(v) if v.isdigit() else v) for k, v in pairs.items()}


def learn(folder, name, stem, validates=True, **more):
    train(ROOT / 'configs' / folder / f'{name}_{stem}.py', options={**options(validates), **more})
    return f'work_dirs/{name}_{stem}/iter_2.pth'


@pytest.fixture(scope='module', params=[ROOMS, MOVIES], ids=['segmentation', 'classification'])
def taught(request, workplace):
    """The task, with its uni-modal teachers trained where the configs look for them."""
    for name in NAMES[request.param]:
        learn('unimodal', name, request.param)
    return request.param


@pytest.mark.parametrize('folder', ['umt', 'mind', 'mla'])
def test_a_student_trains_and_its_checkpoint_is_all_a_test_needs(folder, taught, tmp_path):
    config = ROOT / 'configs' / folder / f'{folder}_{taught}.py'
    state = torch.load(learn(folder, folder, taught), weights_only=True)['state_dict']
    if folder != 'mla':
        first = NAMES[taught][0]
        teacher = torch.load(f'work_dirs/{first}_{taught}/iter_2.pth', weights_only=True)
        wanted = teacher['state_dict']
        prefix = f'teachers.{first}.' + ('0.' if folder == 'mind' else '') + 'model.'
        for key, value in wanted.items():
            torch.testing.assert_close(state[prefix + key], value, rtol=0, atol=0)
    path = f'work_dirs/{folder}_{taught}/iter_2.pth'
    gone = {} if folder == 'mla' else _nowhere(config)  # the teachers' files
    found = evaluate(config, path, work_dir=tmp_path, options={**options(), **gone})
    assert 0 <= found['mIoU' if taught == ROOMS else 'macro_f1'] <= 100
    infer = MangoInferencer(config, path)
    if taught == ROOMS:
        frame = {'rgb': np.zeros((72, 96, 3), np.uint8), 'depth': np.ones((72, 96), np.float32)}
        assert infer(frame)['label'].shape == (72, 96)
    else:
        result = infer({'image': np.zeros((96, 64, 3), np.uint8), 'text': 'love and war'})
        assert 'Drama' in result['scores']


def _nowhere(config):
    """Overrides that point every teacher's checkpoint at nothing."""
    overrides = {}
    for m, given in load_config(config).model.teachers.items():
        for i, _ in enumerate(given if isinstance(given, list) else ['']):
            place = f'{m}.{i}' if isinstance(given, list) else m
            overrides[f'model.teachers.{place}.checkpoint'] = 'none.pth'
    return overrides


def test_pretraining_reaches_the_model_that_is_finetuned(taught):
    pretrained = learn('umurl', 'umurl', taught, validates=False)
    part = 'backbone' if taught == ROOMS else 'encoders.{}'
    init = {f'model.{part.format(m)}.init_cfg.checkpoint': pretrained for m in NAMES[taught]}
    # A rate of zero leaves the weights as they were loaded.
    tuned = learn('umurl', 'concat-umurl', taught, **init, **{'optim_wrapper.optimizer.lr': 0.0,
                  'optim_wrapper.optimizer.weight_decay': 0.0})  # fmt: skip
    before, after = (
        torch.load(path, weights_only=True)['state_dict'] for path in (pretrained, tuned)
    )
    prefix = 'student.' + ('backbone.' if taught == ROOMS else 'encoders.')
    loaded = [key for key in before if key.startswith(prefix)]
    assert len(loaded) > 10
    for key in loaded:
        torch.testing.assert_close(after[key[len('student.') :]], before[key], rtol=0, atol=0)


WORKER = """
import sys, torch, torch.distributed as dist
sys.path[:0] = {tests!r}
import test_algorithms as t
from mango_mm.apis.run import leave_process_group
from mango_mm.models.algorithms import AlternatingDataParallel
from mmengine.optim import OptimWrapper

dist.init_process_group('gloo')
rank = dist.get_rank()
torch.manual_seed(0)
model = t.make('MLA', 'segmentation', 'shared').train()
inputs, samples = t.batch('segmentation')
half = slice(2 * rank, 2 * rank + 2)
wrapped = AlternatingDataParallel(model, device_ids=None, broadcast_buffers=False)
optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
for _ in range(2):
    model.alternate(dict(inputs=inputs[half], data_samples=samples[half]), optimizer, wrapped)
if rank == 0:
    torch.save(model.state_dict(), {out!r})
del wrapped, optimizer, model
leave_process_group()
"""


def test_two_processes_alternate_as_one_with_the_whole_batch(workplace, tmp_path):
    tests = [str(ROOT / 'tests/models'), str(ROOT / 'tests')]
    worker = tmp_path / 'worker.py'
    worker.write_text(WORKER.format(tests=tests, out=str(tmp_path / 'two.pth')))
    done = run_on('unused', '-m', 'torch.distributed.run', '--nproc_per_node=2', '--standalone',
                  worker)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    sys.path.insert(0, tests[0])
    import test_algorithms as algorithms

    sys.path.remove(tests[0])
    MessageHub.get_instance('at the start of a run')
    torch.manual_seed(0)
    model = algorithms.make('MLA', 'segmentation', 'shared').train()
    inputs, samples = algorithms.batch('segmentation')
    optimizer = algorithms.OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    for _ in range(2):
        model.alternate(dict(inputs=inputs, data_samples=samples), optimizer, model)
    for name, value in torch.load(tmp_path / 'two.pth', weights_only=True).items():
        torch.testing.assert_close(value, model.state_dict()[name], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize('name', ['mla/mla', 'tokenfusion/tokenfusion-blocks'])
def test_two_processes_train_through_the_tool(name, workplace, tmp_path):
    config = ROOT / f'configs/{name}_{ROOMS}.py'
    done = run_on(
        workplace / 'rooms', '-m', 'torch.distributed.run', '--nproc_per_node=2', '--standalone',
        ROOT / 'tools/train.py', config, '--work-dir', tmp_path, '--launcher', 'pytorch',
        '--cfg-options', *SHORT, *iterations(2, 2),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / 'iter_2.pth').is_file()
