"""Child processes that do not outlive their parent, however it ends: KILL, TERM, Ctrl-C, a crash.

The parent holds the one writing end of a pipe that is the child's standard input, and never
writes. When the parent is gone the kernel closes it; a thread of the child that waits for that
ends the child's whole process group, its data workers with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

__all__ = ['Children', 'end_with_parent']


def end_with_parent() -> None:
    """Called first in a child that :class:`Children` started."""

    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 1):
                pass
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


class Children:
    """Starts children, each in a process group of its own, and ends all that are left."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._closed = False

    def run(self, command: Sequence[str], log: IO[str], env: Mapping[str, str]) -> int:
        """Run a command to its end; its exit status.

        Raises:
            RuntimeError: If :meth:`end` was called before.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError('stopped before it began')
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(env),
                start_new_session=True,
            )
            self._running.add(process)
        try:
            return process.wait()
        finally:
            with self._lock:
                self._running.discard(process)
            if process.stdin is not None:
                process.stdin.close()

    def end(self) -> None:
        """End every child now, and start none any more."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    @contextlib.contextmanager
    def ended_on_errors(self) -> Iterator[None]:
        """End them all if the block is left by an error or by Ctrl-C."""
        try:
            yield
        except BaseException:
            self.end()
            raise
