"""The Inception network of FID, with weights from a file, whose hash decides what it is called.

The network is mmagic's port of the one of the TensorFlow release of FID. Its weights cannot be
downloaded on every machine, and mmagic downloads them silently; here a path is given.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from mmagic.evaluation.functional.fid_inception import FID_WEIGHTS_URL, fid_inception_v3
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

__all__ = ['InceptionFeatures']

SHA256 = '6726825d'  # the published file's hash begins so, and its name ends so
SIZE = 299  # pixels, of the network's input


class InceptionFeatures(nn.Module):
    """Pooled features of Inception v3, 2048 each.

    With the published weights the distances on them are FID and KID; with any other file
    they are named by its hash.

    Args:
        weights: A local file: ``pt_inception-2015-12-05-6726825d.pth`` of pytorch-fid.

    Attributes:
        metric_names: The same as in ``RandomFeatures``.
        weights: The same as in ``RandomFeatures``.

    Raises:
        FileNotFoundError: If there is no such file; says where it can be had.
        ValueError: If it holds other weights than this network's.
    """

    def __init__(self, weights: str) -> None:
        super().__init__()
        path = Path(weights)
        if not path.is_file():
            raise FileNotFoundError(
                f'Inception weights {path} do not exist. FID needs the file that '
                f'{FID_WEIGHTS_URL} delivers; without it use '
                'extractor=dict(type="RandomFeatures"), '
                'whose distances are not called FID.'
            )
        self.net = fid_inception_v3(False)
        try:
            state = torch.load(path, map_location='cpu', weights_only=True)
            self.net.load_state_dict(state)
        except Exception as error:
            raise ValueError(
                f"{path} does not hold the weights of FID's Inception: {str(error)[:200]}"
            ) from error
        self.net.fc = nn.Identity()
        self.net.eval().requires_grad_(False)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
        known = digest == SHA256
        self.metric_names = (
            ('FID', 'KID')
            if known
            else (f'frechet_inception_{digest}', f'kernel_inception_{digest}')
        )
        self.weights = f'Inception v3, {path}, SHA-256 {digest}...' + (
            '' if known else ', which is not the published file: not FID, not KID'
        )

    def train(self, mode: bool = True) -> InceptionFeatures:  # noqa: FBT001, FBT002  # torch's
        """Stays in evaluation mode: batch statistics must not move."""
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, 2048) of images (B, 3, H, W) in [-1, 1]."""
        x = F.interpolate(images.float(), (SIZE, SIZE), mode='bilinear', align_corners=False)
        features: Tensor = self.net(x)
        return features
