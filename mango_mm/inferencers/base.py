"""What the inferencers of all tasks share: the model, the loop over samples, folders as inputs."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from tqdm import tqdm

from mango_mm.apis.open_model import open_model

__all__ = ['Inferencer', 'Result', 'Sample', 'default_device', 'trust_of']

Sample = Mapping[str, Any]
Result = dict[str, Any]
Self = TypeVar('Self', bound='Inferencer')


class Inferencer(abc.ABC):
    """Runs a trained model on samples: paths, arrays and texts in, results and pictures out.

    Args:
        config: Read config of the model.
        model: In evaluation mode.

    Attributes:
        modalities: What a sample has, in order.
        optional: Whether a sample may lack some of them.
    """

    modalities: tuple[str, ...]
    optional = False

    def __init__(self, config: Config, model: Any) -> None:
        self.config, self.model = config, model

    @classmethod
    def open(
        cls: type[Self],
        config: str | Path | Config,
        checkpoint: str | Path | None = None,
        device: str | None = None,
    ) -> Self:
        """An inferencer of this class from a config and a checkpoint.

        Args:
            config: File or config the model was trained with.
            checkpoint: File, or a work dir (its newest checkpoint); None: weights as initialised.
            device: Where it runs; None: a GPU if there is one.

        Raises:
            FileNotFoundError: If config or checkpoint do not exist.
        """
        return cls(*open_model(config, checkpoint, device=device or default_device()))

    def __call__(
        self,
        inputs: Sample | Iterable[Sample],
        *,
        batch_size: int = 1,
        show_dir: str | Path | None = None,
        progress: bool = True,
    ) -> Result | list[Result]:
        """Predict one sample or several.

        Args:
            inputs: A dict by modality, or several of them; or one in which every value is a
                folder: files of one name, whatever their endings, belong together. Nothing of it
                is changed.
            batch_size: Samples predicted together; they must then be of one size.
            show_dir: Save a picture of each there.
            progress: Show a progress bar for several samples.

        Returns:
            What the class says of one sample, or a list of it.

        Raises:
            KeyError: If a modality that the model needs is missing, or one is named that it does
                not know.
            FileNotFoundError, ValueError: If a file is missing or of another kind; named.
        """
        if batch_size < 1:
            raise ValueError(f'batch_size must be positive; got {batch_size}.')
        samples, single = self._samples(inputs)
        folder = None if show_dir is None else Path(show_dir)
        results: list[Result] = []
        bar = tqdm(total=len(samples), desc='inference', disable=single or not progress)
        for start in range(0, len(samples), batch_size):
            batch = samples[start : start + batch_size]
            items = [self.prepare(sample) for sample in batch]
            for i, (sample, item, output) in enumerate(zip(batch, items, self.run(items))):
                path = None if folder is None else folder / f'{_stem(sample, start + i)}.png'
                results.append(self.result(sample, item, output, path))
            bar.update(len(batch))
        bar.close()
        return results[0] if single else results

    @abc.abstractmethod
    def prepare(self, sample: Sample) -> dict[str, Any]:
        """A sample through the config's test pipeline, without labels."""

    @abc.abstractmethod
    def result(
        self, sample: Sample, item: dict[str, Any], output: Any, path: Path | None
    ) -> Result:
        """What is returned of one sample.

        Args:
            sample: As it was given.
            item: What :meth:`prepare` made of it.
            output: What the model made of that.
            path: Where a picture of it goes; None: nowhere.
        """

    @torch.no_grad()
    def run(self, items: Sequence[dict[str, Any]]) -> list[Any]:
        """The model's outputs of prepared samples."""
        outputs: list[Any] = self.model.test_step(pseudo_collate(list(items)))
        return outputs

    def _samples(self, inputs: Sample | Iterable[Sample]) -> tuple[list[Sample], bool]:
        """A list of samples, and whether a single one was given."""
        single = isinstance(inputs, Mapping)
        samples: list[Sample] = [inputs] if isinstance(inputs, Mapping) else list(inputs)
        for sample in samples:
            missing = [m for m in self.modalities if m not in sample]
            unknown = [m for m in sample if m not in self.modalities]
            if (missing and not self.optional) or unknown or not sample:
                raise KeyError(
                    f'this model needs {list(self.modalities)}; the input lacks {missing} '
                    f'(it has {list(sample)}).'
                )
        if single and all(_is_folder(samples[0].get(m)) for m in self.modalities):
            return _paired({m: Path(samples[0][m]) for m in self.modalities}), False
        return samples, single


def trust_of(output: Any) -> Result:
    """``trust``, ``trust_map`` and ``alarm`` of a prediction; None each where nobody asked."""
    if 'trust' not in output:
        return {'trust': None, 'trust_map': None, 'alarm': None}
    trust = dict(output.trust)
    maps = None
    if 'trust_map' in output:
        maps = {m: x.cpu().numpy() for m, x in zip(trust, output.trust_map)}
    return {'trust': trust, 'trust_map': maps, 'alarm': bool(output.alarm)}


def default_device() -> str:
    """A GPU if there is one."""
    return 'cuda' if torch.cuda.is_available() else 'cpu'


def _stem(sample: Sample, number: int) -> str:
    """Name of a sample's picture: that of its first file, or a number."""
    paths = [v for v in sample.values() if isinstance(v, Path)]
    paths += [Path(v) for v in sample.values() if isinstance(v, str) and Path(v).suffix]
    return paths[0].stem if paths else f'{number:06d}'


def _is_folder(value: Any) -> bool:
    return isinstance(value, (str, Path)) and len(str(value)) < 4096 and Path(value).is_dir()


def _paired(folders: Mapping[str, Path]) -> list[Sample]:
    files = {
        m: {p.stem: p for p in sorted(folder.iterdir()) if p.is_file() and p.name[0] != '.'}
        for m, folder in folders.items()
    }
    stems = sorted(set().union(*files.values()))
    if not stems:
        raise FileNotFoundError(f'there is no file in {[str(f) for f in folders.values()]}.')
    for m, found in files.items():
        lacking = [stem for stem in stems if stem not in found]
        if lacking:
            raise ValueError(
                f'folders must hold files of the same names; {folders[m]} lacks {lacking[:5]}, '
                f'{len(lacking)} of {len(stems)}.'
            )
    return [{m: found[stem] for m, found in files.items()} for stem in stems]
