"""``--cfg-options KEY=VALUE``, read as mmengine reads it, but that text keeps its spaces."""

from __future__ import annotations

from typing import Any

from mmengine.config import DictAction as _DictAction

__all__ = ['DictAction', 'parse_value']


def parse_value(text: str) -> Any:
    """The value that an override spells: a number, a truth value, None, text, or lists of these.

    mmengine takes every space out, of a path, too: a checkpoint in ``RGB only/`` was looked for in
    ``RGBonly/``. What is no list keeps them here.
    """
    value = text.strip('\'"')
    if ',' in value or value.startswith(('(', '[')):
        return _DictAction._parse_iterable(text)
    return _DictAction._parse_int_float_bool(value.strip())


class DictAction(_DictAction):  # type: ignore[misc]
    """The action of ``--cfg-options``; values by :func:`parse_value`."""

    _parse_iterable = staticmethod(parse_value)
