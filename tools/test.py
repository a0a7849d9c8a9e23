"""Test a checkpoint: metrics, and panels if asked for.

Examples:
    python tools/test.py CONFIG work_dirs/NAME/latest
    python tools/test.py CONFIG CHECKPOINT.pth --show-dir panels --tta
"""

import argparse
import os

from mmengine.config import DictAction

from mango_mm.apis import leave_process_group, test


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='file, or WORK_DIR/latest')
    parser.add_argument('--work-dir', help='where the log goes')
    parser.add_argument('--show-dir', help='save a panel of every sample here')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
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
    )
    if os.environ.get('RANK', '0') == '0':
        print(' '.join(f'{name}={value:.4g}' for name, value in metrics.items()))
        if args.show_dir:
            print(f'panels in {args.show_dir}')
    leave_process_group()


if __name__ == '__main__':
    main()
