"""Sphinx's settings: `make docs` builds the site offline, and every warning is an error."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mango_mm.version import __version__  # noqa: E402

project = 'mango_mm'
author = 'the authors of mango_mm'
version = release = __version__
extensions = [
    'myst_nb',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
]
exclude_patterns = ['_build', '**/.ipynb_checkpoints']
root_doc = 'index'
source_suffix = {'.md': 'myst-nb', '.ipynb': 'myst-nb'}
nb_execution_mode = 'off'  # outputs are in the notebooks; tests execute them
myst_enable_extensions = ['deflist']
myst_heading_anchors = 3
autodoc_member_order = 'bysource'
autodoc_typehints = 'description'
autodoc_typehints_description_target = 'documented'
autodoc_default_options = {'members': True, 'show-inheritance': True}
napoleon_google_docstring, napoleon_numpy_docstring = True, False
napoleon_use_admonition_for_examples = False
html_theme = 'furo'
html_title = f'mango_mm {__version__}'
html_static_path = ['_static']
html_css_files = ['site.css']
html_theme_options = {'navigation_with_keys': True}
html_copy_source = False


def link_outside(text: str, folder: Path) -> str:
    """Links out of ``docs`` to the pages that show the file; where none does, its path as text."""

    def swap(found: re.Match[str]) -> str:
        target, anchor = found[2], found[3] or ''
        path = (folder / target).resolve()
        if (ROOT / 'docs') in path.parents or not path.is_relative_to(ROOT):
            return found[0]
        if not path.exists():
            raise FileNotFoundError(f'{folder}: a link to {target}, which does not exist')
        inside = path.relative_to(ROOT)
        if inside.suffix == '.md' and str(inside) in PAGES_OF:
            up = '../' * len(folder.relative_to(ROOT / 'docs').parts)
            return f'[{found[1]}]({up}{PAGES_OF[str(inside)]}{anchor})'
        return f'`{inside}`' if f'`{inside}`' == found[1] else f'{found[1]} (`{inside}`)'

    return re.sub(r'\[([^\]\n]+)\]\(([^)#\s:]+)(#[^)]*)?\)', swap, text)


# Pages that show a file of the repository.
PAGES_OF = {
    'configs/README.md': 'configs.md',
    'configs/mango/README.md': 'configs_mango.md',
    'configs/ablations/README.md': 'configs_ablations.md',
    'CONTRIBUTING.md': 'contributing.md',
    'CHANGELOG.md': 'changelog.md',
    'SECURITY.md': 'security.md',
    'README.md': 'index.md',
}
SHOWN = {page: source for source, page in PAGES_OF.items() if page != 'index.md'}


def read_source(app: Any, name: str, content: list[str]) -> None:
    page = f'{name}.md'
    if name.startswith(ORPHANS) and name != 'benchmarks/README':
        content[0] = f'---\norphan: true\n---\n\n{content[0]}'
    if page in SHOWN:
        source = ROOT / SHOWN[page]
        content[0] = _moved(source.read_text(encoding='utf-8'), source.parent)
    elif name == 'model_zoo':
        content[0] = content[0].replace('ZOO_TABLE', zoo_table())
    folder = (ROOT / 'docs' / page).parent
    content[0] = link_outside(content[0], folder)


def _moved(text: str, folder: Path) -> str:
    """A file's text with its links and pictures seen from ``docs``."""

    def swap(found: re.Match[str]) -> str:
        path = (folder / found[2]).resolve()
        if not path.exists():
            raise FileNotFoundError(f'{folder}: a link to {found[2]}, which does not exist')
        if (ROOT / 'docs') in path.parents:
            return f'{found[1]}({path.relative_to(ROOT / "docs")}{found[3] or ""})'
        return f'{found[1]}(../{path.relative_to(ROOT)}{found[3] or ""})'

    return re.sub(r'(\[[^\]\n]+\])\(([^)#\s:]+)(#[^)]*)?\)', swap, text)


def zoo_table() -> str:
    """The shipped checkpoints, and every config's results, of the files that hold them."""
    import yaml

    listed = json.loads((ROOT / 'mango_mm/zoo/zoo.json').read_text())
    rows = ['| name | what | metric | score | generated data |', '|---|---|---|---|---|']
    rows += [
        f'| `{name}` | {e["summary"]} | {e["metric"]} | {e["score"]:.2f} | {e["data"]} |'
        for name, e in listed.items()
    ]
    rows += [
        '',
        '## Results of the configs',
        '',
        '| config | data set | results |',
        '|---|---|---|',
    ]
    for path in sorted(ROOT.glob('configs/*/metafile.yml')):
        for model in yaml.safe_load(path.read_text())['Models']:
            for result in model.get('Results') or []:
                said = ', '.join(f'{k} {v:g}' for k, v in result['Metrics'].items())
                rows.append(f'| `{model["Name"]}` | {result["Dataset"]} | {said} |')
    return '\n'.join(rows)


# Tables that benchmarks write: linked from their README, not in the menu.
ORPHANS = ('benchmarks/',)


def plain_text(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Equations stay as they are written; absolute values are not substitutions."""
    shown: list[str] = []
    literal = False
    for line in lines:
        indented, above = line.startswith('    '), [x for x in shown if x.strip()][-1:]
        literal = literal and (indented or not line.strip())
        if indented and shown and not shown[-1].strip() and not literal:
            plain = above and not above[0].startswith((' ', ':', '..', '>>>', '='))
            if plain and not above[0].rstrip().endswith('::'):
                shown += ['::', '']
            literal = bool(plain)
        if not literal and '``' not in line and '>>>' not in line:
            line = re.sub(r'\|([^|\n]+)\|', r'\\|\1\\|', line)
        shown.append(line)
    lines[:] = shown


def setup(app: Any) -> None:
    app.connect('autodoc-process-docstring', plain_text)
    app.connect('source-read', read_source)
