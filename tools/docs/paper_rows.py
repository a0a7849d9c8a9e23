"""The table of docs/paper.md: each row of the paper, its config, and what we measured.

Reads the first lines of every config that quotes a paper, and writes the table between its marks.

Example:
    python tools/docs/paper_rows.py
"""

import re
from pathlib import Path

from mango_mm.apis.command import Parser, run_tool

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / 'docs/paper.md'
BEGIN, END = '<!-- rows: tools/docs/paper_rows.py -->', '<!-- end of rows -->'
# part of a config's name -> what stands between us and its number
LEFT = {
    '72x96': 'measured small, to compare blocks with each other, not with the paper',
    'taskonomy': 'Taskonomy, 300,000 iterations of a GAN; nearest: [translation](translation.md)',
    'mm-imdb': 'MM-IMDB and a GPU day; nearest: movies-frozen in [results](results.md)',
    'sunrgbd': 'SUN RGB-D and GPU days; `tools/prepare/sun_rgbd.py` is ready for it',
    'nyuv2': 'GPU days; nearest: 192 x 256 pixels, encoders frozen, in [results](results.md)',
}  # fmt: skip
TABLES = {
    'Table 1, RGB-D segmentation': ('sunrgbd', '_nyuv2-'),
    'Table 2, translation': ('taskonomy',),
    'Table 3, movie genres': ('mm-imdb',),
    'Tables 4 to 7, ablations': ('ablations/',),
}


def said(path: Path, key: str) -> str:
    """A line of a config's first words, and what continues it."""
    head = path.read_text(encoding='utf-8').split('"""')[1]
    found = re.search(rf'^{key}:\s+(.*(?:\n {{5,}}.*)*)', head, re.MULTILINE)
    return re.sub(r'\s+', ' ', found[1]) if found else ''


def table_of(name: str) -> str | None:
    for title, parts in reversed(TABLES.items()):
        if any(part in name for part in parts):
            return title
    return None


def render() -> str:
    """The rows, MANGO's first in every table."""
    paths = sorted(
        (p for p in (ROOT / 'configs').glob('[!_]*/*.py') if said(p, 'Paper')),
        key=lambda p: (p.parent.name not in ('mango', 'ablations'), p.stem),
    )
    lines = []
    for title in TABLES:
        lines += [f'### {title}', '', '| config | the paper says | ours | what is left, and why |',
                  '|---|---|---|---|']  # fmt: skip
        for path in paths:
            name = str(path.relative_to(ROOT / 'configs'))
            if table_of(name) != title:
                continue
            left = next(why for part, why in LEFT.items() if part in name)
            lines.append(
                f'| [`{path.stem}`](../configs/{name}) | {said(path, "Paper")} | '
                f'{said(path, "Ours")} | {left} |'
            )
        lines.append('')
    return '\n'.join(lines)


def main() -> None:
    Parser(__doc__).parse_args()
    text = PAGE.read_text(encoding='utf-8')
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f'{before}{BEGIN}\n\n{render()}\n{END}{after}', encoding='utf-8')
    print(f'{PAGE}: {render().count("](../configs/")} rows')


if __name__ == '__main__':
    run_tool(main)
