r"""Predict with a trained model: paths and texts in, JSON and a picture out.

Examples:
    python tools/infer.py mango-trust-rooms --input rgb=1.jpg depth=1.png
    python tools/infer.py CONFIG WORK_DIR --input image=poster.jpeg text="A sheriff rides in."
    python tools/infer.py CONFIG WORK_DIR --input rgb=1.jpg depth=1.png --show-dir pictures
    python tools/infer.py CONFIG WORK_DIR --input rgb=FOLDER depth=FOLDER --show-dir pictures
"""

import json

from mango_mm.apis.command import Parser, device_name, positive_int, run_tool
from mango_mm.inferencers import MangoInferencer
from mango_mm.zoo import is_model_name

ANSWERS = ('genres', 'scores', 'shares', 'words', 'classes', 'nll_per_dim', 'trust', 'alarm')


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('config', help='config file, or a name of mango_mm.list_models()')
    parser.add_argument(
        'checkpoint', nargs='?', help='file, or work dir; not needed with a name of the zoo'
    )
    parser.add_argument('--input', nargs='+', required=True, metavar='MODALITY=VALUE')
    parser.add_argument('--show-dir', help='save a picture here')
    parser.add_argument(
        '--batch-size', type=positive_int, default=1, help='samples of one size at a time'
    )
    parser.add_argument('--device', type=device_name, help='cpu, cuda, ...')
    args = parser.parse_args()
    if args.checkpoint is None and not is_model_name(args.config):
        parser.error('a config needs a checkpoint; only names of the zoo come with one')
    bad = [text for text in args.input if '=' not in text]
    if bad:
        raise SystemExit(f'--input must be MODALITY=VALUE; got {bad}.')
    sample = dict(text.split('=', 1) for text in args.input)
    try:
        infer = MangoInferencer(args.config, args.checkpoint, args.device)
        result = infer(sample, show_dir=args.show_dir, batch_size=args.batch_size)
    except (FileNotFoundError, KeyError, ValueError) as error:
        raise SystemExit(str(error)) from error
    several = result if isinstance(result, list) else [result]
    answers = [{key: one[key] for key in ANSWERS if key in one} for one in several]
    print(json.dumps(answers if isinstance(result, list) else answers[0], indent=1))
    if args.show_dir:
        print(f'picture in {args.show_dir}')


if __name__ == '__main__':
    run_tool(main)
