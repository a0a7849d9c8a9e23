"""Pixel errors over a data set: MAE, MSE and RMSE, each under its own name.

    MAE = mean |p - t|      MSE = mean (p - t)^2      RMSE = sqrt(MSE)

over all measured values of all images, in the units of the images: [-1, 1] for translation.
The papers' column "MSE" is a root (on [-1, 1] an MSE cannot exceed twice the MAE, and theirs
do); so all three are reported.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

__all__ = ['PixelErrorSums']


@dataclasses.dataclass
class PixelErrorSums:
    """Sums that can be added over images and over processes.

    Attributes:
        absolute: Sum of |p - t|.
        squared: Sum of (p - t)^2.
        count: Measured values.
    """

    absolute: float = 0.0
    squared: float = 0.0
    count: int = 0

    @classmethod
    def of(
        cls,
        prediction: NDArray[np.floating],
        target: NDArray[np.floating],
        mask: NDArray[np.bool_] | None = None,
    ) -> PixelErrorSums:
        """The sums of one image.

        Args:
            prediction: (C, H, W).
            target: (C, H, W).
            mask: Measured pixels of the target, (H, W); None: all.

        Raises:
            ValueError: If the shapes differ or a measured prediction is not finite.
        """
        if prediction.shape != target.shape or (
            mask is not None and mask.shape != target.shape[-2:]
        ):
            raise ValueError(
                'prediction and target must have one shape, the mask its height and width; got '
                f'{prediction.shape}, {target.shape} and {None if mask is None else mask.shape}.'
            )
        error = prediction.astype(np.float64) - target
        if mask is not None:
            error = error[..., mask]
        if not np.isfinite(error).all():
            raise ValueError('the prediction, or the measured target, is NaN or infinite.')
        return cls(float(np.abs(error).sum()), float(np.square(error).sum()), error.size)

    def __add__(self, other: PixelErrorSums) -> PixelErrorSums:
        return PixelErrorSums(
            self.absolute + other.absolute,
            self.squared + other.squared,
            self.count + other.count,
        )

    def errors(self) -> dict[str, float]:
        """MAE, MSE and RMSE.

        Raises:
            ValueError: If nothing was measured.
        """
        if self.count == 0:
            raise ValueError('no pixel of any target was measured: there is no error to report.')
        mse = self.squared / self.count
        return {'MAE': self.absolute / self.count, 'MSE': mse, 'RMSE': math.sqrt(mse)}
