r"""Reconstruct, sample, interpolate and swap modalities with a trained latent flow.

Writes reconstruction.png, samples.png, interpolation.png, swap.png and generation.json.

Example:
    python tools/analyse/generate.py \
        configs/autoencoder/latent-flow_small_1xb8-600it_mini-rooms-96x128.py \
        work_dirs/latent-flow_small_1xb8-600it_mini-rooms-96x128 --out work_dirs/generated
"""

from pathlib import Path

from mango_mm.analysis.generation import generate
from mango_mm.apis.command import Parser, non_negative_int, positive_int, run_tool
from mango_mm.apis.dict_action import DictAction


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('config', help='config of a LatentFlow')
    parser.add_argument('checkpoint', help='file, or work dir')
    parser.add_argument('--out', type=Path, required=True, help='folder for pictures and numbers')
    parser.add_argument('--count', type=positive_int, default=6, help='images per picture')
    parser.add_argument('--temperature', type=float, default=0.8, help='standard deviation of z')
    parser.add_argument('--seed', type=non_negative_int, default=0, help='of the samples')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE')
    args = parser.parse_args()
    try:
        errors = generate(
            args.config, args.checkpoint, args.out, count=args.count,
            temperature=args.temperature, seed=args.seed, options=args.cfg_options,
        )  # fmt: skip
    except (TypeError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from error
    print(' '.join(f'{name}={value:.4g}' for name, value in errors.items()))
    print(f'pictures in {args.out}')


if __name__ == '__main__':
    run_tool(main)
