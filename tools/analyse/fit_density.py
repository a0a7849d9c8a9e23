r"""Fit a density to the tokens that a trained model fuses, to notice strange samples by it.

The model stays as it is. A small flow learns the training samples' tokens, together and each
modality alone; tools/analyse/robustness.py --density then detects by it.

Example:
    python tools/analyse/fit_density.py \
        configs/mango/mango-l2_small_1xb8-600it_mini-rooms-72x96.py \
        work_dirs/mango-l2_small_1xb8-600it_mini-rooms-72x96 --out work_dirs/density.pth
"""

from pathlib import Path

from mango_mm.analysis.fit_density import fit_density, save_density
from mango_mm.apis.command import Parser, non_negative_int, positive_int, run_tool
from mango_mm.apis.dict_action import DictAction


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('config', help='config of the model')
    parser.add_argument('checkpoint', help='file, or work dir')
    parser.add_argument('--out', type=Path, required=True, help='file to write')
    parser.add_argument('--iterations', type=positive_int, default=2000)
    parser.add_argument('--depth', type=positive_int, default=2, help='blocks of the flow')
    parser.add_argument('--noise', type=float, default=0.1, help='while fitting')
    parser.add_argument('--seed', type=non_negative_int, default=0)
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE')
    args = parser.parse_args()
    try:
        density = fit_density(
            args.config,
            args.checkpoint,
            iterations=args.iterations,
            seed=args.seed,
            options=args.cfg_options,
            depth=args.depth,
            noise=args.noise,
        )
    except (TypeError, ValueError, FileNotFoundError, FloatingPointError) as error:
        raise SystemExit(str(error)) from error
    save_density(density, args.out)
    print(f'written to {args.out}')


if __name__ == '__main__':
    run_tool(main)
