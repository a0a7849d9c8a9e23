"""The demo that needs torch alone: fuse two sensors, invert, sample, and see what ln p knows.

Two sensors watch one wave: one sees its height, the other its slope, both with noise. A flow of
cross-attention learns the density of both together. Then: the fused feature; the inputs back from
it; waves it makes up; and ln p of true pairs beside pairs whose slope is that of another wave,
which each sensor alone finds perfectly normal. Draws all of it, as SVG.

Example:
    python tools/demo_core.py --out work_dirs/demo_core
"""

import argparse
import time
from pathlib import Path

import torch
from torch import Tensor

from mango_mm.flows import gaussian_log_prob
from mango_mm.fusion import MangoFusion

TOKENS, CHANNELS = 8, 4
LENGTH = TOKENS * CHANNELS
SENSORS = ('height', 'slope')
COLOURS = {'height': '#0072b2', 'slope': '#d55e00'}


def waves(count: int, generator: torch.Generator, noise: float = 0.1) -> dict[str, Tensor]:
    """What both sensors see of ``count`` waves, (count, N, D) each."""
    phase, turns = torch.rand(2, count, 1, generator=generator)
    t = torch.linspace(0, 1, LENGTH)
    angle = 2 * torch.pi * (phase + (1 + turns) * t)
    clean = {'height': angle.sin(), 'slope': angle.cos()}
    return {
        m: (x + noise * torch.randn(x.shape, generator=generator)).unflatten(1, (TOKENS, CHANNELS))
        for m, x in clean.items()
    }


def fit(fusion: MangoFusion, steps: int, generator: torch.Generator) -> None:
    """Maximum likelihood: -ln p per dimension, nothing else."""
    optimizer = torch.optim.AdamW(fusion.parameters(), lr=4e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for step in range(steps):
        out = fusion(waves(64, generator))
        loss = -(out.log_prob / out.num_dims).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(fusion.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 49 or step == 0:
            print(f'  step {step + 1:4d} of {steps}: {loss.item():+.3f} nats per dimension')


def auroc(normal: Tensor, odd: Tensor) -> float:
    """Probability that a normal sample has the higher score of the two."""
    return float((normal[:, None] > odd[None]).double().mean())


def polyline(values: Tensor, x: float, y: float, width: float, height: float, colour: str) -> str:
    points = ' '.join(
        f'{x + width * i / (len(values) - 1):.1f},{y + height * (0.5 - float(v) / 3):.1f}'
        for i, v in enumerate(values)
    )
    return f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>'


def histogram(values: Tensor, low: float, high: float, box: tuple[float, ...], colour: str) -> str:
    x, y, width, height = box
    counts = torch.histc(values, 40, low, high)
    bars = [
        f'<rect x="{x + width * i / 40:.1f}" y="{y + height * (1 - float(c)):.1f}" '
        f'width="{width / 40:.1f}" height="{height * float(c):.1f}" fill="{colour}" opacity="0.6"/>'
        for i, c in enumerate(counts / counts.max())
    ]
    return ''.join(bars)


def draw(columns: dict[str, dict[str, Tensor]], scores: dict[str, Tensor]) -> str:
    """Two waves per column, and the histograms of ln p below, as SVG."""
    width, row = 200, 110
    parts, total = [], width * len(columns)
    for i, (title, seen) in enumerate(columns.items()):
        parts.append(f'<text x="{i * width + 8}" y="18">{title}</text>')
        for sample in range(2):
            for m in SENSORS:
                wave = seen[m][sample].flatten()
                parts.append(
                    polyline(wave, i * width + 8, 24 + sample * row, width - 16, row, COLOURS[m])
                )
    true = scores['true pairs']
    high = float(true.max())
    low = high - 5 * (high - float(true.min()))  # what is lower still is in the first bar
    top = 2 * row + 60
    for i, (title, values) in enumerate(scores.items()):
        colour = ('#009e73', '#cc79a7')[i]
        parts.append(
            f'<text x="{8 + i * total / 2}" y="{top - 8}" fill="{colour}">ln p of {title}</text>'
        )
        parts.append(histogram(values.clamp(min=low), low, high, (8, top, total - 16, row), colour))
    parts.append(f'<text x="8" y="{top + row + 18}">{low:.0f} nats and less</text>')
    parts.append(
        f'<text x="{total - 8}" y="{top + row + 18}" text-anchor="end">{high:.0f} nats</text>'
    )
    size = f'width="{total}" height="{top + row + 28}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" '
        f'font-size="13"><rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--out', type=Path, default=Path('work_dirs/demo_core'))
    parser.add_argument('--steps', type=int, default=250)
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    if args.steps < 1:
        parser.error(f'--steps must be at least 1; got {args.steps}')
    start = time.monotonic()
    torch.set_num_threads(1)  # its tensors are too small to share
    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    fusion = MangoFusion(SENSORS, CHANNELS, TOKENS, depth=4, recipe='cross_modal', normalize=False)
    print(f'A flow of {sum(p.numel() for p in fusion.parameters()):,} parameters learns ln p:')
    fit(fusion, args.steps, generator)
    fusion.eval()
    with torch.no_grad():
        seen = waves(500, torch.Generator().manual_seed(args.seed + 1))
        out = fusion(seen)
        again = fusion.inverse(out)
        error = max(float((again[m] - seen[m]).abs().max()) for m in SENSORS)
        latents = {m: torch.randn(2, TOKENS, CHANNELS, generator=generator) for m in SENSORS}
        made = fusion.decode(latents)
        apart = {'height': seen['height'], 'slope': seen['slope'].roll(1, 0)}
        odd = fusion(apart).log_prob
        noise = gaussian_log_prob(torch.cat([seen[m] for m in SENSORS], 1)).mean()
    print(f'fused: {tuple(out.fused.shape)}, one feature of both sensors')
    print(f'inverted: both sensors back from it, largest error {error:.1e}')
    print(
        f'ln p of fresh pairs: {float(out.log_prob.mean()):.1f} nats (a unit Gaussian: {noise:.1f})'
    )
    print(
        f'ln p of pairs apart: {float(odd.mean()):.1f} nats; told from true pairs with AUROC '
        f'{auroc(out.log_prob, odd):.3f}'
    )
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / 'waves.svg'
    columns = {'two sensors': seen, 'back from the fused': again, 'made up': made, 'apart': apart}
    path.write_text(draw(columns, {'true pairs': out.log_prob, 'pairs apart': odd}))
    print(f'{path}: drawn after {time.monotonic() - start:.0f} s')


if __name__ == '__main__':
    main()
