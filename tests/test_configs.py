"""Every shipped config builds, starts its flow where it should, and trains one step.

Paper-size models are scaled by overriding sizes only.
"""

from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mango_mm import flows
from mango_mm.apis import load_config
from mango_mm.registry import DATASETS, MODELS

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
LEAVES = sorted(p for p in CONFIGS.rglob('*.py') if '_base_' not in p.parts)
IDS = [p.stem for p in LEAVES]


def test_all_leaves_were_found():
    assert len(LEAVES) == 54  # change together with configs/; a silent 0 once passed upstream


def shrink(config):
    """Smaller widths and depths; everything else as shipped."""
    backbone = config.model.backbone.backbone
    neck = config.model.get('neck') or {}
    if backbone.type.endswith('VisionTransformer') and 'patch_size' in backbone:
        backbone.update(
            embed_dims=24, num_layers=1, num_heads=2, out_indices=[0], img_size=(64, 64)
        )
        channels = [24]
    elif backbone.embed_dims == 32 and backbone.num_stages == 2:
        channels = None  # small already
    else:
        backbone.update(embed_dims=8, num_layers=[1, 1, 1, 1])
        channels = [8, 16, 40, 64]
    if channels:
        config.model.decode_head.update(in_channels=channels, channels=16)
        if neck:
            neck.update(in_channels=channels)
    if neck and neck.get('dim'):
        neck.update(dim=8)
    config.model.decode_head.norm_cfg = dict(type='BN')
    return config


@pytest.mark.parametrize('path', LEAVES, ids=IDS)
def test_it_builds_and_takes_a_step(path):
    config = shrink(load_config(path))
    init_default_scope(config.default_scope)
    model = MODELS.build(config.model)
    model.init_weights()
    for module in model.modules():
        if isinstance(module, flows.AffineCoupling):
            assert not module.conditioner[-1].weight.any()
        if isinstance(module, flows.InvertibleCrossAttention):
            gates = module.gates()
            torch.testing.assert_close(gates, torch.full_like(gates, module.gate_init))
    size = (64, 96) if 'vit' in path.stem else (72, 96)
    samples = []
    for _ in range(2):
        sample = SegDataSample(metainfo=dict(img_shape=size, ori_shape=size))
        labels = torch.randint(0, config.num_classes, (1, *size))
        sample.gt_sem_seg = PixelData(data=labels)
        samples.append(sample)
    losses = model(torch.randn(2, 4, *size), samples, mode='loss')
    assert ('loss_nll' in losses) == path.stem.startswith('mango')
    total, _ = model.parse_losses(losses)
    total.backward()
    assert torch.isfinite(total)
    idle = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert idle == []


@pytest.mark.parametrize('path', LEAVES, ids=IDS)
def test_its_header_and_data_are_consistent(path):
    text = path.read_text()
    assert text.startswith('"""')
    assert f'python tools/train.py configs/{path.relative_to(CONFIGS)}' in text
    assert len(text.splitlines()) <= 40
    config = load_config(path)
    dataset = DATASETS.get(config.train_dataloader.dataset.type)
    assert len(dataset.METAINFO['classes']) == config.num_classes
    assert config.model.decode_head.num_classes == config.num_classes
    spec = config.model.data_preprocessor.modalities
    streams = config.model.backbone.modalities
    assert {k: v.channels for k, v in spec.items()} == dict(streams)
    if config.model.get('neck'):
        assert 'nll_weight' in config.model.neck
