"""Workflows, hooks, templates and the changelog name what exists, and agree with the rest."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

import mango_mm

ROOT = Path(__file__).resolve().parents[1]
GITHUB = ROOT / '.github'
HOOKS = ROOT / '.pre-commit-config.yaml'
YAML = [*sorted(GITHUB.rglob('*.y*ml')), HOOKS]
TEXTS = [GITHUB / 'try_wheel.sh', GITHUB / 'pull_request_template.md', ROOT / 'SECURITY.md']
ACTIONS = {
    'actions/checkout': 'v4',
    'actions/setup-python': 'v5',
    'actions/cache/restore': 'v4',
    'actions/cache/save': 'v4',
    'actions/upload-artifact': 'v4',
    'actions/download-artifact': 'v4',
}
PATH = re.compile(
    r'(?<![\w./-])('
    r'(?:\.github|\.ci|configs|docs|mango_mm|requirements|tests|tools)/[\w./*-]*\w'
    r'|[A-Z]\w+\.md|Makefile|pyproject\.toml|setup\.py)'
)


def load(path):
    return yaml.safe_load(path.read_text())


def strings(value):
    """All strings in what a YAML file holds, but for the patterns of hooks, tested below."""
    if isinstance(value, dict):
        return [s for key, item in value.items() if key != 'files' for s in strings(item)]
    if isinstance(value, list):
        return [s for item in value for s in strings(item)]
    return [value] if isinstance(value, str) else []


def paths(text):
    """The files of the project that a text names, braces and escapes of a shell undone."""
    text = text.replace('\\', '').replace('"$checkout"/', '').replace('$checkout/', '')
    text = re.sub(
        r'(\S*)\{([\w.,]+)\}',
        lambda found: ' '.join(found[1] + name for name in found[2].split(',')),
        text,
    )
    return set(PATH.findall(text))


WORKFLOWS = {path.stem: load(path) for path in (GITHUB / 'workflows').glob('*.yml')}
ENVIRONMENT = load(GITHUB / 'actions' / 'environment' / 'action.yml')
STEPS = [
    step
    for flow in WORKFLOWS.values()
    for job in flow['jobs'].values()
    for step in job['steps']
] + ENVIRONMENT['runs']['steps']  # fmt: skip
COMMANDS = [step['run'] for step in STEPS if 'run' in step]


def test_every_yaml_file_holds_a_mapping():
    assert len(YAML) == 7
    assert all(isinstance(load(path), dict) for path in YAML)


def test_the_workflows_are_these():
    assert set(WORKFLOWS) == {'test', 'release'}
    assert set(WORKFLOWS['test']['jobs']) == {'wheel', 'torch-only', 'core', 'hosts', 'slow'}
    # YAML 1.1 reads the key `on` as true.
    assert WORKFLOWS['release'][True] == {'push': {'tags': ['v*']}}
    on = WORKFLOWS['test'][True]
    assert {'push', 'pull_request', 'workflow_dispatch', 'schedule'} == set(on)
    assert WORKFLOWS['test']['jobs']['torch-only']['needs'] == 'wheel'


@pytest.mark.parametrize('name', ['test', 'release'])
def test_a_workflow_may_read_ends_in_time_and_makes_way(name):
    flow = WORKFLOWS[name]
    assert flow['permissions'] == {'contents': 'read'}
    assert flow['concurrency']['cancel-in-progress'] is True
    assert 'github.ref' in flow['concurrency']['group']
    for job in flow['jobs'].values():
        assert 'permissions' not in job
        assert 5 <= job['timeout-minutes'] <= 180
        assert 'latest' not in job['runs-on']
    assert 'secrets.' not in ' '.join(strings(flow))


def test_actions_are_pinned_and_leave_no_token_behind():
    used = [step for step in STEPS if 'uses' in step]
    assert len(used) > 12
    for step in used:
        name, _, version = step['uses'].partition('@')
        if name.startswith('./'):
            assert (ROOT / name / 'action.yml').is_file(), name
            continue
        assert ACTIONS[name] == version
        if name == 'actions/checkout':
            assert step['with']['persist-credentials'] is False
        if name == 'actions/setup-python':
            asked = step['with']['python-version']
            assert asked in ('3.11', '${{ matrix.python }}', '${{ inputs.python-version }}')


def test_every_python_and_family_of_hosts_that_has_pins_is_tried():
    jobs = WORKFLOWS['test']['jobs']
    assert jobs['core']['strategy']['matrix'] == {'python': ['3.10', '3.11', '3.12']}
    rows = jobs['hosts']['strategy']['matrix']['include']
    assert {(row['python'], row['hosts']) for row in rows} == {
        ('3.10', 'openmmlab'), ('3.11', 'openmmlab'), ('3.12', 'openmmlab'), ('3.11', 'onedl'),
    }  # fmt: skip


def test_no_command_contains_what_a_stranger_can_write():
    assert [run for run in COMMANDS if '${{' in run] == []


def test_every_make_target_they_call_exists():
    makefile = (ROOT / 'Makefile').read_text()
    called = re.findall(r'\bmake ([\w-]+)', '\n'.join(COMMANDS))
    assert sorted(called) == ['demo-core', 'setup', 'soak', 'test', 'test-slow']
    assert all(f'\n{target}:' in makefile for target in called)


def test_every_path_they_name_exists():
    named = {path for file in YAML for text in strings(load(file)) for path in paths(text)}
    named |= {path for file in TEXTS for path in paths(file.read_text())}
    assert {'.github/try_wheel.sh', 'tests/test_readme.py', 'tests/torch_features.py'} <= named
    assert {'requirements/*.txt', 'docs/reliability.md', 'CHANGELOG.md'} <= named
    assert [path for path in sorted(named) if not list(ROOT.glob(path))] == []


def test_a_path_that_does_not_exist_would_be_seen():
    text = 'cp "$checkout"/tests/{a.py,flows} x && python tools/gone.py'
    assert paths(text) == {'tests/a.py', 'tests/flows', 'tools/gone.py'}


def test_the_script_for_the_wheel_is_one():
    subprocess.run(['bash', '-n', str(GITHUB / 'try_wheel.sh')], check=True)


def test_the_hooks_have_the_ruff_of_the_requirements():
    repos = {repo['repo']: repo for repo in load(HOOKS)['repos']}
    ruff = repos['https://github.com/astral-sh/ruff-pre-commit']
    pins = re.findall(r'^ruff==(\S+)', (ROOT / 'requirements/dev.txt').read_text(), re.MULTILINE)
    assert [ruff['rev']] == [f'v{pin}' for pin in pins]
    assert [hook['id'] for hook in ruff['hooks']] == ['ruff-format', 'ruff-check']


def test_every_hook_of_our_own_has_something_to_look_at():
    (local,) = [repo for repo in load(HOOKS)['repos'] if repo['repo'] == 'local']
    assert [hook['id'] for hook in local['hooks']] == ['lint-imports', 'mypy', 'docs']
    listed = subprocess.run(
        ['git', '-C', str(ROOT), 'ls-files'], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    for hook in local['hooks']:
        assert hook['language'] == 'system'
        for choice in re.fullmatch(r'\^\((.*)\)\$', hook['files'])[1].split('|'):
            assert any(re.fullmatch(choice, path) for path in listed), choice


@pytest.mark.parametrize('name', ['bug', 'feature'])
def test_an_issue_form_has_what_github_asks_for(name):
    form = load(GITHUB / 'ISSUE_TEMPLATE' / f'{name}.yml')
    assert {'name', 'description', 'body'} <= set(form)
    fields = [field for field in form['body'] if field['type'] != 'markdown']
    ids = [field['id'] for field in fields]
    assert len(ids) == len(set(ids)) >= 4
    assert all(field['attributes']['label'] for field in fields)


def test_the_changelog_has_this_version_below_what_is_unreleased():
    heads = re.findall(r'^## (.*)$', (ROOT / 'CHANGELOG.md').read_text(), re.MULTILINE)
    assert heads[0] == 'Unreleased'
    released = [re.fullmatch(r'(\d+\.\d+\.\d+) - (\d{4}-\d\d-\d\d)', head) for head in heads[1:]]
    assert all(released)
    assert released[0][1] == mango_mm.__version__


def test_security_names_this_version():
    minor = mango_mm.__version__.rsplit('.', 1)[0]
    assert f'| {minor}.x | yes |' in (ROOT / 'SECURITY.md').read_text()
