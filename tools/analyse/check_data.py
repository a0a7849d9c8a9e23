r"""Load every sample of a config's data once and list what is wrong with them.

Run it before a long training. Ends with status 1 if there is a problem.

Example:
    python tools/analyse/check_data.py \
        configs/mango/mango-l2_small_1xb8-600it_mini-rooms-72x96.py
"""

from mango_mm.analysis.check_data import SPLITS, check_data
from mango_mm.apis.command import Parser, run_tool
from mango_mm.apis.dict_action import DictAction


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('config', help='config of a training')
    parser.add_argument('--splits', nargs='+', choices=SPLITS, default=list(SPLITS))
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE')
    args = parser.parse_args()
    try:
        problems, counts = check_data(args.config, args.splits, args.cfg_options, say=print)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from error
    for problem in problems:
        print(problem)
    read = ', '.join(f'{count} of {split}' for split, count in counts.items()) or 'none'
    print(f'{len(problems)} problems; samples read: {read}')
    if problems:
        raise SystemExit(1)


if __name__ == '__main__':
    run_tool(main)
