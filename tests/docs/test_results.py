"""Published numbers are those of the raw lines: tables, headers of configs, metafiles."""

import json
import re
import statistics
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from mango_mm.comparison.columns import METRICS

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / 'docs' / 'results'
CONFIGS = {p.name: p for p in ROOT.glob('configs/*/*.py') if p.parent.name != '_base_'}
FROZEN = 'RGB-D segmentation on frozen features'
TABLES = [  # section of docs/results.md, which of its tables, file of lines
    (FROZEN, 0, 'nyuv2-frozen'),
    (FROZEN, 1, 'nyuv2-frozen_second-encoders'),
    ('RGB-D segmentation, encoders trained too', 0, 'nyuv2-finetune'),
    ('Movie genres on frozen features', 0, 'movies-frozen'),
]


def lines_of(suite):
    return [json.loads(line) for line in (RESULTS / f'{suite}.jsonl').read_text().splitlines()]


def summary(values, digits):
    """What a table writes of a metric: mean, and the sample standard deviation of several."""
    spread = f' ± {statistics.stdev(values):.{digits}f}' if len(values) > 1 else ''
    return f'{statistics.mean(values):.{digits}f}{spread}'


def rows_of(heading, place):
    """Header and rows of a table of a section of docs/results.md."""
    section = (ROOT / 'docs' / 'results.md').read_text().split(f'\n## {heading}\n')[1]
    table = re.findall(r'(?:^\|.*\n)+', section.split('\n## ')[0], re.MULTILINE)[place]
    header, _, *rows = ([c.strip() for c in r.strip('| ').split(' | ')] for r in table.splitlines())
    return header, {row[0]: dict(zip(header, row)) for row in rows}


@pytest.mark.parametrize(('heading', 'place', 'suite'), TABLES)
def test_a_table_is_that_of_its_lines(heading, place, suite):
    found = defaultdict(list)
    for line in lines_of(suite):
        found[line['name']].append(line)
    header, rows = rows_of(heading, place)
    assert set(rows) == set(found)
    shown = {key: METRICS[key] for key in METRICS if METRICS[key][0] in header}
    assert len(shown) >= 4
    for name, row in rows.items():
        seeds = [line['seed'] for line in found[name]]
        assert len(set(seeds)) == len(seeds) == int(row['seeds']), name
        for key, (title, digits) in shown.items():
            values = [line[key] for line in found[name] if key in line]
            if values or row[title] != '-':
                assert row[title] == summary(values, digits), (name, title)


def groups():
    """Raw lines of every config: those of one row and its options together."""
    found = defaultdict(lambda: defaultdict(list))
    for path in sorted(RESULTS.glob('*.jsonl')):
        for text in path.read_text().splitlines():
            line = json.loads(text)
            if 'config' in line:
                key = (path.name, line['name'], *sorted(set(line.get('options', ()))))
                found[Path(line['config']).name][key].append(line)
    return found


def metrics(lines):
    """Every metric of some lines as published: at all digits in use."""
    keys = {k for line in lines for k, v in line.items() if isinstance(v, float) and k != 'seconds'}
    of = {k: [line[k] for line in lines if k in line] for k in keys}
    return {summary(values, digits) for values in of.values() for digits in range(1, 5)}


def said(path):
    match = re.search(r'^Ours: +(.+)$', path.read_text(), re.MULTILINE)
    return re.findall(r'-?\d+\.\d+(?: ± \d+\.\d+)?', match[1]) if match else []


def test_headers_of_configs_are_those_of_their_lines():
    raw, checked = groups(), []
    for name, path in sorted(CONFIGS.items()):
        values = said(path)
        if values and name in raw:
            assert any(set(values) <= metrics(lines) for lines in raw[name].values()), (
                f'{path}: {values} are not mean and deviation of one row of docs/results'
            )
            checked.append(name)
    assert len(checked) > 60


def test_metafiles_say_what_headers_say():
    checked = 0
    for path in sorted(ROOT.glob('configs/*/metafile.yml')):
        for model in yaml.safe_load(path.read_text())['Models']:
            means = [v.split(' ')[0] for v in said(ROOT / model['Config'])]
            for result in model.get('Results', ()) if means else ():
                for metric, value in result['Metrics'].items():
                    near = [m for m in means if abs(float(m) - value) < 1e-9]
                    assert near, f'{model["Name"]}: {metric} {value}; its header has {means}'
                    checked += 1
    assert checked > 150
