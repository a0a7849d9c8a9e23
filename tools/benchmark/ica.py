r"""One layer of ICA against causal attention with the same projections.

For every number n of moved tokens: the forward pass, forward and backward, and the inverse,
by every kernel, in turns. Ratios are to F.scaled_dot_product_attention(is_causal=True) in a
layer with the same projections, without a log-determinant; of the inverse, to ICA's own
forward. ``naive`` is the formula as printed: dense softmax + I, LU and pseudo-inverse.

Example:
    python tools/benchmark/ica.py --out docs/benchmarks
    python tools/benchmark/ica.py --sizes 256 4096 --dims 64 --device cuda --out /tmp/ica
"""

import torch

from mango_mm.apis.command import positive_int, run_tool
from mango_mm.benchmarking.attention_layers import CausalAttention, NaiveICA
from mango_mm.benchmarking.measuring import (
    Spread,
    count_flops,
    peak_bytes,
    take_turns,
)
from mango_mm.benchmarking.report import make_parser, save, start
from mango_mm.flows import InvertibleCrossAttention, TokenPartition
from mango_mm.visualization import draw_ratios

DENSE_UP_TO = 4096  # above, a dense matrix takes gigabytes
PINV_UP_TO = 1024  # above, an SVD takes minutes
TOKENS = 2048  # of a batch: B = TOKENS / n, at least 1
WORKS = ('forward', 'forward + backward', 'inverse')


def layers(n, dim, device):
    """Every way of doing it, with the same weights."""
    partition = TokenPartition.mmca((n, n), target=1)
    made = {'SDPA': CausalAttention(dim)}
    kernels = ['auto', 'chunked'] + (['dense'] if n <= DENSE_UP_TO else [])
    for kernel in kernels:
        made[kernel] = InvertibleCrossAttention(dim, partition, kernel=kernel)
    if n <= DENSE_UP_TO:
        made['naive'] = NaiveICA(dim)
    for layer in made.values():
        layer.query.load_state_dict(made['SDPA'].query.state_dict())
        layer.key.load_state_dict(made['SDPA'].key.state_dict())
    return {name: layer.to(device) for name, layer in made.items()}


def step(layer, x):
    """Forward and backward of ||y||^2 / 2 - ln|det|."""
    layer.zero_grad(set_to_none=True)
    y, log_det = layer(x)
    loss = 0.5 * y.square().sum()
    (loss if log_det is None else loss - log_det.sum()).backward()


def back(layer, y):
    return layer.inverse(y)


def works_of(kind, made, x):
    """The functions to time, by name."""
    if kind == 'forward + backward':
        x = x.clone().requires_grad_()
        return {name: lambda layer=layer: step(layer, x) for name, layer in made.items()}
    quiet = torch.no_grad()
    works = {name: quiet(lambda layer=layer: layer(x)) for name, layer in made.items()}
    if kind == 'forward':
        return works
    inverses = {
        name: quiet(lambda layer=layer: back(layer, x))
        for name, layer in made.items()
        if name != 'SDPA' and (name != 'naive' or x.shape[1] <= 2 * PINV_UP_TO)
    }
    return {'SDPA': works['auto'], **inverses}  # the inverse is compared with ICA's own forward


def measure(n, dim, args):
    """One line of the table per kind of work and way of doing it."""
    torch.manual_seed(0)
    batch = max(1, TOKENS // n)
    x = torch.randn(batch, 2 * n, dim, device=args.device)
    made = layers(n, dim, args.device)
    lines = []
    for kind in WORKS:
        works = works_of(kind, made, x)
        times = take_turns(works, device=args.device, rounds=args.rounds, seconds=args.seconds)
        reference = times['SDPA']
        for name, seconds in times.items():
            ratio = Spread.of_ratios(seconds, reference)
            lines.append({
                'work': kind, 'n': n, 'dim': dim, 'batch': batch, 'name': name,
                'ms': round(1e3 * Spread.of(seconds).median, 3), 'ratio': list(ratio),
                'peak_mib': round(peak_bytes(works[name], device=args.device) / 2**20, 2),
                'gflops': round(count_flops(works[name]) / 1e9, 4),
            })  # fmt: skip
    return lines


def render(lines, machine):
    """Markdown tables, one per kind of work and width."""
    texts = []
    for kind in WORKS:
        to = 'the forward of ICA (auto)' if kind == 'inverse' else 'causal SDPA'
        for dim in sorted({line['dim'] for line in lines}):
            mine = [line for line in lines if (line['work'], line['dim']) == (kind, dim)]
            names = [n for n in dict.fromkeys(line['name'] for line in mine) if n != 'SDPA']
            texts.append(f'\n{kind}, D = {dim}: time over {to}, median (quartiles)\n')
            texts.append(
                '| n | B | reference ms | floor / reference | ' + ' | '.join(names)
                + ' | MiB: ' + ', '.join(names) + ' |'
            )  # fmt: skip
            texts.append('|---' * (5 + len(names)) + '|')
            for n in sorted({line['n'] for line in mine}):
                row = {line['name']: line for line in mine if line['n'] == n}
                reference = row['SDPA']
                cells = [str(Spread(row[name]['ratio'])) if name in row else '-' for name in names]
                memory = ', '.join(
                    f'{row[name]["peak_mib"]:.0f}' if name in row else '-' for name in names
                )
                floor = 1e3 * row['auto']['gflops'] / machine['matmul_gflops']
                texts.append(
                    f'| {n} | {reference["batch"]} | {reference["ms"]:.2f} | '
                    f'{floor / reference["ms"]:.2f} | ' + ' | '.join(cells) + f' | {memory} |'
                )
    return '\n'.join(texts) + '\n'


def plot(lines, path, dim):
    panels = {}
    for line in lines:
        if line['dim'] == dim and line['name'] != 'SDPA':
            title = f'{line["work"]}, D = {dim}'
            points = panels.setdefault(title, {}).setdefault(line['name'], [])
            points.append((line['n'], *line['ratio']))
    marks = {f'forward + backward, D = {dim}': 1.1, f'inverse, D = {dim}': 1.5}
    draw_ratios(
        panels, path, xlabel='tokens n', ylabel='time / causal SDPA (inverse: / forward)',
        marks=marks,
    )  # fmt: skip


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument(
        '--sizes', type=positive_int, nargs='+', default=[2**i for i in range(6, 15)]
    )
    parser.add_argument('--dims', type=positive_int, nargs='+', default=[64, 256])
    args = parser.parse_args()
    machine = start(args)
    lines = []
    for dim in args.dims:
        for n in args.sizes:
            lines += measure(n, dim, args)
            ours = [x for x in lines if (x['n'], x['dim'], x['name']) == (n, dim, 'auto')]
            summary = ', '.join(f'{x["work"]} {Spread(x["ratio"])}' for x in ours)
            print(f'D = {dim}, n = {n}: {summary}', flush=True)
    save(args, 'ica', machine, lines, render(lines, machine))
    for dim in args.dims:
        plot(lines, args.out / f'ica_d{dim}.png', dim)


if __name__ == '__main__':
    run_tool(main)
