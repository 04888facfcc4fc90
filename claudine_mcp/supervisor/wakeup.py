"""What ends a supervisor's pause: the bell, the clock, or output that a run has printed."""

from __future__ import annotations

import ctypes
import os
import select
import sys
import time
from enum import Enum, auto
from pathlib import Path

import anyio

from claudine_mcp.registry.bell import IN_CLOEXEC, IN_NONBLOCK, Listener

IN_MODIFY = 0x2  # <sys/inotify.h>
PAUSE_S = 0.1
"""Twenty runs that print without end are read ten times a second, which costs 1 % of a core, not a hundred."""
AT_ONCE = 5
"""So often in a row output is read without a pause: the lines that end a run come together."""


class Cause(Enum):
    """Why a pause ended."""

    BELL_OR_CLOCK = auto()
    OUTPUT = auto()


class Wakeup:
    """Waits for whatever comes first. Without inotify, output is found when the clock says so."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._output_fd = -1
        self._again_at = 0.0
        if sys.platform != "linux" or listener.fd is None:
            return
        self._libc = ctypes.CDLL(None)
        self._output_fd = self._libc.inotify_init1(IN_CLOEXEC | IN_NONBLOCK)
        if self._output_fd >= 0:
            self._either = select.epoll()
            self._either.register(listener.fd, select.EPOLLIN)
            self._either.register(self._output_fd, select.EPOLLIN)

    def watch(self, path: Path) -> None:
        """Have the pause end when this file grows. A file that is removed is forgotten by itself."""
        if self._output_fd >= 0:
            self._libc.inotify_add_watch(self._output_fd, os.fsencode(path), IN_MODIFY)

    async def wait(self, timeout_s: float) -> Cause:
        """Wait, at most so long."""
        if self._output_fd < 0:
            await self._listener.wait(timeout_s)
            return Cause.BELL_OR_CLOCK
        now = time.monotonic()
        until = now + timeout_s
        if now < self._again_at:
            rang = await self._listener.wait(min(until, self._again_at) - now)
            if rang or until <= self._again_at:
                return Cause.BELL_OR_CLOCK
        with anyio.move_on_after(until - time.monotonic()):
            await anyio.wait_readable(self._either.fileno())
        now = time.monotonic()
        if now < until and self._drain():
            self._again_at = max(self._again_at, now - (AT_ONCE - 1) * PAUSE_S) + PAUSE_S
            return Cause.OUTPUT
        await self._listener.wait(0)
        return Cause.BELL_OR_CLOCK

    def _drain(self) -> bool:
        try:
            return bool(os.read(self._output_fd, 65536))
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Let go of what was watched."""
        if self._output_fd >= 0:
            self._either.close()
            os.close(self._output_fd)
            self._output_fd = -1
