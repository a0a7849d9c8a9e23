"""Skeletons as three sequences: joints, bones, motion (UmURL's modalities).

Source:
    UmURL (HuiGuanLab/UmURL) and 2s-AGCN: arrays (N, 3, T, V, M) of joints in metres, V = 25 of NTU
    RGB+D, M = 2 persons. A bone is its joint less the one before it towards the trunk; motion is
    the next frame less this one, 0 at the end.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ['NTU_PARENTS', 'streams_of']

# Of every joint, the one before it, 1-based as in the literature; that of 21 is itself.
NTU_PARENTS = (
    2, 21, 21, 3, 21, 5, 6, 7, 21, 9, 10, 11, 1, 13, 14, 15, 1, 17, 18, 19, 21, 23, 8, 25, 12,
)  # fmt: skip


def streams_of(
    joints: NDArray[np.floating], frames: int, parents: tuple[int, ...] = NTU_PARENTS
) -> dict[str, NDArray[np.float32]]:
    """Joints, bones and motion of one recording as tokens, one per frame.

    Args:
        joints: (3, T, V, M), zeros after the last frame.
        frames: How many are real, at most T.
        parents: Of every joint, 1-based.

    Returns:
        ``joint``, ``bone``, ``motion``, each (T, M V 3) float32.

    Raises:
        ValueError: If there is not one parent per joint, or no frame.
    """
    if joints.ndim != 4 or joints.shape[0] != 3 or joints.shape[2] != len(parents):
        raise ValueError(f'joints must be (3, T, {len(parents)}, M); got {joints.shape}.')
    if not 0 < frames <= joints.shape[1]:
        raise ValueError(f'frames must be 1..{joints.shape[1]}; got {frames}.')
    bones = joints - joints[:, :, [p - 1 for p in parents]]
    motion = np.zeros_like(joints)
    motion[:, : frames - 1] = joints[:, 1:frames] - joints[:, : frames - 1]
    return {
        name: np.ascontiguousarray(x.transpose(1, 3, 2, 0))
        .reshape(x.shape[1], -1)
        .astype(np.float32)
        for name, x in (('joint', joints), ('bone', bones), ('motion', motion))
    }
