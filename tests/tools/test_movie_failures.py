"""Failing posters and plots: rules over the same experts, from a trained model with a trust."""

import json

import numpy as np
import pytest
from rooms import ROOT, SHORT, iterations, run
from sklearn.metrics import f1_score

from mango_mm.analysis.movie_failures import MovieFailures
from mango_mm.analysis.sensor_failures import SensorFailures
from mango_mm.apis import test as evaluate
from mango_mm.apis import train
from mango_mm.datasets.mini.write_movies import write_movies
from mango_mm.evaluation.metrics.multi_label_scores import best_thresholds

pytestmark = pytest.mark.slow

PLAIN = ROOT / 'configs/mango/mango-l2_small_1xb32-600it_mini-movies-96x64.py'
TRUST = f"""
_base_ = '{PLAIN}'
model = dict(unimodal_heads=dict(combine='trust', trust=dict(rate=0.2)))
custom_hooks = [
    dict(type='mango_mm.RandomStateHook'),
    dict(type='mango_mm.VocabularyHook'),
    dict(type='mango_mm.TrustHook', hold_out=12, iterations=5, batch_size=8),
    dict(type='mango_mm.ThresholdHook'),
]
"""
OPTIONS = {
    key: int(value) if value.isdigit() else value == 'True'
    for key, value in (o.split('=') for o in [*SHORT, *iterations(2, 2)])
}


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp('movies')
    write_movies(folder / 'movies', train=40, dev=11, test=9)
    (folder / 'trust.py').write_text(TRUST)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('MANGO_MINI_MOVIES', str(folder / 'movies'))
        for name, config in (('trust', folder / 'trust.py'), ('plain', PLAIN)):
            train(config, work_dir=folder / name, options=OPTIONS)
        yield folder


def rules_of(lines):
    return {line['rule']: line for line in lines}


def test_only_what_reads_the_failing_modality_changes(place):
    check = MovieFailures(place / 'trust.py', place / 'trust', OPTIONS)
    conditions = check.conditions(['kinds', 'absent'])
    assert [c.name for c in conditions] == [
        'clean', 'image_blackout:5', 'image_other:5', 'text_shuffled:5', 'text_other:5',
        'no image', 'no text',
    ]  # fmt: skip
    found = {c.name: rules_of(check.evaluate(c)) for c in conditions}
    rules = ['trust', 'mean', 'fused', 'image', 'text', 'told', 'told, one frame']
    assert all(sorted(lines) == sorted(rules) for lines in found.values())
    for name, lines in found.items():
        for m, other in (('image', 'text'), ('text', 'image')):
            same = lines[other]['metrics'] == found['clean'][other]['metrics']
            assert same or not name.startswith((m, f'no {m}')), name
    changed = [n for n in found if found[n]['fused']['ece'] != found['clean']['fused']['ece']]
    assert len(changed) == len(found) - 1
    # Who is left decides alone.
    assert found['no text']['mean']['metrics']['mAP'] == found['clean']['image']['metrics']['mAP']
    assert found['no text']['trust']['trust']['text'] == 0
    assert 0 <= found['text_other:5']['trust']['auroc'] <= 1
    assert 0 <= found['clean']['trust']['alarms'] <= 1


def test_thresholds_are_those_of_clean_validation_samples(place):
    check = MovieFailures(PLAIN, place / 'plain', OPTIONS)
    (line,) = check.evaluate(check.conditions([])[0])
    assert line['rule'] == 'prediction'
    tested = evaluate(PLAIN, place / 'plain', work_dir=place / 'tested', options=OPTIONS)
    assert line['metrics']['mAP'] == pytest.approx(tested['mAP'])
    scores, labels, _ = check._scores('val', check.conditions([])[0])
    chosen = best_thresholds(scores['prediction'], labels)
    scores, labels, _ = check._scores('test', check.conditions([])[0])
    said = (scores['prediction'] >= chosen).astype(int)
    wanted = np.mean(
        [f1_score(labels[:, c], said[:, c], zero_division=0) for c in range(labels.shape[1])]
    )
    assert line['metrics']['macro_f1'] == pytest.approx(100 * wanted)


def test_the_tool_writes_the_table(place, tmp_path):
    options = ['--cfg-options', *[o for o in SHORT if 'train' not in o]]
    done = run('unused', ROOT / 'tools/analyse/robustness.py', place / 'trust.py', place / 'trust',
               '--out', tmp_path, '--protocol', 'kinds', 'absent', '--baseline', PLAIN,
               place / 'plain', *options)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    table = (tmp_path / 'table.md').read_text()
    assert '| no text |' in table
    assert 'MANGO: trust' in table
    assert 'concat: prediction' in table
    assert len(json.loads((tmp_path / 'failures.json').read_text())) == 7 * 8


def test_what_is_of_something_else_is_named(place):
    with pytest.raises(ValueError, match=r"rules of .* are .*'told, one frame'\); got \['umm'\]"):
        MovieFailures(place / 'trust.py', place / 'trust', OPTIONS, rules=['mean', 'umm'])
    check = MovieFailures(place / 'trust.py', place / 'trust', OPTIONS, rules=['fused'])
    assert [line['rule'] for line in check.evaluate(check.conditions([])[0])] == ['fused']
    check = MovieFailures(PLAIN, place / 'plain', OPTIONS)
    with pytest.raises(ValueError, match=r"protocols of movies are .* got \['emm'\]"):
        check.conditions(['emm'])
    with pytest.raises(ValueError, match="degradations are .*; got 'shift'"):
        check.conditions(['kinds'], ['shift'])
    with pytest.raises(TypeError, match='got a MultimodalClassifier'):
        SensorFailures(PLAIN, place / 'plain', OPTIONS)
