r"""What each modality and each token contributed to a trained model's predictions.

Integrated gradients over the tokens that enter the fusions (they add up to the score), and of a
flow also exact Jacobian-vector products through the bijection and its attention maps composed
over the layers. Writes attribution.json, contributions.png, arrivals.png and shares.png.

Example:
    python tools/analyse/attribution.py \
        configs/mango/mango-l2_small_1xb8-600it_mini-rooms-72x96.py \
        work_dirs/mango-l2_small_1xb8-600it_mini-rooms-72x96 --out work_dirs/attribution
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from mango_mm.analysis.attribution import Attribution, Explanation
from mango_mm.apis.command import Parser, positive_int, run_tool
from mango_mm.apis.dict_action import DictAction
from mango_mm.models.tasks import SegmentationTask
from mango_mm.visualization.attribution import draw_attributions, draw_shares
from mango_mm.visualization.domains import modality_images


def summed(explanation: Explanation, modality: str, size: tuple[int, int]) -> Any:
    """Contributions of all fusions at one size; their sum is kept."""
    total = np.zeros(size, np.float32)
    for stage in explanation.tokens.values():
        values = stage[modality]
        scaled = cv2.resize(values, size[::-1], interpolation=cv2.INTER_AREA)
        total += scaled * (values.sum() / scaled.sum() if abs(scaled.sum()) > 1e-12 else 1.0)
    return total


def rows_of(found: list[Explanation], channels: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Rows of both pictures: contributions, and arrivals where there are any."""
    contributions, arrivals = {}, {}
    for one in found:
        maps = [x for stage in one.tokens.values() for x in stage.values()]
        if isinstance(one.inputs, dict) or any(x.ndim != 2 for x in maps):
            continue
        pictures = modality_images(one.inputs.numpy(), channels)
        size = min((x.shape for x in maps), key=lambda s: s[0])
        title = f'{Path(one.name).stem}: {one.target}, score {one.score:.2f}'
        names = list(one.by_modality)
        contributions[title] = {m: (pictures[m], summed(one, m, size)) for m in names}
        if one.arrivals and all(x.ndim == 2 for x in one.arrivals.values()):
            arrivals[title] = {f'from {m}': (pictures[m], one.arrivals[m]) for m in names}
    return contributions, arrivals


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('config', help='config of a model with a fusion')
    parser.add_argument('checkpoint', help='file, or work dir')
    parser.add_argument('--out', type=Path, required=True, help='folder for pictures and numbers')
    parser.add_argument('--split', default='val', choices=('train', 'val', 'test'))
    parser.add_argument('--count', type=positive_int, default=4, help='samples, from the first')
    parser.add_argument('--target', help='a class; default: what was predicted')
    parser.add_argument(
        '--steps', type=positive_int, default=16, help='of the integrated gradients'
    )
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE')
    args = parser.parse_args()
    try:
        attribution = Attribution.open(args.config, args.checkpoint, args.cfg_options, args.steps)
        explained = attribution.explain(args.split, args.count, args.target)
        found = list(tqdm(explained, desc='attribution', total=args.count, unit='sample'))
    except (TypeError, ValueError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from error
    if not found:
        raise SystemExit(f'the {args.split} split of {args.config} is empty.')
    args.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps([one.as_json() for one in found], indent=1)
    (args.out / 'attribution.json').write_text(text + '\n')
    draw_shares(
        {f'{Path(one.name).stem} {one.target}': one.shares for one in found},
        args.out / 'shares.png',
    )
    if isinstance(attribution.task, SegmentationTask):
        contributions, arrivals = rows_of(found, attribution.model.data_preprocessor.channels)
        if contributions:
            draw_attributions(contributions, args.out / 'contributions.png')
        if arrivals:
            draw_attributions(arrivals, args.out / 'arrivals.png')
    for m in found[0].by_modality:
        mean = statistics.mean(one.by_modality[m] for one in found)
        share = statistics.mean(one.shares[m] for one in found)
        drawn = [one.drawn_from[m] for one in found if one.drawn_from]
        more = f', {statistics.mean(drawn):.1%} of the composed attention' if drawn else ''
        print(f'{m}: contributes {mean:+.3f} on average, {share:.1%} of all{more}')
    rest = statistics.mean(abs(one.rest) for one in found)
    print(f'mean |rest| of the quadrature {rest:.2g}; written to {args.out}')


if __name__ == '__main__':
    run_tool(main)
