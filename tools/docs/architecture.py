"""Draw docs/images/architecture.svg: who imports whom, from the imports and the layers themselves.

Rows are the layers that import-linter holds (pyproject.toml). An arrow is an import from one
package to another; those that others imply are left out.

Example:
    python tools/docs/architecture.py
    python tools/docs/architecture.py --check
"""

import ast
import re
import sys
from pathlib import Path
from xml.sax.saxutils import escape

from mango_mm.apis.command import Parser, run_tool

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / 'docs/images/architecture.svg'
PACKAGE = 'mango_mm'
# Everybody may import them.
LEFT_OUT = ('version', 'hosts', 'shipped', 'structures', 'modalities', 'pipelines')
WIDTH, ROW, BOX, HEIGHT = 900, 92, 150, 44
WHAT = {
    'web': 'a page to play with',
    'inferencers': 'samples in, results out',
    'analysis': 'what a model does and why',
    'comparison': 'several models on equal terms',
    'benchmarking': 'time and memory, in turns',
    'apis': 'train, test, open, export',
    'models': 'registered words over fusion',
    'datasets': 'real files to samples',
    'evaluation': 'metrics',
    'engine': 'hooks, FSDP',
    'visualization': 'pictures',
    'registry': 'names of configs',
    'testing': 'checks for your layers',
    'checkpoints': 'loading, safely',
    'zoo': 'checkpoints that ship',
    'files': 'one door to the disk',
    'domains': 'what stored values mean',
    'explicit': 'what a density is for',
    'fusion': 'MANGO and the baselines',
    'objectives': 'losses as formulas',
    'flows': 'invertible maths, kernels',
}


def layers() -> list[list[str]]:
    """The rows, from the top, as pyproject.toml has them."""
    text = (ROOT / 'pyproject.toml').read_text()
    found = re.search(r'type = "layers"\nlayers = \[\n(.*?)\n\]', text, re.DOTALL)
    if found is None:
        raise ValueError('pyproject.toml has no contract of layers.')
    rows = re.findall(r'"([^"]+)"', found[1])
    named = [[name.strip().removeprefix(f'{PACKAGE}.') for name in r.split('|')] for r in rows]
    return [row for row in ([n for n in r if n not in LEFT_OUT] for r in named) if row]


def imports() -> dict[str, set[str]]:
    """Which package imports which others, read from the source."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / PACKAGE).rglob('*.py')):
        own = path.relative_to(ROOT / PACKAGE).with_suffix('').parts[0]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
                if node.module == PACKAGE:
                    names = [f'{PACKAGE}.{alias.name}' for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            for name in names:
                parts = name.split('.')
                if parts[0] == PACKAGE and len(parts) > 1 and parts[1] != own:
                    found.setdefault(own, set()).add(parts[1])
    return found


def reduced(graph: dict[str, set[str]], names: set[str]) -> list[tuple[str, str]]:
    """The arrows that no other arrows imply."""
    kept = {a: {b for b in graph.get(a, ()) if b in names} for a in names}

    def reaches(start: str, goal: str, without: tuple[str, str]) -> bool:
        todo, seen = [start], {start}
        while todo:
            at = todo.pop()
            for b in kept[at] - seen:
                if (at, b) == without:
                    continue
                if b == goal:
                    return True
                seen.add(b)
                todo.append(b)
        return False

    return sorted((a, b) for a in names for b in kept[a] if not reaches(a, b, (a, b)))


def draw() -> str:
    """The picture."""
    rows = layers()
    names = {name for row in rows for name in row}
    at: dict[str, tuple[float, float]] = {}
    for i, row in enumerate(rows):
        gap = WIDTH / len(row)
        for k, name in enumerate(row):
            at[name] = ((k + 0.5) * gap, 40 + i * ROW)
    height = 40 + len(rows) * ROW
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="13">',
        '<defs><marker id="a" markerWidth="7" markerHeight="7" refX="6" refY="3" orient="auto">'
        '<path d="M0,0 L6,3 L0,6 z" fill="#789"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
    ]
    for a, b in reduced(imports(), names):
        (x, y), (u, v) = at[a], at[b]
        y, v = y + HEIGHT / 2, v - HEIGHT / 2
        lines.append(
            f'<path d="M{x:.0f},{y:.0f} C{x:.0f},{y + 26:.0f} {u:.0f},{v - 26:.0f} {u:.0f},{v:.0f}"'
            ' fill="none" stroke="#9ab" marker-end="url(#a)"/>'
        )
    for name, (x, y) in sorted(at.items()):
        plain = name in ('flows', 'fusion', 'explicit', 'objectives')
        lines.append(
            f'<rect x="{x - BOX / 2:.0f}" y="{y - HEIGHT / 2:.0f}" width="{BOX}" height="{HEIGHT}" '
            f'rx="6" fill="{"#fff3d6" if plain else "#eef4fa"}" stroke="#567"/>'
            f'<text x="{x:.0f}" y="{y - 3:.0f}" text-anchor="middle" font-weight="bold">'
            f'{escape(name)}</text><text x="{x:.0f}" y="{y + 14:.0f}" text-anchor="middle" '
            f'font-size="10" fill="#456">{escape(WHAT[name])}</text>'
        )
    return '\n'.join([*lines, '</svg>']) + '\n'


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('--check', action='store_true', help='only say whether it is up to date')
    args = parser.parse_args()
    picture = draw()
    if args.check:
        if not PICTURE.is_file() or PICTURE.read_text() != picture:
            sys.exit(f'{PICTURE} is out of date: run python tools/docs/architecture.py')
        return
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(picture)
    print(PICTURE)


if __name__ == '__main__':
    run_tool(main)
