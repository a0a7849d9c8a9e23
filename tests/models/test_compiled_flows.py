"""compile=True: the same numbers, the same checkpoints, on one process and on two."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope
from rooms import MANGO, ROOT, SHORT, environment, iterations, make_rooms, run

from mango_mm.checkpoints import find_checkpoint
from mango_mm.registry import MODELS

EAGER = dict(backend='aot_eager')  # the same graphs without generated code
NECK = dict(
    type='mango_mm.FusionNeck', modalities=['rgb', 'depth'], in_channels=[8, 12],
    fusion=[dict(type='MangoFusion', window=(3, 4), depth=1), dict(type='ConcatFusion')],
)  # fmt: skip
WORKER = """
import sys, torch
from mmengine.model import MMDistributedDataParallel
rank, store, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
torch.set_num_threads(1)
torch.distributed.init_process_group('gloo', init_method=f'file://{store}', rank=rank, world_size=2)
import test_compiled_flows as t
model = MMDistributedDataParallel(t.neck(compile=t.EAGER))
maps = t.maps()
half = {m: [x[2 * rank:2 * rank + 2] for x in p] for m, p in maps.items()}
t.loss_of(model, half).backward()
torch.save({n: p.grad for n, p in model.module.named_parameters()}, f'{out}/{rank}.pth')
"""


def neck(**changes):
    init_default_scope('mango_mm')
    torch.manual_seed(0)
    built = MODELS.build({**NECK, **changes})
    built.init_weights()
    with torch.no_grad():
        for p in built.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return built


def maps():
    generator = torch.Generator().manual_seed(1)
    return {
        m: [torch.randn(4, c, 6, 8, generator=generator) for c in (8, 12)] for m in ('rgb', 'depth')
    }


def loss_of(model, given):
    return sum(x.square().mean() for x in model(given))


def test_compiled_flows_give_the_same_numbers_and_checkpoints_fit_both_ways():
    torch._dynamo.reset()
    plain, compiled = neck(), neck(compile=EAGER)
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    compiled.load_state_dict(plain.state_dict())
    wanted, got = plain.fuse(maps()), compiled.fuse(maps())
    for a, b in zip(got.maps, wanted.maps):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(got.nll_per_dim, wanted.nll_per_dim)
    assert torch._dynamo.utils.counters['stats']['unique_graphs'] > 0  # something was compiled
    for (name, p), q in zip(plain.named_parameters(), compiled.parameters()):
        a, b = (
            torch.autograd.grad(r.nll_per_dim.sum() + r.maps[0].sum(), x, retain_graph=True,
                                allow_unused=True)[0]
            for r, x in ((wanted, p), (got, q))
        )  # fmt: skip
        assert (a is None) == (b is None), name
        if a is not None:
            torch.testing.assert_close(b, a, msg=name)


@pytest.mark.slow
def test_two_processes_with_compiled_flows_give_the_gradients_of_one(tmp_path):
    torch._dynamo.reset()
    env = environment('unused')
    env['PYTHONPATH'] += f':{ROOT / "tests"}:{Path(__file__).parent}'
    processes = [
        subprocess.Popen(
            [sys.executable, '-W', 'ignore', '-c', WORKER, str(rank), str(tmp_path / 'store'),
             str(tmp_path)],
            env=env, stderr=subprocess.PIPE, text=True,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    for process in processes:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors[-2000:]
    model = neck()
    loss_of(model, maps()).backward()
    for rank in (0, 1):
        got = torch.load(tmp_path / f'{rank}.pth', weights_only=True)
        for name, p in model.named_parameters():
            torch.testing.assert_close(got[name], p.grad, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize('kind', ['aot', 3])
def test_anything_but_a_switch_or_options_is_refused(kind):
    with pytest.raises(TypeError, match=f'compile must be True, False or a dict .* got {kind!r}'):
        neck(compile=kind)


@pytest.mark.slow
def test_a_compiled_run_that_was_stopped_resumes_to_the_same_weights(tmp_path):
    rooms = make_rooms(tmp_path / 'rooms')
    config = tmp_path / 'compiled.py'
    config.write_text(
        f"_base_ = '{MANGO}'\nmodel = dict(neck=dict(compile=dict(backend='aot_eager')))\n"
    )

    def trained(name, count, *more):
        done = run(
            rooms, 'tools/train.py', config, '--work-dir', tmp_path / name, *more, '--cfg-options',
            *SHORT, *iterations(count, 2), cwd=ROOT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        path = find_checkpoint(tmp_path / name)
        return torch.load(path, weights_only=True)['state_dict']

    whole = trained('whole', 4)
    trained('stopped', 2)
    resumed = trained('stopped', 4, '--resume')
    assert resumed.keys() == whole.keys()
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value, rtol=0, atol=0, msg=name)
