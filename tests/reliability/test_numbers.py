"""Shipped mini configs give one result, whatever the arithmetic around them.

Bounds are stated here and in docs/reliability.md; each is two to four times what was measured.
"""

import os

import pytest
import torch
from torch._dynamo.utils import counters
from training_step import MINI, Step, distance, flatten

from mango_mm.datasets.mini.write_movies import write_movies
from mango_mm.datasets.mini.write_rooms import write_rooms

pytestmark = pytest.mark.slow

# dtype -> (losses, gradients): relative distance from float32
HALF = {torch.float16: (4e-3, 2e-2), torch.bfloat16: (1e-2, 5e-2)}
MLA = (5e-3, 0.2)  # a turn per modality, of which the second starts where the first ended
# Untrained, its fixed point is not reached in 50 steps, and where it stops hangs on the last bit:
# gradients must be finite, no more.
DEQ = (0.1, float('inf'))
UMURL = (2e-2, 0.3)  # covariances of four samples, whose eigenvalues it divides by
ALWAYS = (
    'mango-l2_small_1xb8-600it_mini-rooms-72x96',
    'mango-l1-rgb-edge2depth_small_1xb8-600it_mini-rooms-96x128',
    'mango-l2_small_1xb32-600it_mini-movies-96x64',
    'deq_small_1xb32-1000it_movies-96x64',
)
ONE_SAMPLE = 'UmURL needs two samples'


def test_all_mini_configs_were_found():
    assert len(MINI) == 50  # change together with configs/
    assert set(ALWAYS) <= {p.stem for p in MINI}


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data')
    return (
        write_rooms(folder / 'rooms', train=6, val=2, size=(72, 96)),
        write_rooms(folder / 'views', train=6, val=2, size=(96, 128), taskonomy=True),
        write_movies(folder / 'movies', train=8, dev=2, test=2),
    )


def total(losses):
    return losses['loss'] if 'loss' in losses else sum(losses.values())


def assert_near(got, wanted, bounds, what):
    """Losses and gradients; both must be finite and there at all."""
    (losses, gradients), (wanted_losses, wanted_gradients) = got, wanted
    assert set(losses) == set(wanted_losses)
    gap = abs(total(losses) - total(wanted_losses)) / abs(total(wanted_losses))
    assert gap <= bounds[0], (what, 'loss', gap)
    apart = distance(gradients, wanted_gradients)
    assert torch.isfinite(flatten(gradients)).all(), what
    assert apart <= bounds[1], (what, 'gradient', apart)
    return gap, apart


def test_half_precision_and_single_samples(data, tmp_path, reliability):
    worst = {dtype: [0.0, 0.0] for dtype in HALF}
    for path in MINI:
        if not reliability.full and path.stem not in ALWAYS:
            continue
        folder = tmp_path / path.stem
        folder.mkdir()
        step = Step(path, data, folder)
        wanted = step.take(step.model())
        assert total(wanted[0]) > 0
        for dtype, bounds in HALF.items():
            kind = path.stem.partition('_')[0]
            limits = {'mla': MLA, 'deq': DEQ, 'umurl': UMURL}.get(kind, bounds)
            got = step.take(step.model(), dtype=dtype)
            near = assert_near(got, wanted, limits, f'{path.stem} {dtype}')
            if limits is bounds:
                worst[dtype] = [max(a, b) for a, b in zip(worst[dtype], near)]
            reliability.cases()
        single = Step(path, data, folder, batch=1)
        if path.stem.startswith('umurl'):
            with pytest.raises(ValueError, match=ONE_SAMPLE):
                single.take(single.model())
        else:
            losses, gradients = single.take(single.model())
            assert all(torch.isfinite(torch.tensor(v)) for v in losses.values()), path.stem
            assert all(g.isfinite().all() for g in gradients.values()), path.stem
        reliability.cases()
    said = {str(k): [f'{x:.1e}' for x in v] for k, v in worst.items()}
    reliability.note(f'half precision, worst relative distance of losses and gradients: {said}')


def group_norms(config):
    """Statistics per sample, so that a batch is the mean of its parts."""
    if 'decode_head' in config.model:
        config.model.decode_head.norm_cfg = dict(type='GN', num_groups=4)


@pytest.mark.parametrize(
    'stem', ALWAYS[: 3 if os.environ.get('MANGO_RELIABILITY') == 'full' else 1]
)
def test_accumulation_checkpointing_and_compilation_change_nothing(
    data, tmp_path, stem, reliability
):
    path = next(p for p in MINI if p.stem == stem)
    step = Step(path, data, tmp_path)
    group_norms(step.config)
    wanted = step.take(step.model())
    halves = step.take(step.model(), [step.half(True), step.half(False)])
    gaps = {'accumulation': assert_near(halves, wanted, (1e-5, 1e-4), 'accumulation')}
    fusion = step.config.model.get('fusion') or step.config.model.neck.fusion
    fusion.with_cp = True
    recomputing = step.model()
    assert next(m for m in recomputing.modules() if hasattr(m, 'flow')).flow.with_cp
    gaps['with_cp'] = assert_near(step.take(recomputing), wanted, (1e-6, 1e-5), 'with_cp')
    fusion.with_cp = False
    compiled = step.model()
    owner = next(m for m in compiled.modules() if hasattr(m, 'flow'))
    torch._dynamo.reset()
    counters.clear()
    owner.flow.compile(backend='aot_eager', fullgraph=True)
    gaps['compile'] = assert_near(step.take(compiled), wanted, (1e-5, 1e-4), 'compile')
    assert counters['stats']['unique_graphs'] > 0
    reliability.cases(len(gaps))
    said = {k: f'{a:.0e} {b:.0e}' for k, (a, b) in gaps.items()}
    reliability.note(f'{stem}: losses and gradients apart by {said}')
