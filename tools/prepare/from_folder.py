"""Look at a folder of your own data and write a config that trains on it.

Every subfolder with files of one kind is a modality; the one whose files are label maps is told by
its name (label, mask, annotation, seg) or by --labels. Files that share their name belong together.

Examples:
    python tools/prepare/from_folder.py data/mine --out mine.py
    python tools/prepare/from_folder.py data/mine --labels masks --val 0.2 --out mine.py
    python tools/train.py mine.py
"""

import os.path as osp
import sys
from pathlib import Path

from mango_mm.analysis.folder_config import write_config
from mango_mm.analysis.look_at_folder import look_at_folder
from mango_mm.apis.command import Parser, run_tool


def share(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise ValueError(f'a share must be between 0 and 1; got {text}')
    return value


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--out', type=Path, required=True, help='the config; lists go beside it')
    parser.add_argument('--labels', help='subfolder of the label maps')
    parser.add_argument(
        '--val', type=share, default=0.2, help='share of the samples to validate on'
    )
    args = parser.parse_args()
    if args.out.exists():
        sys.exit(f'{args.out} exists; name another file with --out.')
    found = look_at_folder(args.folder, labels=args.labels)
    for line in found.lines():
        print(line)
    write_config(found, args.out, val=args.val)
    print(f'\nwrote {args.out}. Read it, then: python tools/train.py {osp.relpath(args.out)}')


if __name__ == '__main__':
    run_tool(main)
