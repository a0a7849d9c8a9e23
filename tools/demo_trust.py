"""The demo of trust: train one model on generated rooms, break its sensors, see whom it believes.

One training of two experts, a fused head and the density of what the sensors show; calibrated on
clean rooms that were held out. Then every sensor fails in several ways that the model was never
shown. Prints the table, and saves a panel and the bars.

Example:
    python tools/demo_trust.py --seeds 0
"""

import json
import os
import time
from pathlib import Path

import numpy as np
from PIL import Image

from mango_mm.analysis.degraded_pipeline import frame_degradation
from mango_mm.analysis.failure_tables import mean_over_failures, render_failures
from mango_mm.analysis.sensor_failures import SensorFailures
from mango_mm.apis import train
from mango_mm.apis.command import Parser, non_negative_int, positive_int, run_tool
from mango_mm.comparison.budget import budget
from mango_mm.datasets.mini.write_rooms import write_rooms
from mango_mm.inferencers import MangoInferencer
from mango_mm.registry import TRANSFORMS, build_ours
from mango_mm.visualization import colour_labels, draw_panel
from mango_mm.visualization.trust import draw_fading, draw_failures

CONFIG = (
    Path(__file__).resolve().parents[1]
    / 'configs/mango/mango-trust-l1_small_1xb8-600it_mini-rooms-72x96.py'
)
KINDS = ('depth_dropout:3', 'depth_frozen:3', 'depth_dropout:5', 'rgb_noise:3', 'rgb_blackout:5',
         'rgb_frozen:3')  # fmt: skip
SHOWN = ('trust', 'mean', 'fused', 'told, one frame')


def draw(data: Path, work_dir: Path, path: Path) -> None:
    """One row per failure of one room: sensors, truth, prediction, trust."""
    infer = MangoInferencer(CONFIG, work_dir)
    rgb, mask, depth = (data / p for p in (data / 'val.txt').read_text().split('\n')[0].split('\t'))
    pipeline = infer.config.test_dataloader.dataset.pipeline
    loading = [build_ours(TRANSFORMS, dict(t)) for t in pipeline[:2]]
    results = {'img_path': str(rgb), 'depth_path': str(depth), 'seg_fields': []}
    for transform in loading:
        results = transform(results)
    truth = colour_labels(np.asarray(Image.open(mask)), infer.meta['palette'])
    rows = []
    for kind in ('', *KINDS):
        seen = dict(results)
        if kind:
            name, _, severity = kind.partition(':')
            step = frame_degradation(pipeline, infer.modalities, name, int(severity))
            seen = build_ours(TRANSFORMS, step)(seen)
        pictures = infer({'rgb': seen['img'][..., ::-1], 'depth': seen['depth']})['pictures']
        first, second, said, *others = list(pictures)
        renamed = {f'{kind or "clean"}: {first}': pictures[first], second: pictures[second]}
        renamed |= {'ground truth': truth, said: pictures[said]}
        rows.append(draw_panel(renamed | {o: pictures[o] for o in others}))
    Image.fromarray(np.concatenate(rows)).save(path)


def fade(data: Path, work_dir: Path, path: Path, rooms: int = 12) -> None:
    """Trust over a sequence in which a camera slowly goes dark, or fills with noise."""
    infer = MangoInferencer(CONFIG, work_dir)
    lines = (data / 'val.txt').read_text().split('\n')[:rooms]
    pairs = [[data / p for p in line.split('\t')] for line in lines]
    images = [(np.asarray(Image.open(rgb)).astype(float), depth) for rgb, _, depth in pairs]
    rng = np.random.default_rng(0)
    noise = [rng.normal(0, 90, image.shape) for image, _ in images]
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for step in np.linspace(0, 1, 11):
        shown = {
            'RGB goes dark': [(1 - step) * image for image, _ in images],
            'RGB fills with noise': [x + step * n for (x, _), n in zip(images, noise)],
        }
        for title, frames in shown.items():
            found = [
                infer({'rgb': np.clip(f, 0, 255).astype(np.uint8), 'depth': depth})['trust']
                for f, (_, depth) in zip(frames, images)
            ]
            for m in infer.modalities:
                mean = float(np.mean([t[m] for t in found]))
                panels.setdefault(title, {}).setdefault(m, []).append((float(step), mean))
    draw_fading(panels, path)


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('--seeds', type=non_negative_int, nargs='+', default=[0])
    parser.add_argument('--out', type=Path, default=Path('work_dirs/demo_trust'))
    parser.add_argument('--data', type=Path, default=Path('data/mini_rooms_trust'))
    parser.add_argument('--iters', type=positive_int, default=600, help='iterations of each run')
    args = parser.parse_args()
    start = time.monotonic()
    write_rooms(args.data, train=300, val=60, size=(72, 96))
    os.environ['MANGO_MINI_ROOMS'] = str(args.data)
    lines = []
    for seed in args.seeds:
        work_dir = args.out / f'seed{seed}'
        options = {
            'randomness.seed': seed,
            **budget(args.iters, validations=1),
            'train_dataloader.num_workers': 1,
            'val_dataloader.num_workers': 1,
        }
        train(CONFIG, work_dir=work_dir, options=options)
        check = SensorFailures(CONFIG, work_dir)
        found = check.run(check.conditions(['kinds', 'emm'], KINDS))
        lines += [{'seed': seed, **line} for line in found]
        print(f'seed {seed}')
        print(render_failures(found, len(check.modalities)))
        draw_failures(found, SHOWN, work_dir / 'failures.png', metric='mIoU')
        draw(args.data, work_dir, work_dir / 'panels.png')
        fade(args.data, work_dir, work_dir / 'fading.png')
    (args.out / 'failures.json').write_text(json.dumps(lines, indent=1) + '\n')
    failed = [line for line in lines if line['protocol'] != 'clean']
    for rule in SHOWN:
        clean = [x for x in lines if x['protocol'] == 'clean' and x['rule'] == rule]
        broken = [x for x in failed if x['rule'] == rule]
        print(
            f'{rule:>16}: mIoU {mean_over_failures(clean, "mIoU"):.1f} with working sensors, '
            f'{mean_over_failures(broken, "mIoU"):.1f} over failures'
        )
    print(f'{time.monotonic() - start:.0f} s; written to {args.out}')


if __name__ == '__main__':
    run_tool(main)
