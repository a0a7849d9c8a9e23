r"""Operations, parameters, time and memory of one config, like mmseg's tool of the same name.

mmseg's own feeds three channels, and fails with mmengine 0.10.7 on its own configs too. This one
takes a sample of the config's validation data, or, with --shape, an image of noise.

Example:
    python tools/analyse/get_flops.py \
        configs/mango/mango-l2_small_1xb8-600it_mini-rooms-72x96.py --shape 72 96
"""

from __future__ import annotations

import torch
from mmengine.logging import MMLogger

from mango_mm.apis.command import Parser, positive_int, run_tool
from mango_mm.apis.dict_action import DictAction
from mango_mm.apis.open_model import open_model
from mango_mm.benchmarking.measuring import count_flops
from mango_mm.comparison.cost import measure_costs


def flops_of_noise(
    path: str, shape: tuple[int, int], options: dict[str, object]
) -> dict[str, float]:
    """GFLOPs and parameters of predicting an image of a segmentor's channels, (C, *shape)."""
    _, model = open_model(path, options=options)
    channels = getattr(model.data_preprocessor, 'channels', None)
    if channels is None:
        raise SystemExit(
            f'--shape is for segmentors of images; {path} has a {type(model).__name__}. Leave it '
            'out: a sample of its data is taken.'
        )
    image = torch.rand(1, sum(channels.values()), *shape)
    metas = [dict(ori_shape=shape, img_shape=shape, pad_shape=shape)]

    def predict() -> None:
        with torch.no_grad():
            model.encode_decode(image, metas)

    return {
        'gflops': count_flops(predict) / 1e9,
        'params': sum(p.numel() for p in model.parameters()) / 1e6,
    }


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('config', help='of any task')
    parser.add_argument('--shape', type=positive_int, nargs=2, metavar=('H', 'W'))
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE')
    args = parser.parse_args()
    options = args.cfg_options or {}
    MMLogger.get_current_instance().setLevel('WARNING')  # what is initialised how, is not asked
    try:
        if args.shape:
            found = flops_of_noise(args.config, tuple(args.shape), options)
        else:
            found = measure_costs({'': (args.config, options)})['']
    except (FileNotFoundError, ValueError, TypeError) as error:
        raise SystemExit(str(error)) from error
    print(f'{found["gflops"]:.2f} GFLOPs, {found["params"]:.2f} M parameters')
    if 'latency_ms' in found:
        print(
            f'{found["latency_ms"]:.1f} ms to predict a sample, '
            f'{found["train_mib"]:.0f} MiB in a training step of 8 samples'
        )


if __name__ == '__main__':
    run_tool(main)
