"""Write the features of a config's frozen encoders, from which fusion and head train in minutes.

The cache has views of every training sample, the plain validation and test samples, and a version
of the validation for every degradation asked for. It is used by a config that names it:
feature_cache=FOLDER, at its top or by --cfg-options.

Examples:
    python tools/prepare/cache_features.py CONFIG --views 3
    python tools/prepare/cache_features.py CONFIG --out data/cache/mine \
        --degrade rgb_noise:3 depth_dropout:5
"""

import argparse
from pathlib import Path

from mango_mm.analysis.cache_features import cache_features
from mango_mm.apis.command import Parser, positive_int, run_tool
from mango_mm.apis.dict_action import DictAction
from mango_mm.apis.run import load_config
from mango_mm.datasets.degradations import check_degradation


def degradation(text: str) -> tuple[str, int]:
    """``KIND:SEVERITY`` to its parts."""
    kind, _, severity = text.partition(':')
    try:
        check_degradation(kind, int(severity))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'must be KIND:SEVERITY; got {text!r}: {error}') from error
    return kind, int(severity)


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('config', help='config file, with frozen encoders')
    parser.add_argument('--out', type=Path, help="folder; default: the config's feature_cache")
    parser.add_argument('--views', type=positive_int, default=1, help='of every training sample')
    parser.add_argument(
        '--plain', action='store_true', help='the training samples without augmentation, too'
    )
    parser.add_argument(
        '--degrade', nargs='+', type=degradation, default=[], metavar='KIND:SEVERITY',
        help='further versions of the validation split',
    )  # fmt: skip
    parser.add_argument('--batch-size', type=positive_int, default=8)
    parser.add_argument('--dtype', choices=('float16', 'float32'), default='float16')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE')
    args = parser.parse_args()
    out = args.out or load_config(args.config, options=args.cfg_options).get('feature_cache')
    if out is None:
        raise SystemExit(f'{args.config} has no feature_cache; say where by --out.')
    made = cache_features(
        args.config, out, views=args.views, plain=args.plain, degradations=args.degrade,
        options=args.cfg_options, batch_size=args.batch_size, dtype=args.dtype,
    )  # fmt: skip
    size = sum(path.stat().st_size for path in made.rglob('*') if path.is_file())
    print(f'{made}: {size / 2**20:.0f} MiB')


if __name__ == '__main__':
    run_tool(main)
