"""A user's own mmseg config that knows nothing of ours but FusionNeck trains."""

import subprocess
import sys
from pathlib import Path

import mmseg
import numpy as np
import pytest
from PIL import Image
from rooms import environment

TRAIN = Path(mmseg.__file__).parent / '.mim' / 'tools' / 'train.py'

TWO_STREAMS = """
import torch
from mmseg.registry import MODELS

@MODELS.register_module()
class MyTwoStreams(torch.nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.a, self.b = MODELS.build(backbone), MODELS.build(backbone)

    def forward(self, x):
        return self.a(x), self.b(x.flip(1))
"""

RESNET = """dict(
    type='ResNetV1c', depth=18, base_channels=8, num_stages=4, out_indices=(0, 1, 2, 3),
    strides=(1, 2, 2, 2), norm_cfg=dict(type='BN'))"""

CONFIG = """
custom_imports = dict(imports=['mango_mm'{more}], allow_failed_imports=False)
default_scope = 'mmseg'
data = dict(
    type='BaseSegDataset', data_root={root!r},
    data_prefix=dict(img_path='img', seg_map_path='ann'),
    img_suffix='.png', metainfo=dict(classes=('a', 'b', 'c'), palette=[[0, 0, 0]] * 3),
    pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
              dict(type='RandomFlip', prob=0.5), dict(type='PackSegInputs')])
train_dataloader = dict(batch_size=2, num_workers=0, dataset=data,
                        sampler=dict(type='InfiniteSampler', shuffle=True))
val_dataloader = test_dataloader = val_cfg = test_cfg = None
train_cfg = dict(type='IterBasedTrainLoop', max_iters=3)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01))
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', mean=[127.5] * 3, std=[60.0] * 3,
                           bgr_to_rgb=True, size=(64, 64)),
    backbone={backbone},
    neck=dict(type='mango_mm.FusionNeck', modalities=['one', 'two'], in_channels={channels},
              stages=[2, 3], fusion=dict(type='MangoFusion', window=4, depth=1)),
    decode_head=dict(type='FCNHead', in_channels={last}, in_index=3, channels=8, num_convs=1,
                     num_classes=3, norm_cfg=dict(type='BN'), align_corners=False,
                     loss_decode=dict(type='CrossEntropyLoss')),
    train_cfg=dict(), test_cfg=dict(mode='whole'))
"""


@pytest.fixture
def root(tmp_path):
    rng = np.random.default_rng(0)
    for folder, top, shape in (('img', 255, (64, 64, 3)), ('ann', 3, (64, 64))):
        (tmp_path / folder).mkdir()
        for i in range(4):
            array = rng.integers(0, top, shape, dtype=np.uint8)
            Image.fromarray(array).save(tmp_path / folder / f'{i}.png')
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize('streams', ['their own two-stream backbone', 'one stock backbone'])
def test_it_trains_through_mmsegs_tool(root, streams):
    (root / 'my_streams.py').write_text(TWO_STREAMS)
    own = streams.startswith('their')
    backbone = f"dict(type='MyTwoStreams', backbone={RESNET})" if own else RESNET
    # One stock pyramid: its channels are cut in half, one half for each modality.
    channels = [8, 16, 32, 64] if own else [4, 8, 16, 32]
    (root / 'config.py').write_text(
        CONFIG.format(
            more=", 'my_streams'" if own else '',
            root=str(root),
            backbone=backbone,
            channels=channels,
            last=channels[-1],
        )
    )
    env = environment('unused')
    env['PYTHONPATH'] += f':{root}'
    done = subprocess.run(
        [
            sys.executable,
            '-W',
            'ignore',
            str(TRAIN),
            str(root / 'config.py'),
            '--work-dir',
            str(root / 'w'),
        ],
        capture_output=True,
        text=True,
        env=env,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (root / 'w' / 'epoch_3.pth').is_file() or list((root / 'w').glob('*.pth'))
    assert 'trained by the task alone' in done.stdout + done.stderr
