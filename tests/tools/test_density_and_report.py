"""A density fitted to a trained model, and the page about a run."""

import html
import json
import re

import pytest
import torch
from rooms import MANGO, ROOT, SHORT, iterations, make_rooms, run

from mango_mm.analysis.fit_density import load_density
from mango_mm.visualization.report import Section, markdown_tables, render_page, report_of

pytestmark = pytest.mark.slow

FIT = ROOT / 'tools/analyse/fit_density.py'
ROBUSTNESS = ROOT / 'tools/analyse/robustness.py'
REPORT = ROOT / 'tools/analyse/report.py'
RGB = ROOT / 'configs/unimodal/rgb_small_1xb8-600it_mini-rooms-72x96.py'


@pytest.fixture(scope='module')
def work(tmp_path_factory):
    """A short training with everything that it leaves behind."""
    folder = tmp_path_factory.mktemp('report')
    make_rooms(folder / 'rooms')
    options = [*SHORT, *iterations(4, 2)]
    done = run(folder / 'rooms', ROOT / 'tools/train.py', MANGO, '--work-dir', folder / 'run',
               '--cfg-options', *options)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def test_a_density_is_fitted_saved_and_detects(work):
    path = work / 'density.pth'
    done = run(work / 'rooms', FIT, MANGO, work / 'run', '--out', path, '--iterations', '6',
               '--depth', '1', '--cfg-options', *SHORT)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert '6/6' in done.stderr
    density = load_density(path)
    assert density.fusion.modalities == ('rgb', 'depth')
    assert density.mean.abs().sum() > 0
    assert density.center_0.abs().sum() > 0
    done = run(work / 'rooms', ROBUSTNESS, MANGO, work / 'run', '--density', path, '--out',
               work / 'robust', '--kinds', 'depth_dropout', '--severities', '5',
               '--cfg-options', *SHORT)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    (line,) = json.loads((work / 'robust/robustness.json').read_text())['MANGO']['degraded']
    assert {'density', 'information', 'likelihood', 'mahalanobis'} <= set(line['auroc'])


def test_what_is_no_density_is_named(work, tmp_path):
    with pytest.raises(FileNotFoundError, match='there is no density'):
        load_density(tmp_path / 'none.pth')
    (checkpoint,) = (work / 'run').glob('iter_4.pth')
    with pytest.raises(ValueError, match='is no density of fit_density.py'):
        load_density(checkpoint)
    torch.save({'format': 'mango_mm.TokenDensity', 'options': {'size': 3}}, tmp_path / 'old.pth')
    with pytest.raises(ValueError, match='of another version'):
        load_density(tmp_path / 'old.pth')
    done = run(work / 'rooms', FIT, RGB, work / 'run', '--out', tmp_path / 'x.pth')
    assert done.returncode == 2
    assert "is not of this config's model" in done.stderr
    assert 'Traceback' not in done.stderr


def test_a_report_holds_the_run_and_asks_for_nothing(work):
    done = run(work / 'rooms', REPORT, work / 'run', '--analyse', '--severities', '5',
               '--cfg-options', *SHORT)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    page = (work / 'run/report.html').read_text()
    for title in ('Metrics', 'Curves', 'Panels', 'Likelihood', 'Robustness', 'Attribution',
                  'Config'):  # fmt: skip
        assert f'<h2>{title}</h2>' in page
    assert page.count('<img ') >= 8
    assert 'mIoU' in page
    assert 'rgb_blackout' in page
    assert 'name="viewport"' in page
    # Nothing from outside: no address but data, no script, and a policy that says so.
    outside = re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', page)
    assert outside == []
    assert '<script' not in page
    assert "default-src 'none'" in page


def test_what_it_shows_is_escaped():
    evil = '<img src=x onerror=alert(1)>'
    page = render_page(evil, [Section(evil, evil, [[[evil]], [[evil], [evil]]], code=evil)])
    assert evil not in page
    assert page.count(html.escape(evil)) == 9


def test_tables_of_markdown_are_read():
    text = '## a\n\n| x | y |\n| --- | --- |\n| 1 |  |\n\ntext\n\n| z |\n|---|\n| 2 |\n'
    assert markdown_tables(text) == [[['x', 'y'], ['1', '']], [['z'], ['2']]]


def test_folders_without_a_run_are_refused(tmp_path):
    for path, message in ((tmp_path / 'none', 'there is no work dir'), (tmp_path, 'holds no ')):
        with pytest.raises(FileNotFoundError, match=message):
            report_of(path)
        done = run(tmp_path, REPORT, path)
        assert done.returncode == 2
        assert message in done.stderr
        assert 'Traceback' not in done.stderr
