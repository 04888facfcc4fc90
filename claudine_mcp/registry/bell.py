"""The bell: a file that whoever commits touches, and that whoever waits watches.

Linux watches with inotify, macOS with kqueue; where neither can be had, a poll of the file's time at 2 Hz.
Watching costs nearly nothing while idle (0.007 % of a core measured); polling the database at 20 Hz costs
half a per cent.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import anyio

IN_ATTRIB = 0x4  # <sys/inotify.h>
IN_CLOEXEC, IN_NONBLOCK = 0o2000000, 0o4000
POLL_S = 0.5


def ring(bell: Path) -> None:
    """Tell everyone who listens that something was committed. A bell that is missing is made anew."""
    try:
        os.utime(bell)
    except FileNotFoundError:
        with contextlib.suppress(OSError):
            bell.touch(mode=0o600)
    except OSError:
        pass  # a read-only or full disk: listeners look by themselves once a tick


class Listener(Protocol):
    """Waits for the bell.

    Attributes:
        fd: a descriptor that a ring makes readable; None where there is none.
    """

    fd: int | None

    async def wait(self, timeout_s: float) -> bool:
        """Wait for a ring since the last call returned, at most `timeout_s`. False: it was the time."""
        ...


class _Readable:
    """A listener on a descriptor that becomes readable with a ring (inotify or kqueue)."""

    def __init__(self, fd: int) -> None:
        self.fd: int | None = fd
        self._fd = fd

    async def wait(self, timeout_s: float) -> bool:
        if self._drain():
            return True
        with anyio.move_on_after(timeout_s):
            await anyio.wait_readable(self._fd)
        return self._drain()

    def _drain(self) -> bool:
        try:
            return bool(os.read(self._fd, 65536))
        except BlockingIOError:
            return False


class _Kqueue(_Readable):
    def __init__(self, queue: Any) -> None:
        super().__init__(queue.fileno())
        self._queue = queue

    def _drain(self) -> bool:
        return bool(self._queue.control(None, 16, 0))


class _Poll:
    fd: int | None = None

    def __init__(self, bell: Path) -> None:
        self._bell = bell
        self._seen = self._time()

    def _time(self) -> int:
        try:
            return self._bell.stat().st_mtime_ns
        except OSError:
            return 0

    async def wait(self, timeout_s: float) -> bool:
        with anyio.move_on_after(timeout_s):
            while self._time() == self._seen:  # noqa: ASYNC110 - another process changes the file
                await anyio.sleep(POLL_S)
        seen, self._seen = self._seen, self._time()
        return seen != self._seen


@contextmanager
def listen(bell: Path) -> Generator[Listener]:
    """Listen to the bell; rings from here on are not missed, however late `wait` is called."""
    bell.touch(mode=0o600, exist_ok=True)
    with contextlib.ExitStack() as stack:
        yield _listener(bell, stack)


def _listener(bell: Path, stack: contextlib.ExitStack) -> Listener:
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        fd = libc.inotify_init1(IN_CLOEXEC | IN_NONBLOCK)
        if fd >= 0:  # else: no inotify instances left (fs.inotify.max_user_instances)
            stack.callback(os.close, fd)
            if libc.inotify_add_watch(fd, os.fsencode(bell), IN_ATTRIB) >= 0:
                return _Readable(fd)
    elif sys.platform == "darwin":
        file = os.open(bell, os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, file)
        queue = stack.enter_context(contextlib.closing(select.kqueue()))
        change = select.kevent(
            file,
            filter=select.KQ_FILTER_VNODE,
            flags=select.KQ_EV_ADD | select.KQ_EV_CLEAR,
            fflags=select.KQ_NOTE_ATTRIB,
        )
        queue.control([change], 0, 0)
        return _Kqueue(queue)
    return _Poll(bell)
