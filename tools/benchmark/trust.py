r"""What knowing whom to trust costs in inference: the same experts with and without it.

A config with combine='trust' is built, its trust calibrated on noise (its time does not depend on
what was learned), and one prediction timed in turns: of the mean of the experts (UME), of these
and the fused head with equal weights, and with the posterior.

Example:
    python tools/benchmark/trust.py --out docs/benchmarks \
        --config configs/mango/mango-trust-l1_small_1xb8-600it_mini-rooms-72x96.py
"""

import torch
from mmengine.registry import init_default_scope

from mango_mm.apis import load_config
from mango_mm.apis.command import run_tool
from mango_mm.benchmarking.measuring import Spread, count_flops, peak_bytes, take_turns
from mango_mm.benchmarking.report import make_parser, plot_steps, save, start
from mango_mm.registry import MODELS

UME, ALL, TRUST = 'mean of the experts', 'mean of all heads', 'trust'


def prepare(config, device):
    """The model with a calibrated trust, and its predictions of one image by name."""
    init_default_scope(config.default_scope)
    for stream in config.model.backbone.get('backbones') or {}:
        config.model.backbone.backbones[stream].pop('init_cfg', None)
    model = MODELS.build(config.model).to(device).eval()
    head, trust = model.decode_head, model.decode_head.ensemble.trust
    channels = sum(model.data_preprocessor.channels.values())
    images = torch.randn(1, channels, *config.crop_size, device=device)
    with torch.no_grad():
        described = head.describe(model.encode(images)[0])
    clean = {m: x + torch.randn(100, *x.shape[1:], device=device) for m, x in described.items()}
    trust.fit_descriptors(clean)
    trust.calibrate(clean)

    @torch.no_grad()
    def experts():
        features, _ = model.encode(images)
        return torch.stack([head.heads[m](features[m]).softmax(1) for m in head.modalities]).mean(0)

    @torch.no_grad()
    def every_head():
        read, _, _ = model.merge(model.encode(images)[0])
        return torch.stack([x.softmax(1) for x in head.logits(read).values()]).mean(0)

    @torch.no_grad()
    def trusted():
        return model.decode_head(model.merge(model.encode(images)[0])[0])

    return {UME: experts, ALL: every_head, TRUST: trusted}


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument('--config', required=True, help="with EnsembleHead(combine='trust')")
    parser.add_argument('--name', default='trust', help='of the files in --out')
    args = parser.parse_args()
    machine = start(args)
    works = prepare(load_config(args.config), args.device)
    times = take_turns(works, device=args.device, rounds=args.rounds, seconds=args.seconds)
    lines = []
    for name, work in works.items():
        over = Spread.of_ratios(times[name], times[UME])
        lines.append({
            'name': name, 'config': args.config,
            'latency_ms': round(1e3 * Spread.of(times[name]).median, 2),
            'gflops': round(count_flops(work) / 1e9, 3), 'ratio': list(over),
            'peak_mib': round(peak_bytes(work, device=args.device) / 2**20, 1),
        })  # fmt: skip
    rows = [
        '| one image | latency ms | over the experts | GFLOPs | peak MiB |\n|---|---|---|---|---|'
    ]
    rows += [
        f'| {line["name"]} | {line["latency_ms"]:.1f} | {Spread(line["ratio"])} '
        f'| {line["gflops"]:.2f} | {line["peak_mib"]:.0f} |'
        for line in lines
    ]
    save(args, args.name, machine, lines, '\n'.join(rows) + '\n')
    plot_steps(args, args.name, lines, UME)


if __name__ == '__main__':
    run_tool(main)
