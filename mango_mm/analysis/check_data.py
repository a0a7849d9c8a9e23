"""Every sample of a data set loaded once, before a training finds the broken one at night."""

from __future__ import annotations

import dataclasses
import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.registry import init_default_scope
from tqdm import tqdm

from mango_mm.apis.run import load_config
from mango_mm.pipelines import loads, name_of
from mango_mm.registry import DATASETS, TRANSFORMS, build_ours

__all__ = ['Problem', 'check_data']

SPLITS = ('train', 'val', 'test')
NAMES = ('sample_id', 'img_path', 'listed')  # what tells samples apart, the first that there is


@dataclasses.dataclass(frozen=True)
class Problem:
    """Something wrong with a sample, or with a whole split.

    Attributes:
        split: ``'train'``, ``'val'`` or ``'test'``.
        sample: Its path or id; empty for the whole split.
        message: What was required and what came.
    """

    split: str
    sample: str
    message: str

    def __str__(self) -> str:
        return f'{self.split}: {self.sample + ": " if self.sample else ""}{self.message}'


def check_data(
    config: str | Path,
    splits: Sequence[str] = SPLITS,
    options: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[list[Problem], dict[str, int]]:
    """Load every sample by the loading steps of a config's pipelines, and look at it.

    Listed are: samples that cannot be loaded (with the error that training would end with),
    measurements that are not finite, depth without any measured pixel, label maps without any
    labelled pixel, samples listed twice, samples of validation or test that are trained on, and
    labels that do not fit the classes, or would if they were not shifted by one. Missing files are
    listed one by one.

    Args:
        config: Of a training.
        splits: Which to check; those that share a data set are read once.
        options: Overrides of the config.
        say: Called with the classes' shares in every split, and with what samples lack, a line
            each.

    Returns:
        The problems, in order, and the number of samples of every split.

    Raises:
        FileNotFoundError: If the config does not exist.
        ValueError: If a split is unknown.
    """
    unknown = [s for s in splits if s not in SPLITS]
    if unknown:
        raise ValueError(f'splits are {SPLITS}; got {unknown}.')
    read = load_config(config, options=options)
    init_default_scope(read.get('default_scope', 'mmengine'))
    problems: list[Problem] = []
    counts: dict[str, int] = {}
    trained: set[str] = set()
    seen: list[Any] = []
    for split in splits:
        loader = read.get(f'{split}_dataloader')
        if loader is None or loader.dataset in seen:
            continue
        seen.append(loader.dataset)
        try:
            dataset = _build(loader.dataset.to_dict())
        except Exception as error:  # whatever it is, it is what the training would end with
            problems.append(Problem(split, '', _said(error)))
            continue
        counts[split] = len(dataset)
        published = getattr(dataset, 'SIZES', {}).get(_official(loader.dataset, split))
        if published not in (None, len(dataset)):
            message = f'has {len(dataset)} samples; the publication has {published}.'
            problems.append(Problem(split, '', message))
        names = [_name(dataset.get_data_info(i), i) for i in range(len(dataset))]
        problems += [
            Problem(split, name, 'is listed more than once.')
            for name, count in Counter(names).items()
            if count > 1
        ]
        if split == 'train':
            trained = set(names)
        else:
            problems += [
                Problem(split, n, 'is in the training split too.') for n in names if n in trained
            ]
        problems += _look_at_labels(dataset, split, loader.dataset.pipeline, say)
        _say_what_is_absent(dataset, split, names, say)
        steps = [build_ours(TRANSFORMS, dict(t)) for t in _loading(loader.dataset.pipeline)]
        for index in tqdm(range(len(dataset)), desc=f'check {split}', unit='sample'):
            for message in _look_at(dataset.get_data_info(index), steps):
                problems.append(Problem(split, names[index], message))
    return problems, counts


def _official(dataset: Mapping[str, Any], split: str) -> str:
    """The split of the publication that a data set reads: by its ``split``, or its list."""
    return str(dataset.get('split') or Path(dataset.get('ann_file') or split).stem)


def _build(config: dict[str, Any]) -> Any:
    """The data set, without looking for its files yet: the scan names every one that is missing."""
    config = {**config, 'pipeline': []}
    kind = DATASETS.get(config['type'])
    known = inspect.signature(kind).parameters if kind is not None else {}
    return DATASETS.build({**config, 'check_files': False} if 'check_files' in known else config)


def _look_at_labels(
    dataset: Any, split: str, pipeline: Sequence[Mapping[str, Any]], say: Callable[[str], None]
) -> list[Problem]:
    """What the counts of the stored labels say against the options."""
    steps = [t for t in pipeline if name_of(t) == 'LoadSegmentation']
    if not steps or not hasattr(dataset, 'count_labels'):
        return []
    classes, counts = int(steps[0]['num_classes']), dataset.count_labels()
    say(f'{split}: {counts.table(classes)}')
    return [Problem(split, '', f'{message} ({counts})') for message in counts.problems(classes)]


def _say_what_is_absent(
    dataset: Any, split: str, names: Sequence[str], say: Callable[[str], None]
) -> None:
    """Samples without a modality, where the data set takes them: how many, and the first."""
    lacking: dict[str, list[str]] = {}
    for index, name in enumerate(names):
        for modality, there in (dataset.get_data_info(index).get('present') or {}).items():
            if not there:
                lacking.setdefault(modality, []).append(name)
    for modality, found in lacking.items():
        say(
            f'{split}: {len(found)} of {len(names)} samples lack {modality}: '
            f'{", ".join(found[:3])}{", ..." if len(found) > 3 else ""}'
        )


def _loading(pipeline: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The steps that read files: those whose names say so."""
    return [t for t in pipeline if loads(t)]


def _look_at(results: dict[str, Any], steps: Sequence[Any]) -> Iterator[str]:
    try:
        for step in steps:
            results = step(results)
    except Exception as error:  # as above
        yield _said(error)
        return
    for key, value in results.items():
        if not isinstance(value, np.ndarray) or not value.size:
            continue
        if value.dtype.kind == 'f' and not np.isfinite(value).all():
            yield f'{key} holds {int((~np.isfinite(value)).sum())} values that are not finite.'
        if key == 'depth' and not (value > 0).any():
            yield 'depth has no measured pixel.'
        measured = key in results.get('arrays', ()) and key not in results.get('absent', ())
        if measured and value.min() == value.max():
            yield f'{key} is {float(value.flat[0]):g} everywhere.'
        if key == 'gt_seg_map' and (value == 255).all():
            yield 'no pixel is labelled.'


def _said(error: Exception) -> str:
    return f'{error}' if str(error) else type(error).__name__


def _name(info: Mapping[str, Any], index: int) -> str:
    return next((str(info[k]) for k in NAMES if info.get(k)), f'number {index}')
