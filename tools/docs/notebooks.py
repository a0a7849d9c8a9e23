"""Execute the notebooks of the documentation, and keep what they print and draw.

Example:
    python tools/docs/notebooks.py
    python tools/docs/notebooks.py docs/notebooks/plain_torch.ipynb
"""

import os
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from mango_mm.apis.command import Parser, run_tool

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / 'docs/notebooks'


def is_log(output: nbformat.NotebookNode) -> bool:
    """What the toolboxes say while they work, with times and paths of this machine."""
    if output.get('output_type') != 'stream':
        return False
    said = [line for line in output['text'].splitlines() if line.strip()]
    return output['name'] == 'stderr' or all(
        'mmengine' in line or line.startswith('Loads checkpoint') for line in said
    )


def execute(path: Path) -> nbformat.NotebookNode:
    """A notebook after its run, without what differs from run to run.

    Raises:
        nbclient.exceptions.CellExecutionError: If a cell does.
    """
    notebook = nbformat.read(path, as_version=4)
    os.environ['PYTHONPATH'] = str(ROOT)
    client = NotebookClient(
        notebook, timeout=600, kernel_name='python3', resources={'metadata': {'path': path.parent}}
    )
    client.execute()
    for cell in notebook.cells:
        cell.metadata.pop('execution', None)
        if 'outputs' in cell:
            cell.outputs = [o for o in cell.outputs if not is_log(o)]
    notebook.metadata.language_info = {'name': 'python'}
    return notebook


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('notebooks', nargs='*', type=Path)
    args = parser.parse_args()
    for path in args.notebooks or sorted(FOLDER.glob('*.ipynb')):
        start = time.monotonic()
        nbformat.write(execute(path), path)
        print(f'{path}: {time.monotonic() - start:.0f} s')


if __name__ == '__main__':
    run_tool(main)
