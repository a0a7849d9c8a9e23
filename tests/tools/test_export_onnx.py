"""A trained flow as ONNX: onnxruntime's logits are PyTorch's, at any batch size."""

import os

import pytest
import torch
from faults import build_runner, options_of, rooms_config
from rooms import MANGO, ROOT, run

from mango_mm.apis.export import export_onnx
from mango_mm.apis.open_model import open_model

SMALL = """
_base_ = {base!r}
model = dict(neck=dict(fusion=dict(depth=1)))
"""
TOOL = ROOT / 'tools/export_onnx.py'
MOVIES = ROOT / 'configs/mango/mango-l2_small_1xb32-600it_mini-movies-96x64.py'


@pytest.mark.slow
@pytest.mark.skipif(
    os.environ.get('MANGO_RELIABILITY') != 'full', reason='a minute; make soak runs it'
)
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


def test_what_cannot_be_exported_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='checkpoint .*gone does not exist'):
        export_onnx(MANGO, tmp_path / 'gone', tmp_path / 'x.onnx')
    torch.save(open_model(MOVIES, None)[1].state_dict(), tmp_path / 'movies.pth')
    with pytest.raises(ValueError, match='is of a MultimodalClassifier; only segmentation'):
        export_onnx(MOVIES, tmp_path / 'movies.pth', tmp_path / 'x.onnx')
