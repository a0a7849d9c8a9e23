r"""Fit and calibrate the trust of a model that is trained already; see docs/trust.md.

With another grid or rate, on other clean samples (of the camera that the model has been moved to),
or for the first time. The last --hold-out samples of the training list calibrate: the stated rate
of false alarms holds if the model was not trained on them. Writes a checkpoint.

Example:
    python tools/analyse/calibrate_trust.py CONFIG WORK_DIR --out work_dirs/finer.pth \
        --cfg-options "model.decode_head.trust.grid=(6, 8)"
"""

from pathlib import Path

from mango_mm.analysis.calibrate_trust import calibrate_trust
from mango_mm.apis.command import Parser, non_negative_int, positive_int, run_tool
from mango_mm.apis.dict_action import DictAction


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('config', help='config of the model')
    parser.add_argument('checkpoint', help='file, or work dir')
    parser.add_argument('--out', type=Path, required=True, help='checkpoint to write')
    parser.add_argument('--hold-out', type=positive_int, help="instead of the config's")
    parser.add_argument('--iterations', type=positive_int, help='of the density, likewise')
    parser.add_argument('--samples', type=positive_int, help='most that it is fitted to, likewise')
    parser.add_argument('--seed', type=non_negative_int, help='of the density, likewise')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE')
    args = parser.parse_args()
    named = ('hold_out', 'iterations', 'samples', 'seed')
    changed = {k: getattr(args, k) for k in named if getattr(args, k) is not None}
    try:
        ensemble = calibrate_trust(
            args.config, args.checkpoint, args.out, options=args.cfg_options, **changed
        )
    except (TypeError, ValueError, FileNotFoundError, FloatingPointError) as error:
        raise SystemExit(str(error)) from error
    names = [*ensemble.modalities, 'fused']
    for state, weights in zip(ensemble.trust.states, ensemble.weights.weights.tolist()):
        print(f'{state}: ' + ', '.join(f'{n} {w:.3f}' for n, w in zip(names, weights)))
    print(f'false alarms on samples like those held out: at most {ensemble.trust.rate:.0%}')
    print(f'written to {args.out}')


if __name__ == '__main__':
    run_tool(main)
