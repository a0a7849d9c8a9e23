"""Thousands of broken files and lists: a good sample or a clear error, never anything else."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).with_name('fuzz.py')
CATEGORIES = 17


@pytest.mark.slow
def test_every_loader_and_list_parser_survives(reliability):
    count = reliability.scale(short=60, full=900)
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', str(FUZZ), '0', str(count)],
        capture_output=True, text=True, timeout=reliability.scale(short=600, full=4000),
    )  # fmt: skip
    assert done.returncode == 0, f'the interpreter died: {done.stderr[-2000:]}'
    reports = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{')]
    assert len(reports) == CATEGORIES
    for report in reports:
        reliability.cases(report['cases'])
        assert not report['failures'], '\n'.join(report['failures'][:5])
        # A fuzzer that breaks everything, or nothing, tests nothing.
        assert report['accepted'] >= 0.04 * count, report
        assert report['refused'] >= 0.1 * count, report
    shares = {r['category']: f'{r["accepted"]}/{r["cases"]}' for r in reports}
    reliability.note(f'fuzzer, accepted of tried: {shares}')
