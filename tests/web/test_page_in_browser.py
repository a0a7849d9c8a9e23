"""The page in a real Chromium: choose, break, read the trust; upload; nothing else is asked for."""

import io
import shutil
import threading

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('flask')
pytest.importorskip('mmseg')
playwright = pytest.importorskip('playwright.sync_api')
CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))),
                None)  # fmt: skip
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason='no Chromium on this machine'),
]

from mango_mm.web import create_app  # noqa: E402
from mango_mm.web.movies import MovieBench  # noqa: E402
from mango_mm.web.rooms import RoomBench  # noqa: E402


@pytest.fixture(scope='module')
def bench():
    return RoomBench()


@pytest.fixture(scope='module')
def address(bench):
    from waitress import create_server

    server = create_server(
        create_app({'rooms': bench, 'movies': MovieBench()}), host='127.0.0.1', port=0, threads=2
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f'http://127.0.0.1:{server.effective_port}'
    server.close()


@pytest.fixture(params=[400, 1400])
def page(request, address):
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
        page = browser.new_page(viewport={'width': request.param, 'height': 900})
        page.said, page.asked = [], []
        page.on('console', lambda m: page.said.append(m.text) if m.type == 'error' else None)
        page.on('pageerror', lambda e: page.said.append(str(e)))
        page.on('request', lambda r: page.asked.append(r.url))
        page.goto(address)
        settle(page)
        yield page
        browser.close()


def trust(page, modality):
    return float(page.locator(f'[data-modality={modality}]').get_attribute('data-trust'))


def settle(page):
    page.locator('#status', has_text='Done.').wait_for()  # the page's policy forbids eval


def test_a_broken_camera_is_seen_to_be_broken(page, address):
    assert trust(page, 'rgb') > 0.7
    assert 'No alarm' in page.locator('#trust').inner_text()
    with page.expect_response('**/predict'):
        page.select_option('#kind', 'rgb_blackout')
    settle(page)
    page.wait_for_selector('.alarm')
    assert trust(page, 'rgb') < 0.3 < trust(page, 'depth')
    assert page.locator('#concat img').count() == 1
    wide = page.evaluate('document.documentElement.scrollWidth <= window.innerWidth')
    assert wide, 'the page scrolls sideways'
    assert page.said == []
    assert all(url.startswith((address, 'data:')) for url in page.asked)


def png(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, format='PNG')
    return file.getvalue()


def test_an_upload_is_answered_and_a_bad_one_refused(page, bench):
    pair = bench.examples[1]
    depth = {'name': 'd.png', 'mimeType': 'image/png',
             'buffer': png((pair.depth * 1000).astype(np.uint16))}  # fmt: skip
    page.click('summary')
    name = '<img src=x onerror=alert(1)>.png'
    page.set_input_files('#rgb', {'name': name, 'mimeType': 'image/png', 'buffer': png(pair.rgb)})
    page.wait_for_selector('.error')
    assert 'both pictures' in page.locator('#status').inner_text()
    with page.expect_response('**/predict'):
        page.set_input_files('#depth', depth)
    settle(page)
    assert trust(page, 'depth') > 0.5
    with page.expect_response('**/predict'):
        page.set_input_files(
            '#rgb', {'name': 'a.png', 'mimeType': 'image/png', 'buffer': b'%!PS-Adobe-3.0 EPSF'}
        )
    page.wait_for_selector('.error')
    assert 'it is no picture' in page.locator('#status').inner_text()
    assert page.locator('#answer').is_hidden()
    # Chromium itself notes the refusal; nothing else may be said.
    assert all('400' in line for line in page.said)


def test_a_movie_is_read_and_a_strange_plot_noticed(page):
    with page.expect_response('**/predict'):
        page.click('[data-task=movies]')
    settle(page)
    assert page.locator('#examples img').count() == 6
    assert page.locator('#seen img').count() == 1
    assert page.locator('#mango [data-genre]').count() == 6
    assert 'No alarm' in page.locator('#trust').inner_text()
    page.click('[data-of=movies] summary')
    assert page.locator('[data-of=rooms]').is_hidden()
    plot = 'Stock prices fell on Tuesday as investors worried. <b onclick=alert(1)>inflation</b>'
    page.fill('#plot', plot)
    with page.expect_response('**/predict'):
        page.dispatch_event('#plot', 'change')
    settle(page)
    assert plot in page.locator('#seen').inner_text()  # as text
    assert page.locator('#seen b').count() == 0
    assert page.locator('#seen img').count() == 0  # a plot of one's own has no poster
    assert page.locator('#mango .words span').count() > 8
    assert trust(page, 'image') == 0
    wide = page.evaluate('document.documentElement.scrollWidth <= window.innerWidth')
    assert wide, 'the page scrolls sideways'
    assert page.said == []
