"""Test a checkpoint: metrics, and panels if asked for.

Examples:
    python tools/test.py CONFIG work_dirs/NAME/latest
    python tools/test.py CONFIG CHECKPOINT.pth --show-dir panels --tta
"""

import os

from mango_mm.apis import leave_process_group, test
from mango_mm.apis.command import Parser, non_negative_int, run_tool
from mango_mm.apis.dict_action import DictAction


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='file, or WORK_DIR/latest')
    parser.add_argument('--work-dir', help='where the log goes')
    parser.add_argument('--show-dir', help='save a panel of every sample here')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=non_negative_int, default=0)
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    metrics = test(
        args.config,
        args.checkpoint,
        work_dir=args.work_dir,
        options=args.cfg_options,
        launcher=args.launcher,
        tta=args.tta,
        show_dir=args.show_dir,
        new_keys=args.allow_new_keys,
    )
    if os.environ.get('RANK', '0') == '0':
        print(' '.join(f'{name}={value:.4g}' for name, value in metrics.items()))
        if args.show_dir:
            print(f'panels in {args.show_dir}')
    leave_process_group()


if __name__ == '__main__':
    run_tool(main)
