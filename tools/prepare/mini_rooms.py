"""Write generated rooms in the layouts of NYU Depth V2 and Taskonomy.

Example:
    python tools/prepare/mini_rooms.py data/mini_rooms --train 240 --val 60
"""

from pathlib import Path

from mango_mm.apis.command import Parser, non_negative_int, positive_int, run_tool
from mango_mm.datasets.mini.write_rooms import write_rooms


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('root', nargs='?', type=Path, default=Path('data/mini_rooms'))
    parser.add_argument('--train', type=non_negative_int, default=240, help='training frames')
    parser.add_argument('--val', type=non_negative_int, default=60, help='validation frames')
    parser.add_argument(
        '--size', type=positive_int, nargs=2, metavar=('H', 'W'),
        help='default: that of the configs, 72 96, and with --taskonomy 96 128',
    )  # fmt: skip
    parser.add_argument('--seed', type=non_negative_int, default=0)
    parser.add_argument('--taskonomy', action='store_true', help="write Taskonomy's layout too")
    args = parser.parse_args()
    root = write_rooms(
        args.root,
        train=args.train,
        val=args.val,
        size=tuple(args.size) if args.size else None,
        seed=args.seed,
        taskonomy=args.taskonomy,
    )
    print(f'wrote {args.train} + {args.val} frames to {root}')


if __name__ == '__main__':
    run_tool(main)
