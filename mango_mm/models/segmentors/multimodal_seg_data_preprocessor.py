"""Data preprocessor: each modality by its own statistics, then padding and batching.

mmseg's own takes any number of channels, but swaps BGR to RGB only if there are three,
without a word, and its forks refuse more than three means.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.model import BaseDataPreprocessor
from mmseg.utils import stack_batch
from numpy.typing import NDArray
from torch import Tensor

from mango_mm.modalities import Modalities, channels_by_name, specs_by_name
from mango_mm.models.cached_inputs import stack_features
from mango_mm.registry import MODELS

__all__ = ['MultimodalSegDataPreProcessor']

ESTIMATE = 'estimate'
COLOURS = ('PhotoMetricDistortion', 'CLAHE', 'RGB2Gray', 'AdjustGamma', 'GenerateEdge')


@MODELS.register_module()
class MultimodalSegDataPreProcessor(BaseDataPreprocessor):
    """Normalises, pads and batches images whose channels are several modalities.

    Args:
        modalities: A list of dicts in the order of the stack, each with ``name``, ``channels``,
            ``mean`` and ``std`` (one value per channel, in the modality's unit, or
            ``'estimate'``: ``EstimateStatisticsHook`` takes them of the training list, and they are
            saved in the checkpoint) and optionally ``missing``, the value that marks a pixel
            without a measurement, which is set to ``fill``, the mean unless told. Non-finite
            values count as missing too.
        size: Height and width that training images are padded to; None: the
            largest of the batch.
        size_divisor: Or a number that height and width must be multiples of.
        seg_pad_val: Label of padding.
        test_cfg: ``size`` or ``size_divisor`` for validation and test.
        non_blocking: The same as in mmengine.

    Raises:
        ValueError: If a modality's statistics do not match its channels.
    """

    mean: Tensor
    std: Tensor
    fill: Tensor

    def __init__(
        self,
        modalities: Modalities,
        size: tuple[int, int] | None = None,
        size_divisor: int | None = None,
        seg_pad_val: int = 255,
        test_cfg: dict[str, Any] | None = None,
        non_blocking: bool = False,
    ) -> None:
        super().__init__(non_blocking)
        mean: list[float] = []
        std: list[float] = []
        missing: list[float] = []
        fill: list[float] = []
        specs = specs_by_name(modalities)
        self.channels = channels_by_name(modalities)
        self.estimated = tuple(
            name for name, spec in specs.items()
            if ESTIMATE in (spec.get('mean'), spec.get('std'))
        )  # fmt: skip
        for name, given in specs.items():
            spec = given
            if name in self.estimated:
                unknown = [float('nan')] * spec['channels']
                spec = {**spec, 'mean': unknown, 'std': unknown}
            for key in ('mean', 'std'):
                if len(spec.get(key, ())) != spec['channels']:
                    raise ValueError(
                        f'modality {name!r} needs one {key} for each of its '
                        f'{spec["channels"]} channels; got {spec.get(key)}.'
                    )
            if min(spec['std']) <= 0:
                raise ValueError(f'std of modality {name!r} must be positive; got {spec["std"]}.')
            mean += spec['mean']
            std += spec['std']
            missing += [float(spec.get('missing', float('nan')))] * spec['channels']
            filled = spec.get('fill')
            fill += spec['mean'] if filled is None else [float(filled)] * spec['channels']
        self.size, self.size_divisor = size, size_divisor
        self.seg_pad_val, self.test_cfg = seg_pad_val, test_cfg
        for name, values in (('mean', mean), ('std', std), ('missing', missing), ('fill', fill)):
            # Estimates belong to the weights.
            persistent = bool(self.estimated) and name != 'missing'
            self.register_buffer(name, torch.tensor(values).view(-1, 1, 1), persistent)
        self._known = not self.estimated  # no look at a tensor, which export could not follow
        self.display = {n: specs[n].get('missing') for n in self.channels}

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Collated samples to the model's input.

        Args:
            data: ``inputs``: a list of (C, H, W); ``data_samples`` or none.
            training: Pad by the training or by the test settings.

        Returns:
            ``inputs``: (B, C, H, W), float32; ``data_samples`` with padded labels. Features of
            ``CachedFeatures``, which were padded before, are stacked: by modality and stage.
        """
        data = self.cast_data(data)
        samples = data.get('data_samples')
        if isinstance(data['inputs'], Mapping):
            return dict(inputs=stack_features(data['inputs']), data_samples=samples)
        for x, sample in zip(data['inputs'], samples or ()):
            self._note_absent(x, sample)
        if not self.honours_present:
            _refuse_absent(samples or ())
        inputs = [self.normalise(x) for x in data['inputs']]
        if training:
            padding = self._padding(self.size, self.size_divisor)
            stacked, samples = stack_batch(
                inputs=inputs, data_samples=samples, seg_pad_val=self.seg_pad_val, **padding
            )
        else:
            config = self.test_cfg or {}
            padding = self._padding(config.get('size'), config.get('size_divisor'))
            shapes = {tuple(x.shape[-2:]) for x in inputs}
            if self.test_cfg is None and len(shapes) > 1:
                raise ValueError(
                    f'a test batch must be of one size; got {sorted(shapes)}. '
                    'Use batch_size=1 or give the preprocessor a test_cfg.'
                )
            stacked, padded = stack_batch(inputs=inputs, **padding)
            for sample, meta in zip(samples or (), padded or ()):
                sample.set_metainfo({**meta})
        return dict(inputs=stacked, data_samples=samples)

    def _note_absent(self, x: Tensor, sample: Any) -> None:
        """Say what a sample lacks where its pipeline did not hand it on: channels of NaN alone.

        mmseg's MultiImageMixDataset packs in a pipeline of its own, which knows mmseg's keys.
        """
        if 'present' in sample.metainfo or not x.is_floating_point():
            return
        parts = x.split(list(self.channels.values())) if len(x) == len(self.mean) else ()
        present = {m: not bool(part.isnan().all()) for m, part in zip(self.channels, parts)}
        if not all(present.values()):
            sample.set_metainfo(dict(present=present))

    def check_order(self, transforms: Iterable[Any]) -> None:
        """Compare what a pipeline stacks with the modalities, by name.

        A pipeline that stacks as many channels in another order would train and predict without a
        word. The key ``img`` may stand for any modality that is no key itself.

        Args:
            transforms: Of the pipeline, in order; those with a ``channel_order`` count.

        Raises:
            ValueError: If a modality lies elsewhere in the stack.
        """
        order: tuple[str, ...] = ('img',)
        transforms = list(transforms)
        _refuse_colours(transforms)
        for transform in transforms:
            if hasattr(transform, 'channel_order'):
                order = transform.channel_order(order)
        names = tuple(self.channels)
        if any(key in names and names.index(key) != place for place, key in enumerate(order)):
            raise ValueError(
                f'the pipeline stacks {list(order)}, and the model reads {list(names)} in that '
                "order. Set keys of StackModalities in the model's order; img is the image."
            )

    # Set by a model that masks out what a sample lacks. Another would take its blank image for
    # one, without a word: mmseg's CascadeEncoderDecoder, its EncoderDecoder around a FusionNeck.
    honours_present = False

    @staticmethod
    def _padding(size: tuple[int, int] | None, divisor: int | None) -> dict[str, Any]:
        return dict(size=size) if size is not None else dict(size_divisor=divisor or 1)

    def normalise(self, x: Tensor) -> Tensor:
        """Images (..., C, H, W), raw to float32; what is missing becomes 0, the mean.

        Raises:
            ValueError: If the channels are not those of the modalities.
        """
        if x.shape[-3] != len(self.mean):
            raise ValueError(
                f'the model reads {self.channels}, {len(self.mean)} channels in all; '
                f'got an image of {x.shape[-3]}. Check the keys of StackModalities.'
            )
        if not self._known:
            raise ValueError(
                f"mean and std of {self.estimated} are to be estimated ('estimate'): train first "
                '(EstimateStatisticsHook, in default_runtime), or load a checkpoint.'
            )
        x = x.float()
        absent = ~torch.isfinite(x) | (x == self.missing)
        return (torch.where(absent, self.fill, x) - self.mean) / self.std

    def known(self) -> bool:
        """Whether every mean and deviation is a number."""
        self._known = not self.estimated or bool(torch.isfinite(self.mean).all())
        return self._known

    def _load_from_state_dict(self, *args: Any, **options: Any) -> None:
        super()._load_from_state_dict(*args, **options)
        self.known()

    def measured(self, results: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """The pixels of a stacked sample by modality, (H W, C), NaN where nothing was measured."""
        image = results['img']
        if image.ndim != 3 or image.shape[2] != len(self.mean):
            raise ValueError(
                f'the model reads {self.channels}, {len(self.mean)} channels in all; the training '
                f'pipeline stacks {image.shape}. Check the keys of StackModalities.'
            )
        image = image.reshape(-1, len(self.mean)).astype(np.float64)
        image[image == self.missing.cpu().numpy().reshape(-1)] = np.nan
        ends = np.cumsum(list(self.channels.values()))
        return dict(zip(self.channels, np.split(image, ends[:-1], axis=1)))

    def set_statistics(self, modality: str, mean: Sequence[float], std: Sequence[float]) -> None:
        """Take a modality's mean and deviation, one per channel, for estimated.

        Raises:
            ValueError: If there is not one of each per channel, or a deviation is not positive.
        """
        names = list(self.channels)
        start = sum(self.channels[n] for n in names[: names.index(modality)])
        count = self.channels[modality]
        if len(mean) != count or len(std) != count or not min(std) > 0:
            raise ValueError(
                f'modality {modality!r} needs a mean and a positive deviation for each of its '
                f'{count} channels; got {list(mean)} and {list(std)}.'
            )
        for buffer, values in ((self.mean, mean), (self.std, std)):
            buffer[start : start + count, 0, 0] = torch.tensor(values).to(buffer)
        filled = self.fill[start : start + count]
        filled[torch.isnan(filled)] = self.mean[start : start + count][torch.isnan(filled)]
        self.known()


def _refuse_absent(samples: Sequence[Any]) -> None:
    for sample in samples:
        absent = [m for m, there in (sample.metainfo.get('present') or {}).items() if not there]
        if absent:
            raise ValueError(
                f'{sample.metainfo.get("img_path", "a sample")} lacks {absent}, which this '
                "segmentor would ignore. Use type='mango_mm.MultimodalEncoderDecoder', which masks "
                'absent modalities out, or take DropModality out of the pipeline.'
            )


def _refuse_colours(transforms: Sequence[Any]) -> None:
    """Transforms of colours know three channels, and change what is stacked with them."""
    early: list[str] = []
    for transform in transforms:
        name = type(transform).__name__
        early += getattr(transform, 'early', ())
        if early and name in COLOURS:
            raise ValueError(
                f'{name} changes colours, and {early} are stacked with RGB already '
                "(interpolation='bilinear'): leave it out, or load them by interpolation='nearest'."
            )
