"""A sample's random numbers come from the run's seed and its place, not from who loads it."""

import itertools
import pickle
import random

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from rooms import ROOT, SHORT, iterations, make_rooms

from mango_mm.apis import load_config
from mango_mm.datasets import SeededDraws, SeededSampler
from mango_mm.datasets.draws import Draw, own_random_numbers

DROPOUT = ROOT / 'configs/mango/mango-l2-dropout_small_1xb8-600it_mini-rooms-72x96.py'


class Base:
    test_mode = False

    def __getitem__(self, idx):
        return idx, random.random(), np.random.rand(), float(torch.rand(()))


class Numbers(SeededDraws, Base):
    """A data set whose samples are nothing but random numbers."""


def test_a_draw_survives_the_way_to_a_worker():
    again = pickle.loads(pickle.dumps(Draw.of(7, 3, 11)))
    assert (again, again.seed, type(again)) == (7, (3, 11), Draw)


def test_samples_draw_by_their_seed_and_leave_all_generators_alone():
    get = Numbers().__getitem__
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    first, second = get(Draw.of(2, 5, 0)), get(Draw.of(2, 5, 1))
    assert first == get(Draw.of(2, 5, 0))
    assert not set(first[1:]) & set(second[1:])
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    assert before[:2] == after[:2]
    assert torch.equal(before[2], after[2])
    assert get(2)[1:] != get(2)[1:]  # another sampler: as it was


def test_large_and_negative_seeds_are_taken():
    for seed in ((2**40,), (-1, 3), (2**31 + 5, 7)):
        with own_random_numbers(seed):
            torch.rand(1)


def test_places_are_those_of_all_processes_together(monkeypatch):
    def draws(world, count):
        found = []
        for rank in range(world):
            module = 'mmengine.dataset.sampler.get_dist_info'
            monkeypatch.setattr(module, lambda rank=rank: (rank, world))
            sampler = SeededSampler(range(10), seed=4)
            found.append([(int(i), i.seed) for i in itertools.islice(sampler, count)])
        return found

    (alone,) = draws(1, 24)
    two = draws(2, 12)
    assert [pair for pairs in zip(*two) for pair in pairs] == alone
    assert len({seed for _, seed in alone}) == 24


@pytest.mark.soak
@pytest.mark.slow
def test_the_number_of_data_workers_changes_no_weight(tmp_path, monkeypatch):
    monkeypatch.setenv('MANGO_MINI_ROOMS', str(make_rooms(tmp_path / 'rooms')))
    weights = []
    for workers in (0, 1, 2):
        options = dict(o.split('=') for o in [*SHORT, *iterations(6, 3)])
        options = {k: {'False': False}.get(v, v) for k, v in options.items()}
        options = {k: int(v) if str(v).isdigit() else v for k, v in options.items()}
        options |= {f'{p}_dataloader.num_workers': workers for p in ('train', 'val')}
        options['randomness'] = dict(seed=1)
        config = load_config(DROPOUT, work_dir=tmp_path / str(workers), options=options)
        config.experiment_name = f'workers-{workers}-{tmp_path.name}'
        Runner.from_cfg(config).train()
        saved = torch.load(tmp_path / str(workers) / 'iter_6.pth', weights_only=False)
        weights.append(saved['state_dict'])
    for other in weights[1:]:
        assert [k for k, v in weights[0].items() if not torch.equal(v, other[k])] == []
