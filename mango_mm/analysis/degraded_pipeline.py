"""A pipeline with a degradation behind its loading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mango_mm.datasets.degradations import MOVIE, applicable
from mango_mm.modalities import specs_by_name
from mango_mm.pipelines import loads, loads_inputs, name_of
from mango_mm.registry import DATASETS

__all__ = [
    'frame_degradation',
    'movie_degradation',
    'movie_kinds',
    'unit_of',
    'with_degradation',
]


def with_degradation(
    pipeline: Sequence[Mapping[str, Any]], step: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """A pipeline with a step right behind the last transform that loads what a model is given."""
    last = [i for i, t in enumerate(pipeline) if loads_inputs(t)][-1]
    steps = [dict(t) for t in pipeline]
    return [*steps[: last + 1], dict(step), *steps[last + 1 :]]


def unit_of(preprocessor: Any, modality: str) -> float:
    """What counts as a metre: a metre of depth, a deviation of anything else."""
    if modality == 'depth' or not hasattr(preprocessor, 'std'):
        return 1.0
    before = list(preprocessor.channels.values())[: list(preprocessor.channels).index(modality)]
    return float(preprocessor.std.reshape(-1)[sum(before)])


def frame_degradation(
    pipeline: Sequence[Mapping[str, Any]],
    modalities: Sequence[str],
    kind: str,
    severity: int,
    seed: int = 0,
    units: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Config of a ``Degrade`` of an image and of what is measured beside it.

    Args:
        pipeline: It comes into; says how the measured modality is loaded.
        modalities: Of the model.
        kind: One of :func:`~mango_mm.datasets.degradations.applicable`.
        severity: 1 to 5.
        seed: See ``Degrade``.
        units: What counts as a metre of a modality; 1 of those that are not in it.

    Raises:
        ValueError: If the kind does not apply to the modalities.
    """
    known = applicable(modalities)
    if kind not in known:
        raise ValueError(f'degradations of {tuple(modalities)} are {sorted(known)}; got {kind!r}.')
    plain, key = known[kind]
    return {
        'type': 'mango_mm.Degrade', 'kind': plain, 'severity': severity, 'seed': seed, 'key': key,
        'unit': (units or {}).get(key, 1.0), 'load': _loading(pipeline, key),
    }  # fmt: skip


def movie_kinds(modalities: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The degradations of a model of posters and plots: by name, the kind and its modality."""
    owner = {kind: kind.partition('_')[0] for kind in MOVIE}
    return {kind: (kind, m) for kind, m in owner.items() if m in modalities}


def movie_degradation(
    dataset: Mapping[str, Any], kind: str, severity: int, seed: int = 0
) -> dict[str, Any]:
    """Config of a ``Degrade`` of a poster or a plot.

    Args:
        dataset: Config of the data set whose movies the other poster or plot is taken from.
        kind: One of :func:`movie_kinds`.
        severity: 1 to 5.
        seed: See ``Degrade``.
    """
    step = {'type': 'mango_mm.Degrade', 'kind': kind, 'severity': severity, 'seed': seed}
    field = {'text_other': 'text', 'image_other': 'img_path'}.get(kind)
    if field is not None:
        built = DATASETS.build(dict(dataset))
        found = [built.get_data_info(i).get(field) for i in range(len(built))]
        step['texts' if field == 'text' else 'posters'] = tuple(x for x in found if x)
    return step


def _loading(pipeline: Sequence[Mapping[str, Any]], modality: str) -> dict[str, Any]:
    """Config of a transform that loads one modality alone, as the pipeline does."""
    for t in pipeline:
        if name_of(t) == 'LoadModalities':
            spec = dict(specs_by_name(t['modalities'])[modality] or {})
            alone = {'name': modality, **spec, 'interpolation': 'nearest'}
            return {'type': 'mango_mm.LoadModalities', 'modalities': [alone]}
        defaults = {'LoadDepth': 'depth'}
        if loads(t) and t.get('key', defaults.get(name_of(t))) == modality:
            return dict(t)
    raise ValueError(f'no transform of the pipeline loads {modality!r}: {[*pipeline]}.')
