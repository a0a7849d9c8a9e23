"""Write a trained segmentation model as ONNX and check it with onnxruntime.

Example:
    python tools/export_onnx.py CONFIG work_dirs/demo/MANGO/seed0 mango.onnx
"""

from mango_mm.apis.command import Parser, positive_int, run_tool
from mango_mm.apis.export import export_onnx


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint, or a work dir for its newest')
    parser.add_argument('out', help='the .onnx file to write')
    parser.add_argument(
        '--size', type=positive_int, nargs=2, metavar=('H', 'W'), help='of the images'
    )
    args = parser.parse_args()
    try:
        done = export_onnx(args.config, args.checkpoint, args.out, size=args.size)
    except (OSError, ValueError, ImportError, ArithmeticError) as error:
        raise SystemExit(f'{type(error).__name__}: {error}') from error
    height, width = done['size']
    more = ''.join(f', {name}' for name in done['outputs'][1:])
    print(
        f'{done["out"]}: images (N, {done["channels"]}, {height}, {width}) -> logits '
        f"(N, {done['classes']}, {height}, {width}){more}; onnxruntime's outputs differ from "
        f"PyTorch's by {done['difference']:.0e} of the largest."
    )


if __name__ == '__main__':
    run_tool(main)
