"""``MANGO_RELIABILITY=full`` runs the long forms; a last line counts what was tried."""

import os

import pytest


class Tally:
    """Counts cases and injected faults over the whole session."""

    def __init__(self, full):
        self.full = full
        self.case_count = 0
        self.fault_count = 0
        self.notes = []
        self.last_line = ''

    def scale(self, *, short, full):
        return full if self.full else short

    def cases(self, count=1):
        self.case_count += count

    def faults(self, kind, count=1):
        self.fault_count += count

    def note(self, text):
        self.notes.append(text)


def pytest_configure(config):
    config._reliability = Tally(os.environ.get('MANGO_RELIABILITY') == 'full')
    if config.pluginmanager.hasplugin('dsession'):
        config.pluginmanager.register(_Workers(), 'reliability-workers')


class _Workers:
    """Adds what pytest-xdist's workers have counted."""

    def pytest_testnodedown(self, node, error):
        counted = getattr(node, 'workeroutput', {}).get('reliability')
        if counted:
            tally = node.config._reliability
            tally.case_count += counted['cases']
            tally.fault_count += counted['faults']
            tally.notes += counted['notes']


def pytest_sessionfinish(session):
    if hasattr(session.config, 'workeroutput'):
        tally = session.config._reliability
        session.config.workeroutput['reliability'] = dict(
            cases=tally.case_count, faults=tally.fault_count, notes=tally.notes
        )


@pytest.fixture
def reliability(request):
    return request.config._reliability


def pytest_terminal_summary(terminalreporter, exitstatus, config):
    tally = config._reliability
    if not (tally.case_count or tally.fault_count):
        return
    for text in tally.notes:
        terminalreporter.write_line(text)
    failures = len(terminalreporter.stats.get('failed', [])) + len(
        terminalreporter.stats.get('error', [])
    )
    tally.last_line = (
        f'reliability: {tally.case_count} cases, {tally.fault_count} faults injected, '
        f'{failures} failures'
    )
    terminalreporter.write_line(tally.last_line)


def pytest_unconfigure(config):
    tally = getattr(config, '_reliability', None)
    if tally and tally.full and tally.last_line:
        print(tally.last_line)  # after pytest's own
