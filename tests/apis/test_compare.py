"""Comparisons: resumable, and a table whose numbers can be checked by hand."""

import pytest
from rooms import MANGO, SHORT, iterations, make_rooms

from mango_mm.apis.compare import Run, compare, render_table


def test_the_table_gives_mean_and_standard_deviation():
    lines = [
        {'name': 'a', 'seed': s, 'seconds': 10.0, 'mIoU': m, 'aAcc': 1.0, 'mAcc': 2.0}
        for s, m in enumerate((1.0, 2.0, 6.0))
    ]
    lines.append({'name': 'b', 'seed': 0, 'seconds': 5.4, 'MAE': 0.12345})
    header, _, *rows = render_table(lines, ['a', 'absent', 'b']).splitlines()
    assert header == '| fusion | seeds | pixel acc | mean acc | mIoU | MAE | s per run |'
    # mean 3, variance ((2^2) + 1 + 9) / 2 = 7
    assert rows == [
        '| a | 3 | 1.00 ± 0.00 | 2.00 ± 0.00 | 3.00 ± 2.65 | - | 10 |',
        '| b | 1 | - | - | - | 0.1235 | 5 |',
    ]


@pytest.mark.slow
def test_what_has_been_run_is_not_run_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('MANGO_MINI_ROOMS', str(make_rooms(tmp_path / 'rooms')))
    options = (*SHORT, *iterations(2, 2))
    first = compare([Run('mango', str(MANGO))], [0], tmp_path / 'out', options=options)
    assert [(line['name'], line['seed']) for line in first] == [('mango', 0)]
    assert 0 <= first[0]['mIoU'] <= 100
    assert first[0]['nll_per_dim'] > 0
    capsys.readouterr()
    assert compare([Run('mango', str(MANGO))], [0], tmp_path / 'out', options=options) == first
    assert capsys.readouterr().out == ''


def test_a_training_that_fails_names_its_log(tmp_path):
    with pytest.raises(RuntimeError, match=r'bad, seed 3: training failed; see .*stdout\.txt'):
        compare([Run('bad', 'no_such_config.py')], [3], tmp_path)
