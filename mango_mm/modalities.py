"""Modalities as configs name them: in an order that saving a config keeps.

mmengine sorts the keys of every dict when it saves a config, and a run saves its own. A dict of
modalities read back from a work dir is in another order, in which channels would be split
elsewhere and the tokens of a flow change places, without a word. So configs give a list:

    modalities = [dict(name='rgb', channels=3), dict(name='depth', channels=1)]

In Python a dict by name does as well; in a config only one in alphabetical order, which saving
keeps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Union

from mmengine.config import ConfigDict

__all__ = ['Modalities', 'channels_by_name', 'specs_by_name']

Modalities = Union[Mapping[str, Any], Sequence[Any]]


def specs_by_name(modalities: Modalities) -> dict[str, Any]:
    """What is known of each modality, by name, in order.

    Args:
        modalities: A list of dicts with a ``name`` each, a list of names (of which nothing else is
            known: None), or a dict by name.

    Raises:
        ValueError: If one has no name, or two have the same, or a config's dict is in an order that
            saving it would change.
    """
    if isinstance(modalities, Mapping):
        if isinstance(modalities, ConfigDict) and list(modalities) != sorted(modalities):
            raise ValueError(
                f'a dict of modalities in a config must be in alphabetical order; got '
                f'{list(modalities)}. '
                'mmengine sorts dicts when it saves a config, and a model read back from it would '
                "take one modality for another. Give a list: [dict(name='...', ...), ...]."
            )
        return dict(modalities)
    found: dict[str, Any] = {}
    for spec in modalities:
        name = spec.get('name') if isinstance(spec, Mapping) else spec
        if not isinstance(name, str) or name in found:
            raise ValueError(
                'modalities must be named, each once: a list of dict(name=...), a list of names, '
                f'or a dict by name; got {modalities!r}.'
            )
        found[name] = (
            {k: v for k, v in spec.items() if k != 'name'} if isinstance(spec, Mapping) else None
        )
    return found


def channels_by_name(modalities: Modalities) -> dict[str, int]:
    """The channels of each modality, by name, in order.

    Args:
        modalities: The same as in :func:`specs_by_name`; a dict's values may be the numbers.

    Raises:
        ValueError: If one has no ``channels``.
    """
    found = {}
    for name, spec in specs_by_name(modalities).items():
        channels = spec.get('channels') if isinstance(spec, Mapping) else spec
        if not isinstance(channels, int) or channels < 1:
            raise ValueError(
                f'modality {name!r} must have channels, a positive number; got {spec!r}.'
            )
        found[name] = channels
    return found
