r"""How likely is every sample under a trained flow, in all and by modality?

Writes likelihood.json (per sample: bits per dimension, ln p, and each modality's share, which
add up to it), histogram.png, and where the flow works on maps, maps.png: the samples that are
least and most likely, with the bits per dimension of every position. Where a layer of the flow
mixes positions, a position's share is an approximation; the sums are exact.

Example:
    python tools/analyse/likelihood.py \
        configs/mango/mango-l2_small_1xb8-600it_mini-rooms-72x96.py \
        work_dirs/mango-l2_small_1xb8-600it_mini-rooms-72x96 --out work_dirs/likelihood
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from mango_mm.analysis.likelihood import SampleLikelihood, measure_likelihood
from mango_mm.apis.command import Parser, positive_int, run_tool
from mango_mm.apis.dict_action import DictAction
from mango_mm.visualization import draw_histogram, draw_maps
from mango_mm.visualization.domains import modality_images


def pictures_of(sample: SampleLikelihood) -> dict[str, Any] | None:
    """The sample's modalities as pictures, or None where they are no stack of channels."""
    if isinstance(sample.inputs, dict) or not sample.maps or not sample.channels:
        return None
    return modality_images(sample.inputs.numpy(), sample.channels)


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('config', help='config of a model with a MangoFusion')
    parser.add_argument('checkpoint', help='file, or work dir')
    parser.add_argument('--out', type=Path, required=True, help='folder for pictures and numbers')
    parser.add_argument('--split', default='val', choices=('train', 'val', 'test'))
    parser.add_argument(
        '--count', type=positive_int, default=2, help='samples at either end that are drawn'
    )
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE')
    args = parser.parse_args()
    try:
        found = measure_likelihood(
            args.config, args.checkpoint, split=args.split, options=args.cfg_options
        )
    except (TypeError, ValueError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from error
    args.out.mkdir(parents=True, exist_ok=True)
    lines = [sample.as_json() for sample in found]
    (args.out / 'likelihood.json').write_text(json.dumps(lines, indent=1) + '\n')
    bits = [sample.bits_per_dim for sample in found]
    groups = {'all': bits}
    for m in found[0].shares:
        groups[m] = [line['bits_per_dim_by_modality'][m] for line in lines]
    draw_histogram(groups, args.out / 'histogram.png')
    ranked = sorted(found, key=lambda sample: sample.bits_per_dim)
    count = min(args.count, len(ranked) // 2)
    rows = {}
    for kind, samples in (('most likely', ranked[:count]), ('least likely', ranked[::-1][:count])):
        for sample in samples:
            pictures = pictures_of(sample)
            if pictures is not None:
                title = f'{kind}: {Path(sample.name).stem}, {sample.bits_per_dim:.2f}'
                rows[title] = (pictures, sample.maps)
    if rows:
        draw_maps(rows, args.out / 'maps.png', window=found[0].window)
    shares = ' '.join(f'{m}={statistics.mean(groups[m]):.3f}' for m in found[0].shares)
    print(f'{len(found)} samples, bits per dimension: mean {statistics.mean(bits):.3f} ({shares})')
    print(f'written to {args.out}')


if __name__ == '__main__':
    run_tool(main)
