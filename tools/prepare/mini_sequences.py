"""Write generated sequences: signal, text and image tokens, whose label needs the first two.

Example:
    python tools/prepare/mini_sequences.py --out data/mini_sequences
"""

from pathlib import Path

from mango_mm.apis.command import Parser, non_negative_int, positive_int, run_tool
from mango_mm.datasets.mini.write_sequences import write_sequences


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('--out', type=Path, default=Path('data/mini_sequences'))
    parser.add_argument('--train', type=positive_int, default=2000)
    parser.add_argument('--val', type=positive_int, default=500)
    parser.add_argument('--test', type=positive_int, default=500)
    parser.add_argument('--seed', type=non_negative_int, default=0)
    args = parser.parse_args()
    root = write_sequences(args.out, train=args.train, val=args.val, test=args.test, seed=args.seed)
    print(f'{args.train} + {args.val} + {args.test} samples in {root}')


if __name__ == '__main__':
    run_tool(main)
