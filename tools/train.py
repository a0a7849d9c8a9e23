"""Train a model as a config says.

Examples:
    python tools/train.py configs/mango/mango-l2_small_1xb8-600it_mini-rooms-72x96.py
    python tools/train.py CONFIG --work-dir W --resume
    python tools/train.py CONFIG --cfg-options train_cfg.max_iters=100 randomness.seed=1
"""

import os

from mango_mm.apis import leave_process_group, train
from mango_mm.apis.command import Parser, non_negative_int, run_tool
from mango_mm.apis.dict_action import DictAction


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='where logs and checkpoints go')
    parser.add_argument(
        '--resume',
        nargs='?',
        const=True,
        default=False,
        metavar='CHECKPOINT',
        help='go on from the newest checkpoint of the work dir, or from this one',
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision (needs a GPU)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='values to override, keys with dots',
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=non_negative_int, default=0)
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    train(
        args.config,
        work_dir=args.work_dir,
        options=args.cfg_options,
        launcher=args.launcher,
        resume=args.resume,
        amp=args.amp,
        new_keys=args.allow_new_keys,
    )
    leave_process_group()


if __name__ == '__main__':
    run_tool(main)
