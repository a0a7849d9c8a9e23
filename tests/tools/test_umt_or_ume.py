"""The choice between UMT and UME, from results on disk."""

import json

import pytest
from rooms import ROOT, run

pytestmark = pytest.mark.slow

TOOL = ROOT / 'tools/analyse/umt_or_ume.py'


def results(folder, probe, ensemble):
    path = folder / 'results.jsonl'
    lines = [{'name': "UMT's probe", 'seed': s, 'mIoU': v} for s, v in enumerate(probe)]
    lines += [{'name': 'UME', 'seed': s, 'mIoU': v} for s, v in enumerate(ensemble)]
    path.write_text('\n'.join(map(json.dumps, lines)))
    return path


@pytest.mark.parametrize(
    ('probe', 'ensemble', 'said'),
    [
        ((5.0, 6.0, 7.5), (4.0, 5.0, 6.0), 'difference +1.17, spread over seeds 0.29: UMT'),
        ((4.0, 5.0), (5.0, 7.0), 'difference -1.50, spread over seeds 0.71: UME'),
        ((4.0, 6.0), (5.0, 4.0), 'difference +0.50, spread over seeds 2.12: undecided'),
        ((9.0,), (1.0, 2.0), 'difference +8.00, spread over seeds inf: undecided'),
    ],
)
def test_it_decides_by_more_than_the_spread(tmp_path, probe, ensemble, said):
    done = run('unused', TOOL, results(tmp_path, probe, ensemble))
    assert done.stdout.splitlines()[-1] == said, done.stderr


def test_what_is_missing_is_named(tmp_path):
    done = run('unused', TOOL, tmp_path / 'none.jsonl')
    assert 'none.jsonl does not exist; compare.py writes it' in done.stderr
    done = run('unused', TOOL, results(tmp_path, (1.0,), (2.0,)), '--metric', 'macro_f1')
    assert 'has no macro_f1 of "UMT\'s probe"' in done.stderr
