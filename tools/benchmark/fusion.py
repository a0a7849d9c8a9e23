r"""Every fusion of mango_mm.fusion on the same tokens: time, memory, parameters, operations.

Fusions run in turns on one grid of tokens of two modalities; a step is forward and backward
of the fused feature's mean square and, where there is one, the likelihood.

Example:
    python tools/benchmark/fusion.py --out docs/benchmarks
    python tools/benchmark/fusion.py --grid 32 32 --batch 8 --device cuda --out /tmp/fusion
"""

import inspect

import torch

from mango_mm import fusion
from mango_mm.apis.command import positive_int, run_tool
from mango_mm.benchmarking.measuring import (
    Spread,
    count_flops,
    peak_bytes,
    take_turns,
)
from mango_mm.benchmarking.report import make_parser, plot_steps, save, start

MODALITIES = ('rgb', 'depth')
REFERENCE = 'ConcatFusion'
MANGO = {
    'L = 2': {'depth': 2},
    'L = 2, cross_modal': {'depth': 2, 'recipe': 'cross_modal'},
    'L = 12': {'depth': 12},
}


def make_fusions(args):
    """One of every exported class, by its defaults; MANGO in several depths."""
    tokens = args.grid[0] * args.grid[1]
    made = {}
    for name in fusion.__all__:
        made_of = getattr(fusion, name)
        is_fusion = inspect.isclass(made_of) and issubclass(made_of, fusion.Fusion)
        if not is_fusion or inspect.isabstract(made_of):
            continue
        if made_of is fusion.MangoFusion:
            for title, options in MANGO.items():
                made[f'{name}, {title}'] = made_of(MODALITIES, args.dim, tokens, **options)
        else:
            made[name] = made_of(MODALITIES, args.dim)
    return {name: model.to(args.device) for name, model in made.items()}


def step(model, features, grid):
    model.zero_grad(set_to_none=True)
    out = model(features, grid=grid)
    loss = out.fused.square().mean()
    nll = out.nll_per_dim()
    (loss if nll is None else loss + nll.mean()).backward()


def measure(args):
    tokens, grid = args.grid[0] * args.grid[1], tuple(args.grid)
    shape = (args.batch, tokens, args.dim)
    features = {m: torch.randn(shape, device=args.device) for m in MODALITIES}
    models = make_fusions(args)
    steps = {name: lambda model=m: step(model, features, grid) for name, m in models.items()}
    quiet = torch.no_grad()
    forwards = {
        name: quiet(lambda model=m: model(features, grid=grid)) for name, m in models.items()
    }
    times = take_turns(steps, device=args.device, rounds=args.rounds, seconds=args.seconds)
    for model in models.values():
        model.eval()
    quick = take_turns(forwards, device=args.device, rounds=args.rounds, seconds=args.seconds)
    lines = []
    for name, seconds in times.items():
        models[name].train()
        over = Spread.of_ratios(seconds, times[REFERENCE])
        lines.append({
            'name': name,
            'parameters': sum(p.numel() for p in models[name].parameters()),
            'step_ms': round(1e3 * Spread.of(seconds).median, 2),
            'ratio': list(over),
            'forward_ms': round(1e3 * Spread.of(quick[name]).median, 2),
            'forward_gflops': round(count_flops(forwards[name]) / args.batch / 1e9, 3),
            'peak_mib': round(peak_bytes(steps[name], device=args.device) / 2**20, 1),
        })  # fmt: skip
        print(f'{name}: {over} x {REFERENCE}', flush=True)
    return lines


def render(lines, args):
    texts = [
        f'\n{args.grid[0]} x {args.grid[1]} tokens of each of two modalities, D = {args.dim}, '
        f'B = {args.batch}; GFLOPs of the forward per sample\n',
        f'| fusion | parameters | GFLOPs | forward ms | step ms | step over {REFERENCE} '
        '| peak MiB |',
        '|---|---|---|---|---|---|---|',
    ]
    texts += [
        f'| {line["name"]} | {line["parameters"] / 1e6:.2f} M | {line["forward_gflops"]:.2f} '
        f'| {line["forward_ms"]:.1f} | {line["step_ms"]:.1f} | {Spread(line["ratio"])} '
        f'| {line["peak_mib"]:.0f} |'
        for line in lines
    ]
    return '\n'.join(texts) + '\n'


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument('--grid', type=positive_int, nargs=2, default=[16, 16])
    parser.add_argument('--dim', type=positive_int, default=256)
    parser.add_argument('--batch', type=positive_int, default=4)
    args = parser.parse_args()
    machine = start(args)
    lines = measure(args)
    save(args, 'fusion', machine, lines, render(lines, args))
    plot_steps(args, 'fusion', lines, REFERENCE)


if __name__ == '__main__':
    run_tool(main)
