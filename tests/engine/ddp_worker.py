"""One of two processes: gradients of half a batch under DDP, written to a file."""

import sys

import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from rooms import MANGO

from mango_mm.apis import load_config
from mango_mm.registry import MODELS


def build():
    config = load_config(MANGO)
    # Normalised per sample, no dropout: then a batch is the mean of its halves.
    config.model.decode_head.norm_cfg = dict(type='GN', num_groups=4)
    config.model.decode_head.dropout_ratio = 0.0
    config.model.neck.fusion.recipe = ['actnorm', 'mmca', 'imca', 'lica', 'coupling', 'cross_modal']
    init_default_scope('mmseg')
    torch.manual_seed(0)
    return MODELS.build(config.model)


def batch():
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(4, 4, 72, 96, generator=generator)
    samples = []
    for _ in range(4):
        sample = SegDataSample(metainfo=dict(img_shape=(72, 96), ori_shape=(72, 96)))
        data = torch.randint(0, 10, (1, 72, 96), generator=generator)
        sample.gt_sem_seg = PixelData(data=data)
        samples.append(sample)
    return inputs, samples


def gradients(model, inputs, samples):
    losses = model(inputs, samples, mode='loss')
    total, _ = build().parse_losses(losses)
    total.backward()
    inner = getattr(model, 'module', model)
    return {n: p.grad for n, p in inner.named_parameters()}, dict(inner.named_buffers())


def main(rank, store, out):
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{store}', rank=rank, world_size=2
    )
    inputs, samples = batch()
    half = slice(2 * rank, 2 * rank + 2)
    model = MMDistributedDataParallel(build())
    torch.save(gradients(model, inputs[half], samples[half]), f'{out}/{rank}.pth')


if __name__ == '__main__':
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
