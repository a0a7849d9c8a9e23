"""A run as one page: HTML that needs nothing but itself.

Pictures are inside the page as data, there is no script, and its own policy
(``Content-Security-Policy``) forbids every request. Whatever comes from files is escaped.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import html
import io
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from mango_mm.files import own_files, read_image
from mango_mm.visualization.curves import draw_curves, read_scalars

__all__ = ['ANALYSES', 'Section', 'render_page', 'report_of']

MAX_WIDTH = 1400  # pixels of a picture in the page
PANELS = 8
# Folder of an analysis in a work dir, its title, and what it says.
ANALYSES = {
    'likelihood': (
        'Likelihood',
        'Bits per dimension of the fused tokens under the flow; larger is less likely.',
    ),
    'robustness': (
        'Robustness',
        'The metric under failing sensors, and how well each score tells them from clean ones '
        '(AUROC; .5 is chance).',
    ),
    'attribution': (
        'Attribution',
        'What each modality and token contributed to the prediction: red for it, blue against.',
    ),
}
STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:70rem;padding:1rem}
h1{font-size:1.4rem;overflow-wrap:anywhere}h2{font-size:1.15rem;margin-top:2rem}
img{max-width:100%;height:auto;display:block;margin:.6rem 0;background:#fff}
figure{margin:0}figcaption{font-size:.8rem;opacity:.75;overflow-wrap:anywhere}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem}
th,td{border:1px solid #8886;padding:.25rem .5rem;text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left}
pre{overflow-x:auto;font-size:.78rem;background:#8881;padding:.6rem}
nav a{margin-right:.8rem}
"""


@dataclasses.dataclass
class Section:
    """A part of the page: text, tables and pictures, shown in that order.

    Attributes:
        title: Heading.
        text: A sentence.
        tables: Rows of cells each, the first row being the header.
        pictures: Files by caption.
        code: Shown folded, as it is.
    """

    title: str
    text: str = ''
    tables: list[list[list[str]]] = dataclasses.field(default_factory=list)
    pictures: dict[str, Path] = dataclasses.field(default_factory=dict)
    code: str = ''


def report_of(work_dir: str | Path) -> tuple[str, list[Section]]:
    """Everything that a run left in its work dir, ready to be rendered.

    Args:
        work_dir: Of ``tools/train.py``; pictures of analyses are looked for in its folders
            ``likelihood``, ``robustness`` and ``attribution``.

    Returns:
        The title, and the sections.

    Raises:
        FileNotFoundError: If there is no such folder or no run has been logged in it.
        ValueError: If a file in it is a link to one outside.
    """
    work_dir = Path(work_dir)
    if not work_dir.is_dir():
        raise FileNotFoundError(f'there is no work dir {work_dir}.')
    lines = read_scalars(work_dir)
    sections = [_metrics(lines), _curves(work_dir, lines), _panels(work_dir)]
    sections += [_analysis(work_dir / name, *what) for name, what in ANALYSES.items()]
    sections.append(_config(work_dir))
    return work_dir.resolve().name, [s for s in sections if s is not None]


def render_page(title: str, sections: Sequence[Section]) -> str:
    """The page as HTML.

    Args:
        title: Escaped, as all other text.
        sections: In order.

    Raises:
        FileNotFoundError: If a picture does not exist.
        ValueError: If one cannot be decoded.
    """
    body = [f'<h1>{html.escape(title)}</h1>', '<nav>']
    body += [f'<a href="#s{i}">{html.escape(s.title)}</a>' for i, s in enumerate(sections)]
    body.append('</nav>')
    for i, section in enumerate(sections):
        body.append(f'<section id="s{i}"><h2>{html.escape(section.title)}</h2>')
        if section.text:
            body.append(f'<p>{html.escape(section.text)}</p>')
        body += [_table(rows) for rows in section.tables]
        body += [_figure(caption, path) for caption, path in section.pictures.items()]
        if section.code:
            code = html.escape(section.code)
            body.append(f'<details><summary>show</summary><pre>{code}</pre></details>')
        body.append('</section>')
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f'<title>{html.escape(title)}</title><style>{STYLE}</style></head>\n<body>\n'
        + '\n'.join(body)
        + '\n</body></html>\n'
    )


def _figure(caption: str, path: Path) -> str:
    image: Image.Image = read_image(path, 'picture')
    if image.width > MAX_WIDTH:
        image = image.resize((MAX_WIDTH, round(image.height * MAX_WIDTH / image.width)))
    buffer = io.BytesIO()
    image.save(buffer, 'PNG', optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode('ascii')
    text = html.escape(caption)
    return (
        f'<figure><img alt="{text}" width="{image.width}" height="{image.height}" '
        f'src="data:image/png;base64,{data}"><figcaption>{text}</figcaption></figure>'
    )


def _table(rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Iterable[str], tag: str) -> str:
        return '<tr>' + ''.join(f'<{tag}>{html.escape(c)}</{tag}>' for c in cells) + '</tr>'

    head, *rest = rows
    return (
        f'<div class="scroll"><table>{line(head, "th")}'
        + ''.join(line(row, 'td') for row in rest)
        + '</table></div>'
    )


def _is_validation(line: Mapping[str, Any]) -> bool:
    return 'lr' not in line and 'loss' not in line and len(line) > 1


def _metrics(lines: Sequence[Mapping[str, Any]]) -> Section:
    """Every validation, and how long the run took."""
    validations = [line for line in lines if _is_validation(line)]
    keys = list(dict.fromkeys(k for v in validations for k in v))
    keys = [k for k in keys if k not in ('step', 'time', 'data_time', 'epoch', 'iter')]
    rows = [['iteration', *keys]]
    for line in validations:
        cells = [f'{line[k]:.4g}' if isinstance(line.get(k), (int, float)) else '-' for k in keys]
        rows.append([str(line.get('step', '-')), *cells])
    steps = [line for line in lines if not _is_validation(line) and 'time' in line]
    text = f'{len(steps)} lines of training, {len(validations)} validations.'
    if steps:
        text += f' Last: iteration {steps[-1].get("step", "?")}, {steps[-1]["time"]:.3g} s each.'
    text += f' Written {datetime.date.today().isoformat()}.'
    return Section('Metrics', text, [rows] if len(rows) > 1 else [])


def _curves(work_dir: Path, lines: Sequence[Mapping[str, Any]]) -> Section:
    keys = [k for k in ('loss', 'mIoU', 'macro_f1', 'MAE', 'nll_per_dim')
            if any(k in line for line in lines)]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'curves.png'
        draw_curves({work_dir.name: work_dir}, keys or ['loss'], path)
        kept = work_dir / 'report_curves.png'
        kept.write_bytes(path.read_bytes())
    return Section('Curves', pictures={', '.join(keys) or 'loss': kept})


def _panels(work_dir: Path) -> Section | None:
    steps = sorted(work_dir.glob('*/panels/step_*'), key=lambda p: (p.parent.parent.name, p.name))
    if not steps:
        return None
    found = own_files(steps[-1], '*.png')[:PANELS]
    text = f'The first validation samples at {steps[-1].name}: inputs, ground truth, prediction.'
    return Section('Panels', text, pictures={p.stem: p for p in found})


def _analysis(folder: Path, title: str, text: str) -> Section | None:
    pictures = {p.stem: p for p in own_files(folder, '*.png')}
    tables = [t for p in own_files(folder, '*.md') for t in markdown_tables(p.read_text())]
    return Section(title, text, tables, pictures) if pictures or tables else None


def markdown_tables(text: str) -> list[list[list[str]]]:
    """The pipe tables in a Markdown text, as rows of cells."""
    tables: list[list[list[str]]] = []
    inside = False
    for line in text.splitlines():
        is_row = line.startswith('|')
        if is_row and not inside:
            tables.append([])
        inside = is_row
        cells = [c.strip() for c in line.strip().strip('|').split('|')]
        if is_row and not all(set(c) <= set('-: ') and c for c in cells):
            tables[-1].append(cells)
    return [t for t in tables if t]


def _config(work_dir: Path) -> Section | None:
    files = own_files(work_dir, '*.py')
    if not files:
        return None
    return Section('Config', files[-1].name, code=files[-1].read_text())
