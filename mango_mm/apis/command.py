"""What every tool does alike: arguments that are checked first, errors that are one line.

    def main() -> None:
        parser = Parser(__doc__)
        parser.add_argument('--batch-size', type=positive_int, default=1)
        ...

    if __name__ == '__main__':
        run_tool(main)

A mistake of the caller (a file that is not there, a value that cannot be) ends with one line and
status 2; anything else is a mistake of ours and ends with a traceback. ``MANGO_TRACEBACK=1`` shows
it for the former, too.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mango_mm.apis.overrides import check_keys
from mango_mm.apis.run import load_config

__all__ = [
    'Parser',
    'check_options',
    'device_name',
    'non_negative_float',
    'non_negative_int',
    'positive_float',
    'positive_int',
    'run_tool',
]

PACKAGE = Path(__file__).resolve().parents[1]


def positive_int(text: str) -> int:
    """A whole number of at least 1."""
    return _whole(text, 1)


def non_negative_int(text: str) -> int:
    """A whole number of at least 0."""
    return _whole(text, 0)


def positive_float(text: str) -> float:
    """A finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f'must be a number above 0; got {text!r}')
    return value


def non_negative_float(text: str) -> float:
    """A finite number of at least 0."""
    return 0.0 if text.strip() in ('0', '0.0') else positive_float(text)


def device_name(text: str) -> str:
    """A device that this machine has."""
    import torch

    try:
        torch.empty(0, device=text)
    except Exception as error:  # torch raises several kinds
        reason = str(error).strip().splitlines()[0][:120]
        raise argparse.ArgumentTypeError(f'must be a device of this machine; {reason}') from error
    return text


def _whole(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(
            f'must be a whole number of at least {least}; got {text!r}'
        )
    return value


class Parser(argparse.ArgumentParser):
    """An argument parser that shows the tool's docstring and checks configs and overrides.

    ``--cfg-options`` brings ``--allow-new-keys`` along: without it, an override must be of a key
    that ``config`` has, or an argument of what the config builds.

    Args:
        description: The docstring of the tool.
    """

    def __init__(self, description: str | None) -> None:
        super().__init__(
            description=description, formatter_class=argparse.RawDescriptionHelpFormatter
        )

    def add_argument(self, *names: Any, **options: Any) -> argparse.Action:
        if '--cfg-options' in names:
            super().add_argument(
                '--allow-new-keys', action='store_true',
                help='take overrides of keys that the config does not know',
            )  # fmt: skip
        return super().add_argument(*names, **options)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, rest = super().parse_known_args(args, namespace)
        given = getattr(found, 'cfg_options', None)
        if isinstance(getattr(found, 'config', None), str):
            config = load_config(found.config)  # says what is wrong before anything is begun
            if given and not found.allow_new_keys:
                check_options(config, given)
        return found, rest


def check_options(config: Any, options: Any) -> None:
    """Raise a KeyError unless the config knows all keys of ``options``, a dict or ``KEY=VALUE``."""
    from mmengine.registry import init_default_scope

    init_default_scope(config.get('default_scope', 'mmengine'))
    pairs = options.items() if isinstance(options, dict) else (o.split('=', 1) for o in options)
    check_keys(config, dict(pair if len(pair) == 2 else (pair[0], None) for pair in pairs))


def run_tool(main: Callable[[], Any], arguments: Sequence[str] | None = None) -> None:
    """Run a tool; known errors become one line on stderr and exit status 2.

    Args:
        main: The tool.
        arguments: In the place of those of the command line.
    """
    if arguments is not None:
        sys.argv = [sys.argv[0], *arguments]
    try:
        main()
    except SystemExit as end:
        if not isinstance(end.code, str):
            raise
        _say(end.code)
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        raise SystemExit(130) from None
    except Exception as error:
        if os.environ.get('MANGO_TRACEBACK') or not _is_known(error):
            raise
        _say(str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error))


def _say(message: str) -> None:
    # Ranks other than the first would repeat it.
    if os.environ.get('RANK', '0') == '0':
        print(f'{Path(sys.argv[0]).name}: {message or "no message"}', file=sys.stderr)
    raise SystemExit(2)


def _is_known(error: BaseException) -> bool:
    """Whether the caller can mend it: a file, a permission, or a value that our code refused."""
    if isinstance(error, (OSError, ImportError)):
        return True
    if not isinstance(error, (ValueError, KeyError, TypeError, RuntimeError)):
        return False
    frames = traceback.extract_tb(error.__traceback__)
    raised_in = Path(frames[-1].filename).resolve() if frames else Path()
    line = (frames[-1].line or '').strip() if frames else ''
    # By a raise statement of ours, not by an operation in our code that failed.
    ours = PACKAGE, Path(sys.argv[0]).resolve().parent
    return any(raised_in.is_relative_to(p) for p in ours) and line.startswith('raise')
