"""Children of a process that reaps whatever dies: those that a thread waits for itself are left to it.

The supervisor takes the status of every dead child. Python takes a status that someone else has taken for a 0, so a
program that failed in a thread would look as if it had succeeded.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

_starting: Final = threading.Lock()
_owned: Final[set[int]] = set()


@contextmanager
def own_child(arguments: Sequence[str], **options: Any) -> Generator[subprocess.Popen[bytes]]:
    """Start a process whose exit status is for the caller alone, and wait for it; one that is left early is killed.

    Args:
        arguments: the program and its arguments.
        options: of `subprocess.Popen`.

    Raises:
        OSError: it cannot be started.
    """
    with _starting:  # or it could be dead and reaped before it is known whose it is
        process = subprocess.Popen[bytes](arguments, **options)
        _owned.add(process.pid)
    try:
        with process:
            try:
                yield process
            except BaseException:
                process.kill()
                raise
    finally:
        _owned.discard(process.pid)


def dead_children(known: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Reap every dead child that nobody waits for; give each pid with its wait status.

    Args:
        known: pids of children. Where all cannot be asked for at once, only these are.
    """
    while hasattr(os, "waitid"):
        with _starting:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None:
                return
            if found.si_pid in _owned:
                break  # it hides what is behind it until its owner has looked
            status = _reap(found.si_pid)
        if status is not None:
            yield found.si_pid, status
    for pid in list(known):
        if (status := _reap(pid)) is not None:
            yield pid, status


def _reap(pid: int) -> int | None:
    try:
        reaped, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:  # its owner was faster
        return None
    return status if reaped else None
