"""F1 and average precision against scikit-learn; thresholds; two processes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.evaluator import Evaluator
from rooms import environment
from sklearn.metrics import average_precision_score, f1_score

from mango_mm.evaluation.metrics.multi_label_scores import best_thresholds
from mango_mm.registry import METRICS
from mango_mm.structures import MultiLabelSample


def samples(scores, labels, thresholds=None):
    made = []
    for score, label in zip(scores, labels):
        sample = MultiLabelSample()
        sample.pred_score, sample.gt_label = torch.tensor(score), torch.tensor(label).float()
        given = np.full(len(score), 0.5) if thresholds is None else thresholds
        sample.thresholds = torch.tensor(given)
        made.append(sample)
    return made


def evaluate(made, batch=3, **options):
    metric = METRICS.build(dict(type='mango_mm.MultiLabelScores', **options))
    evaluator = Evaluator([metric])
    for start in range(0, len(made), batch):
        evaluator.process(made[start : start + batch], None)
    return evaluator.evaluate(len(made)), metric


def case(seed, n, c):
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, c)) < rng.random(c) * 0.6).astype(int)
    labels[rng.random(n) < 0.2] = 0  # movies without any genre
    scores = np.clip(0.3 * labels + rng.random((n, c)) * 0.7, 0, 1)
    scores[rng.random(n) < 0.2] = 0.1  # and predictions without any
    return scores, labels


@given(seed=st.integers(0, 999), n=st.integers(1, 30), c=st.integers(2, 6))
def test_every_average_is_scikit_learns(seed, n, c):
    scores, labels = case(seed, n, c)
    thresholds = np.linspace(0.2, 0.7, c)
    got, _ = evaluate(samples(scores, labels, thresholds))
    for average in ('micro', 'macro', 'weighted', 'samples'):
        for suffix, limit in (('', 0.5), ('_tuned', thresholds)):
            wanted = f1_score(labels, (scores >= limit).astype(int), average=average,
                              zero_division=0)  # fmt: skip
            assert got[f'{average}_f1{suffix}'] == pytest.approx(100 * wanted, abs=1e-9)
    there = [i for i in range(c) if labels[:, i].any()]
    wanted = np.mean([average_precision_score(labels[:, i], scores[:, i]) for i in there] or [0])
    assert got['mAP'] == pytest.approx(100 * wanted, abs=1e-9)


@given(seed=st.integers(0, 999), n=st.integers(2, 25))
def test_the_chosen_threshold_has_the_best_f1_of_all(seed, n):
    scores, labels = case(seed, n, 3)
    chosen = best_thresholds(scores, labels)
    for c in range(3):
        if not labels[:, c].any():
            assert chosen[c] == 0.5
            continue
        got = f1_score(labels[:, c], scores[:, c] >= chosen[c], zero_division=0)
        every = [f1_score(labels[:, c], scores[:, c] >= t, zero_division=0) for t in scores[:, c]]
        assert got == pytest.approx(max(every))


def test_validation_chooses_and_test_takes_what_came_with_the_predictions():
    scores, labels = case(5, 40, 4)
    tuned, metric = evaluate(samples(scores, labels), choose_thresholds=True)
    np.testing.assert_allclose(metric.thresholds, best_thresholds(scores, labels))
    again, other = evaluate(samples(scores, labels, metric.thresholds))
    assert other.thresholds is None
    assert again['macro_f1_tuned'] == pytest.approx(tuned['macro_f1_tuned'])
    assert tuned['macro_f1_tuned'] >= tuned['macro_f1']


WORKER = """
import json, os, sys
import torch
from mmengine.dataset import DefaultSampler
from mmengine.evaluator import Evaluator
from torch.utils.data import DataLoader, Dataset
sys.path.insert(0, sys.argv[1])
from test_multi_label_scores import case, samples
from mango_mm.registry import METRICS

class Movies(Dataset):
    made = samples(*case(3, 11, 4))
    def __len__(self): return 11
    def __getitem__(self, i): return self.made[i]

torch.distributed.init_process_group('gloo')
data = Movies()
metric = METRICS.build(dict(type='mango_mm.MultiLabelScores', choose_thresholds=True))
evaluator = Evaluator([metric])
loader = DataLoader(data, batch_size=2, sampler=DefaultSampler(data, shuffle=False),
                    collate_fn=list)
for batch in loader:
    evaluator.process(batch, None)
found = evaluator.evaluate(len(data))
if torch.distributed.get_rank() == 0:
    print('RESULT', json.dumps(found))
torch.distributed.barrier()
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_neither_drop_nor_duplicate_movies(tmp_path):
    # 11 movies, 2 processes, batches of 2: each pads its share.
    (tmp_path / 'worker.py').write_text(WORKER)
    here = Path(__file__).parent
    env = environment('unused')
    env['PYTHONPATH'] += f':{here.parent}'
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-m', 'torch.distributed.run', '--standalone',
         '--nproc_per_node=2', str(tmp_path / 'worker.py'), str(here)],
        capture_output=True, text=True, check=False, env=env,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    line = next(x for x in done.stdout.splitlines() if x.startswith('RESULT'))
    wanted, _ = evaluate(samples(*case(3, 11, 4)), choose_thresholds=True)
    assert json.loads(line[7:]) == pytest.approx(wanted)
