"""Inference of a trained segmentation model as ONNX, checked against PyTorch.

    stacked raw modalities (N, C, H, W) -> logits (N, K, H, W)

and of one that knows whom to trust also trust (N, M), trust_map (N, M, h, w) and alarm (N).

Normalisation and missing pixels are inside, so that a runtime needs no code of ours. ICA's
triangular systems, for which ONNX has no operator, become products of matrices.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mango_mm.apis.open_model import open_model
from mango_mm.flows.triangular_attention.products import solve_by_products
from mango_mm.hosts import require_host
from mango_mm.models.trusted_ensemble import trusted_of

__all__ = ['DeployedSegmentor', 'export_onnx']


class DeployedSegmentor(nn.Module):
    """A segmentation model from raw stacked modalities to logits, and whom it trusts.

    Args:
        model: A ``MultimodalEncoderDecoder`` with our data preprocessor.

    Attributes:
        outputs: Names of what :meth:`forward` returns.

    Raises:
        ValueError: If it has a trust that is not calibrated.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model: Any = model.eval()
        self.outputs = ['logits']
        ensemble = trusted_of(model)
        if ensemble is not None:
            if not ensemble.trust.calibrated:
                raise ValueError('its trust is not calibrated: train to the end with a TrustHook.')
            del ensemble.trust.calibrated  # a constant here: no graph can ask a tensor
            vars(ensemble.trust)['calibrated'] = True
            self.outputs += ['trust', 'trust_map', 'alarm']

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """What ``outputs`` names, of images (N, C, H, W): RGB in 0..255, depth in its unit.

        Logits (N, K, H, W), trust (N, M), trust_map (N, M, h, w), alarm, bool (N,).
        """
        inputs, head = self.model.data_preprocessor.normalise(images), self.model.decode_head
        read, trust = self.model.extract_feat(inputs), None
        if len(self.outputs) > 1:
            logits, trust = head.trusted(read, head.logits(read))
        else:
            logits = head(read)
        logits = nn.functional.interpolate(
            logits, images.shape[2:], mode='bilinear', align_corners=self.model.align_corners
        )
        return (logits,) if trust is None else (logits, trust.trust, trust.maps, trust.alarm)


def export_onnx(
    config: str | Path,
    checkpoint: str | Path,
    out: str | Path,
    *,
    size: tuple[int, int] | None = None,
    tolerance: float = 1e-3,
) -> dict[str, Any]:
    """Write a model as ONNX, run it by onnxruntime, and compare.

    Of a training algorithm it is the student that is written. The batch size stays free; height
    and width are those of the export.

    Args:
        config: Of a segmentation model.
        checkpoint: The same as in :func:`~mango_mm.checkpoints.find_checkpoint`.
        out: The ``.onnx`` file.
        size: Height and width; None: the config's ``crop_size``.
        tolerance: Largest difference of an output allowed, relative to its largest value.

    Returns:
        ``out``, ``size``, ``channels``, ``classes``, ``outputs``, their names, and
        ``difference``, the largest one found.

    Raises:
        FileNotFoundError: If a file does not exist.
        ImportError: If onnxscript or onnxruntime is not installed.
        ValueError: If the model is not of segmentation, or the checkpoint not of the config; if
            it slides over images, and ``size`` is not that of its window.
        ArithmeticError: If onnxruntime's outputs differ; the file is kept for a look.
    """
    for host in ('onnxscript', 'onnxruntime'):
        require_host(host, 'export_onnx')
    read, model = open_model(config, checkpoint)
    if not hasattr(getattr(model, 'data_preprocessor', None), 'normalise'):
        raise ValueError(
            f'{config} is of a {type(model).__name__}; only segmentation models are exported.'
        )
    if isinstance(model.decode_head, nn.ModuleList):
        raise ValueError(f'{config} has a cascade of decode heads; one head is exported.')
    size = tuple(size or read.get('crop_size') or ())
    if len(size) != 2:
        raise ValueError(f'{config} has no crop_size; give height and width.')
    _require_one_window(model, size, config)
    deployed = DeployedSegmentor(model)
    channels = sum(model.data_preprocessor.channels.values())
    images = torch.rand(2, channels, *size) * 255
    difference = _write_and_compare(deployed, images, Path(out))
    if not difference <= tolerance:
        raise ArithmeticError(
            f"{out}: onnxruntime's {' and '.join(deployed.outputs)} differ from PyTorch's by "
            f'{difference:.1e} of the largest; allowed is {tolerance:.1e}.'
        )
    return dict(
        out=str(out), size=size, channels=channels, classes=read.num_classes,
        outputs=deployed.outputs, difference=difference,
    )  # fmt: skip


def _require_one_window(model: Any, size: tuple[int, ...], config: str | Path) -> None:
    # Run whole, an image of another size is one that the model was never trained on.
    window = tuple(model.test_cfg.get('crop_size') or ())
    if model.test_cfg.get('mode') == 'slide' and size != window:
        raise ValueError(
            f'{config} slides a window of {window} over an image, and what is exported is one '
            f'window; got size {size}. Slide it outside, or set model.test_cfg.mode=whole.'
        )


def _write_and_compare(deployed: DeployedSegmentor, images: Tensor, out: Path) -> float:
    import onnxruntime

    free = {0: torch.export.Dim('batch', min=1, max=1024)}
    with torch.no_grad():
        program = torch.export.export(deployed, (images,), dynamic_shapes=(free,))
        program = program.run_decompositions(
            {torch.ops.aten.linalg_solve_triangular.default: solve_by_products}
        )
        written = torch.onnx.export(
            program, (images,), dynamo=True, input_names=['images'], output_names=deployed.outputs,
            optimize=False, verbose=False,
        )  # fmt: skip
        if written is None:
            raise RuntimeError(f'torch.onnx.export gave no program for {out}.')
        out.parent.mkdir(parents=True, exist_ok=True)
        written.save(str(out))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # its optimiser tells of each constant that it leaves
        session = onnxruntime.InferenceSession(str(out), options, ['CPUExecutionProvider'])
        apart = 0.0
        for count in (1, 2, 3):  # the batch size is free indeed
            batch = images[torch.arange(count) % len(images)].roll(count, dims=-1)
            wanted = [x.float().numpy() for x in deployed(batch)]
            for got, value in zip(session.run(None, {'images': batch.numpy()}), wanted):
                largest = max(float(np.abs(value).max()), 1e-6)  # no alarm at all is all zeros
                apart = max(apart, float(np.abs(got.astype(np.float32) - value).max()) / largest)
    return apart
