r"""The whole flow: a training step, the inverse, memory and round-trip error, by depth.

Blocks as in the paper (8 layers of ICA and a coupling each) over two modalities, against a
stack of as many causal attention layers with the same projections, in turns. Shorter blocks
say where the difference comes from; the arithmetic floor is operations over the measured
peak of a matrix product.

Example:
    python tools/benchmark/flow.py --out docs/benchmarks
    python tools/benchmark/flow.py --depths 12 --batch 8 --device cuda --out /tmp/flow
"""

import torch
from torch import nn

from mango_mm.apis.command import positive_int, run_tool
from mango_mm.benchmarking.attention_layers import CausalAttention
from mango_mm.benchmarking.measuring import (
    Spread,
    count_flops,
    peak_bytes,
    take_turns,
)
from mango_mm.benchmarking.report import make_parser, save, start
from mango_mm.fusion import MangoFusion
from mango_mm.visualization import draw_bars

ICA_LAYERS = 8  # per block of the paper
VARIANTS = {
    'MANGO': {},
    'MANGO, with_cp': {'with_cp': True},
    'without couplings': {'recipe': ['mmca', 'imca', 'lica']},
    'couplings and 6 of 8 ICA (no LICA)': {'recipe': ['mmca', 'imca', 'coupling']},
    '6 of 8 ICA alone': {'recipe': ['mmca', 'imca']},
}


class AttentionStack(nn.Module):
    """As many attention layers, the halves of the tokens taking turns."""

    def __init__(self, dim: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(CausalAttention(dim) for _ in range(depth))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
        for layer in self.layers:
            x, _ = layer(x)
            x = torch.cat([*reversed(x.chunk(2, dim=1))], dim=1)
        return x, None


def flow_of(depth, args, **options):
    half = args.tokens // 2
    fusion = MangoFusion(('a', 'b'), args.dim, half, depth=depth, **options)
    return fusion.flow.to(args.device)


def step(model, x):
    """Forward and backward of ||z||^2 / 2 - ln|det|."""
    model.zero_grad(set_to_none=True)
    z, log_det = model(x)
    loss = 0.5 * z.square().sum()
    (loss if log_det is None else loss - log_det.sum()).backward()


def measure(depth, args, machine):
    """Lines of one depth: every variant's step, then the flow's forward and inverse."""
    x = torch.randn(args.batch, args.tokens, args.dim, device=args.device)
    models = {'attention': AttentionStack(args.dim, ICA_LAYERS * depth).to(args.device)}
    variants = VARIANTS if depth == args.parts_at else dict(list(VARIANTS.items())[:2])
    models |= {name: flow_of(depth, args, **options) for name, options in variants.items()}
    works = {name: lambda model=model: step(model, x) for name, model in models.items()}
    times = take_turns(works, device=args.device, rounds=args.rounds, seconds=args.seconds)
    flow = models['MANGO'].eval()
    with torch.no_grad():
        z, _ = flow(x)
        error = float((flow.inverse(z)[0] - x).norm() / x.norm())
    quiet = torch.no_grad()
    ways = {'forward': quiet(lambda: flow(x)), 'inverse': quiet(lambda: flow.inverse(z))}
    both = take_turns(ways, device=args.device, rounds=args.rounds, seconds=args.seconds)
    back = Spread.of_ratios(both['inverse'], both['forward'])
    lines = []
    for name, seconds in times.items():
        flops = count_flops(works[name])
        lines.append({
            'depth': depth, 'name': name,
            'parameters': sum(p.numel() for p in models[name].parameters()),
            'step_ms': round(1e3 * Spread.of(seconds).median, 1),
            'ratio': list(Spread.of_ratios(seconds, times['attention'])),
            'gflops': round(flops / 1e9, 6),
            'floor_ms': round(1e3 * flops / 1e9 / machine['matmul_gflops'], 1),
            'peak_mib': round(peak_bytes(works[name], device=args.device) / 2**20, 1),
        })  # fmt: skip
    lines[1] |= {
        'forward_ms': round(1e3 * Spread.of(both['forward']).median, 1),
        'inverse_over_forward': list(back),
        'round_trip_error': error,
    }
    return lines


def render(lines, args):
    texts = [
        f'\nN = {args.tokens} tokens of two modalities, D = {args.dim}, B = {args.batch}\n',
        '| L | model | parameters | step ms | over attention | GFLOPs | floor ms | peak MiB '
        '| inverse / forward | round-trip error |',
        '|---|---|---|---|---|---|---|---|---|---|',
    ]
    for line in lines:
        back = line.get('inverse_over_forward')
        error = line.get('round_trip_error')
        texts.append(
            f'| {line["depth"]} | {line["name"]} | {line["parameters"] / 1e6:.1f} M '
            f'| {line["step_ms"]:.0f} | {Spread(line["ratio"])} | {line["gflops"]:.0f} '
            f'| {line["floor_ms"]:.0f} | {line["peak_mib"]:.0f} '
            f'| {Spread(back) if back else ""} | {f"{error:.1e}" if error else ""} |'
        )
    return '\n'.join(texts) + '\n'


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument('--depths', type=positive_int, nargs='+', default=[6, 8, 12, 16])
    parser.add_argument('--parts-at', type=positive_int, default=12, help='depth taken apart')
    parser.add_argument('--tokens', type=positive_int, default=512)
    parser.add_argument('--dim', type=positive_int, default=256)
    parser.add_argument('--batch', type=positive_int, default=4)
    args = parser.parse_args()
    machine = start(args)
    lines = []
    for depth in args.depths:
        lines += measure(depth, args, machine)
        ours = next(x for x in lines if (x['depth'], x['name']) == (depth, 'MANGO'))
        print(f'L = {depth}: {Spread(ours["ratio"])} x attention', flush=True)
    save(args, 'flow', machine, lines, render(lines, args))
    shown = sorted({args.parts_at, max(args.depths)} & set(args.depths))
    panels = {
        f'step over attention, L = {depth}': {
            line['name']: tuple(line['ratio']) for line in lines if line['depth'] == depth
        }
        for depth in shown
    }
    draw_bars(panels, args.out / 'flow.png')


if __name__ == '__main__':
    run_tool(main)
