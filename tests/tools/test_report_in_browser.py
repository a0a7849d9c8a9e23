"""The report in a real browser: it draws, asks for nothing, and has nothing to complain of."""

import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from mango_mm.visualization.report import Section, render_page

CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))),
                None)  # fmt: skip
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason='no Chromium on this machine'),
]


def look_at(page, folder, width):
    """A screenshot, (H, W, 3), and what the browser's console says."""
    folder.mkdir(exist_ok=True)
    (folder / 'page.html').write_text(page)
    shot = folder / f'{width}.png'
    done = subprocess.run(
        [
            CHROMIUM, '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
            '--disable-background-networking', '--hide-scrollbars', '--enable-logging=stderr',
            f'--user-data-dir={folder / "profile"}', f'--window-size={width},1200',
            '--virtual-time-budget=2000', f'--screenshot={shot}',
            (folder / 'page.html').as_uri(),
        ],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert shot.is_file(), done.stderr[-1000:]
    console = [line for line in done.stderr.splitlines() if 'CONSOLE' in line]
    return np.asarray(Image.open(shot).convert('RGB')), console


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp('pictures') / 'red.png'
    Image.new('RGB', (900, 300), (255, 0, 0)).save(path)
    wide = [[f'column {i}' for i in range(30)], ['1.0'] * 30]
    sections = [Section('Table', 'Wide.', [wide]), Section('Picture', pictures={'red': path})]
    return render_page('run', [*sections, Section('Config', code='x = 1\n' * 50)])


@pytest.mark.parametrize('width', [500, 1200])
def test_it_draws_without_a_complaint_on_phones_and_desks(page, tmp_path, width):
    shot, console = look_at(page, tmp_path / 'a', width)
    assert console == []
    red = (shot == (255, 0, 0)).all(axis=2)
    columns = np.flatnonzero(red.any(axis=0))
    assert columns.size > 0.7 * min(width, 900)
    assert columns.max() < width - 1  # it fits: pictures shrink, wide tables scroll by themselves


def test_a_request_would_be_seen_and_is_refused(page, tmp_path):
    spoiled = page.replace('</body>', '<img src="https://example.org/x.png"></body>')
    _, console = look_at(spoiled, tmp_path / 'b', 500)
    assert any('Content Security Policy' in line for line in console)
