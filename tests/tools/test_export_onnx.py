"""A trained flow as ONNX: onnxruntime's logits are PyTorch's, at any batch size."""

import os

import numpy as np
import pytest
import torch
from faults import build_runner, options_of, rooms_config
from PIL import Image
from rooms import MANGO, ROOT, make_rooms, run

from mango_mm.apis.export import DeployedSegmentor, export_onnx
from mango_mm.apis.open_model import open_model
from mango_mm.inferencers import MangoInferencer

SMALL = """
_base_ = {base!r}
model = dict(neck=dict(fusion=dict(depth=1)))
"""
TOOL = ROOT / 'tools/export_onnx.py'
TRUST = ROOT / 'configs/mango/mango-trust-l1_small_1xb8-600it_mini-rooms-72x96.py'
MOVIES = ROOT / 'configs/mango/mango-l2_small_1xb32-600it_mini-movies-96x64.py'

FULL = pytest.mark.skipif(
    os.environ.get('MANGO_RELIABILITY') != 'full', reason='a minute; make soak runs it'
)


@pytest.mark.slow
@FULL
def test_onnxruntime_agrees_with_pytorch(tmp_path, monkeypatch):
    config = tmp_path / 'small.py'
    config.write_text(SMALL.format(base=str(MANGO)))
    trained = rooms_config(tmp_path, options_of(2, 2), config=config)
    build_runner(trained, 'export').train()
    done = run(tmp_path / 'rooms', TOOL, config, tmp_path / 'work', tmp_path / 'out/m.onnx')
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'images (N, 4, 72, 96) -> logits (N, 10, 72, 96)' in done.stdout
    assert (tmp_path / 'out/m.onnx').stat().st_size > 100_000
    monkeypatch.setattr('mango_mm.apis.export._write_and_compare', lambda *_: float('nan'))
    with pytest.raises(ArithmeticError, match="logits differ from PyTorch's by nan"):
        export_onnx(config, tmp_path / 'work', tmp_path / 'n.onnx')


@pytest.mark.slow
@FULL
def test_onnxruntime_says_whom_to_trust(tmp_path):
    """Of the model in the zoo: what the file says of a room is what the inferencer says."""
    import onnxruntime

    done = export_onnx('mango-trust-rooms', None, tmp_path / 'm.onnx')
    assert done['outputs'] == ['logits', 'trust', 'trust_map', 'alarm']
    assert done['difference'] < 1e-3
    session = onnxruntime.InferenceSession(str(tmp_path / 'm.onnx'))
    infer = MangoInferencer('mango-trust-rooms')
    make_rooms(tmp_path / 'rooms')
    row = (tmp_path / 'rooms/val.txt').read_text().split('\n')[0].split('\t')
    rgb = np.asarray(Image.open(tmp_path / 'rooms' / row[0]))
    alarms = []
    for image in (rgb, np.zeros_like(rgb)):
        sample = {'rgb': image, 'depth': tmp_path / 'rooms' / row[2]}
        wanted, item = infer(sample), infer.prepare(sample)['inputs']
        got = session.run(None, {'images': item[None].float().numpy()})
        _, trust, places, alarm = got
        assert trust[0] == pytest.approx([*wanted['trust'].values()], abs=1e-4)
        assert bool(alarm[0]) == wanted['alarm']
        np.testing.assert_allclose(places[0], [*wanted['trust_map'].values()], atol=1e-4)
        alarms.append(wanted['alarm'])
    assert alarms == [False, True]


@pytest.mark.slow
def test_the_batch_of_an_exported_trust_stays_free():
    _, model = open_model('mango-trust-rooms', None)
    free = ({0: torch.export.Dim('batch', min=1, max=1024)},)
    images = torch.rand(2, 4, 72, 96) * 255
    with torch.no_grad():
        program = torch.export.export(DeployedSegmentor(model), (images,), dynamic_shapes=free)
        logits, trust, places, alarm = program.module()(torch.rand(3, 4, 72, 96) * 255)
    assert (len(logits), len(trust), len(places), len(alarm)) == (3, 3, 3, 3)


def test_a_trust_that_is_not_calibrated_is_not_exported():
    _, model = open_model(TRUST, None)
    with pytest.raises(ValueError, match='its trust is not calibrated: train to the end'):
        DeployedSegmentor(model)


def test_a_model_that_slides_is_exported_as_its_window_alone(tmp_path):
    slides = tmp_path / 'slides.py'
    test = "dict(mode='slide', crop_size=(48, 64), stride=(24, 32))"
    slides.write_text(f"_base_ = '{MANGO}'\nmodel = dict(test_cfg={test})\n")
    torch.save(open_model(MANGO, None)[1].state_dict(), tmp_path / 'mango.pth')
    with pytest.raises(ValueError, match=r'slides a window of \(48, 64\).*got size \(72, 96\)'):
        export_onnx(slides, tmp_path / 'mango.pth', tmp_path / 'x.onnx')


def test_what_cannot_be_exported_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='checkpoint .*gone does not exist'):
        export_onnx(MANGO, tmp_path / 'gone', tmp_path / 'x.onnx')
    torch.save(open_model(MOVIES, None)[1].state_dict(), tmp_path / 'movies.pth')
    with pytest.raises(ValueError, match='is of a MultimodalClassifier; only segmentation'):
        export_onnx(MOVIES, tmp_path / 'movies.pth', tmp_path / 'x.onnx')
