r"""What every config costs: parameters, operations, images per second, memory, on any device.

Segmentors, on random images of their config's size, weights as initialised; one training step and
one prediction of a batch, in float32 and under autocast. One row per config, device, precision
and machine; a config that fails is reported, and the others go on. Rows that are there are not
measured again.

Example:
    python tools/benchmark/zoo.py --out docs/benchmarks --configs 'configs/*/*mini-rooms-72x96.py'
    python tools/benchmark/zoo.py --out /tmp/zoo --device cuda --precision fp32 amp \
        --configs 'configs/*/*mit-b3*nyuv2*.py'
"""

import gc
import json
from pathlib import Path

from tqdm import tqdm

from mango_mm.apis.command import positive_int, run_tool
from mango_mm.benchmarking.measuring import Spread, count_flops, peak_bytes, take_turns
from mango_mm.benchmarking.report import make_parser, start
from mango_mm.benchmarking.segmentor_steps import PRECISIONS, prepare_segmentor

ROOT = Path(__file__).resolve().parents[2]


def measure(path: Path, precision: str, args) -> dict:
    """One row."""
    made = prepare_segmentor(path, args.device, args.batch, precision)
    works = {'train': made.train, 'predict': made.predict_batch}
    times = take_turns(works, device=args.device, rounds=args.rounds, seconds=args.seconds)
    flops = count_flops(made.predict) if precision == 'fp32' else 0
    return {
        'size': list(made.size),
        'batch': made.batch,
        'parameters': sum(p.numel() for p in made.model.parameters()),
        'gflops': round(flops / 1e9, 3),
        'train_images_per_s': round(made.batch / Spread.of(times['train']).median, 2),
        'images_per_s': round(made.batch / Spread.of(times['predict']).median, 2),
        'train_mib': round(peak_bytes(made.train, device=args.device) / 2**20, 1),
    }


def render(lines: list[dict]) -> str:
    """A table for every machine that measured."""
    machines = sorted({x['machine'] for x in lines})
    parts = [f'{m}\n\n{_table([x for x in lines if x["machine"] == m])}' for m in machines]
    return '# What a config costs\n\n' + '\n'.join(parts)


def _table(lines: list[dict]) -> str:
    rows = [
        '| config | device | precision | parameters | GFLOPs | training images/s | images/s '
        '| training memory (MiB) |',
        '|---|---|---|---|---|---|---|---|',
    ]
    for x in lines:
        head = f'| `{x["config"]}` | {x["device"]} | {x["precision"]} '
        if 'error' in x:
            rows.append(f'{head}| failed: {x["error"]} | | | | |')
            continue
        flops = f'{x["gflops"]:.2f}' if x['gflops'] else ''
        rows.append(
            f'{head}| {x["parameters"] / 1e6:.2f} M | {flops} | {x["train_images_per_s"]:.1f} '
            f'| {x["images_per_s"]:.1f} | {x["train_mib"]:.0f} |'
        )
    return '\n'.join(rows) + '\n'


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument('--configs', nargs='+', default=['configs/*/*mini-rooms-72x96.py'],
                        metavar='GLOB', help='from the root of the repository')  # fmt: skip
    parser.add_argument('--precision', nargs='+', choices=PRECISIONS, default=['fp32'])
    parser.add_argument('--batch', type=positive_int, help="images; default the config's")
    args = parser.parse_args()
    paths = sorted({p for g in args.configs for p in ROOT.glob(g) if '_base_' not in p.parts})
    if not paths:
        parser.error(f'no config matches {args.configs}')
    machine = start(args)
    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / 'zoo.json'
    there = json.loads(file.read_text()) if file.is_file() else {'machines': {}, 'lines': []}
    lines, machines = there['lines'], there['machines']
    where = f'{machine["device"]}, {machine["threads"]} threads, torch {machine["torch"]}'
    lines = [x for x in lines if 'error' not in x]
    known = {(x['config'], x['device'], x['precision'], x['machine']) for x in lines}
    wanted = [(p, q) for p in paths for q in args.precision
              if (p.stem, args.device, q, where) not in known]  # fmt: skip
    for path, precision in tqdm(wanted, desc='configs', unit='config'):
        row = {'config': path.stem, 'device': args.device, 'precision': precision}
        row['machine'] = where
        try:
            row |= measure(path, precision, args)
        except Exception as error:  # noqa: BLE001  # one row, not the table
            row['error'] = f'{type(error).__name__}: {" ".join(str(error).split())[:120]}'
        gc.collect()
        lines.append(row)
        lines.sort(key=lambda x: (x['device'], x['precision'], x['config']))
        content = {'machines': {**machines, where: machine}, 'lines': lines}
        file.write_text(json.dumps(content, indent=1) + '\n')
        (args.out / 'zoo.md').write_text(render(lines))
    print(render(lines))
    failed = [x['config'] for x in lines if 'error' in x]
    if failed:
        raise SystemExit(f'failed: {failed}')


if __name__ == '__main__':
    run_tool(main)
