r"""A whole segmentor from its config: unimodal, concatenation, MANGO and the baselines.

Each runs one optimiser step of mmengine's (forward, losses, backward, clipping, update) and
one prediction, in turns, on random images of the config's size. The columns are those of the
paper's Table 8, and images per second, and peak memory. Weights are not loaded.

Example:
    python tools/benchmark/train_step.py --out docs/benchmarks --name train_step_small
    python tools/benchmark/train_step.py --out /tmp/mit --name mit --batch 2 \
        --run RGB=configs/unimodal/rgb_mit-b3_2xb4-40k_nyuv2-480x640.py \
        --run MANGO=configs/mango/mango-l2_mit-b3_2xb4-40k_nyuv2-480x640.py
"""

from pathlib import Path

from mango_mm.apis.command import positive_int, run_tool
from mango_mm.benchmarking.measuring import (
    Spread,
    count_flops,
    peak_bytes,
    take_turns,
)
from mango_mm.benchmarking.report import make_parser, plot_steps, save, start
from mango_mm.benchmarking.segmentor_steps import prepare_segmentor

SMALL = {
    'RGB only': 'configs/unimodal/rgb_small_1xb8-600it_mini-rooms-72x96.py',
    'depth only': 'configs/unimodal/depth_small_1xb8-600it_mini-rooms-72x96.py',
    'concat': 'configs/concat/concat_small_1xb8-600it_mini-rooms-72x96.py',
    'cross-attention': (
        'configs/cross_attention/cross-attention_small_1xb8-600it_mini-rooms-72x96.py'
    ),
    'MANGO': 'configs/mango/mango-l2_small_1xb8-600it_mini-rooms-72x96.py',
    'MANGO cross-modal': 'configs/mango/mango-cross-modal-l1_small_1xb8-600it_mini-rooms-72x96.py',
}  # fmt: skip


def parse_run(text: str) -> tuple[str, str]:
    """``NAME=CONFIG`` to its parts."""
    name, _, config = text.partition('=')
    if not name or not Path(config).is_file():
        raise SystemExit(f'--run must be NAME=CONFIG of a file; got {text!r}.')
    return name, config


def measure(runs, args):
    made = {name: prepare_segmentor(path, args.device, args.batch) for name, path in runs.items()}
    sizes = {m.size for m in made.values()}
    if len(sizes) > 1:
        raise SystemExit(f'the configs must have one image size; got {sorted(sizes)}.')
    steps = {name: m.train for name, m in made.items()}
    times = take_turns(steps, device=args.device, rounds=args.rounds, seconds=args.seconds)
    predictions = {name: m.predict for name, m in made.items()}
    latency = take_turns(predictions, device=args.device, rounds=args.rounds, seconds=args.seconds)
    first = next(iter(runs))
    lines = []
    for name, m in made.items():
        step = Spread.of(times[name])
        over = Spread.of_ratios(times[name], times[first])
        lines.append({
            'name': name, 'config': runs[name], 'batch': m.batch, 'size': list(m.size),
            'parameters': sum(p.numel() for p in m.model.parameters()),
            'gflops': round(count_flops(m.predict) / 1e9, 3),
            'latency_ms': round(1e3 * Spread.of(latency[name]).median, 2),
            'images_per_s': round(m.batch / step.median, 2),
            'ratio': list(over),
            'peak_mib': round(peak_bytes(m.train, device=args.device) / 2**20, 1),
        })  # fmt: skip
        print(f'{name}: {over} x {first}', flush=True)
    return lines


def render(lines):
    first = lines[0]
    height, width = first['size']
    texts = [
        f'\n{height} x {width} pixels, training batch {first["batch"]}; latency and GFLOPs of one '
        'image; peak memory of a training step, weights not counted\n',
        '| model | parameters | GFLOPs | latency ms | training images/s '
        f'| step over {first["name"]} | peak MiB |',
        '|---|---|---|---|---|---|---|',
    ]
    texts += [
        f'| {line["name"]} | {line["parameters"] / 1e6:.2f} M | {line["gflops"]:.2f} '
        f'| {line["latency_ms"]:.1f} | {line["images_per_s"]:.1f} | {Spread(line["ratio"])} '
        f'| {line["peak_mib"]:.0f} |'
        for line in lines
    ]
    return '\n'.join(texts) + '\n'


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument('--run', action='append', metavar='NAME=CONFIG', help='the first is 1.0')
    parser.add_argument('--name', default='train_step', help='of the files in --out')
    parser.add_argument(
        '--batch', type=positive_int, default=None, help="images; default the config's"
    )
    args = parser.parse_args()
    runs = dict(parse_run(text) for text in args.run) if args.run else SMALL
    machine = start(args)
    lines = measure(runs, args)
    save(args, args.name, machine, lines, render(lines))
    plot_steps(args, args.name, lines, lines[0]['name'])


if __name__ == '__main__':
    run_tool(main)
