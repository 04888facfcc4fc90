"""What ends a supervisor's pause: the bell, the clock, or output that a run has printed."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from enum import Enum, auto
from pathlib import Path

import anyio

from claudine_mcp.registry.bell import IN_CLOEXEC, IN_NONBLOCK, Listener

IN_MODIFY = 0x2  # <sys/inotify.h>
PAUSE_S = 0.05
"""Twenty runs that print without end are read twenty times a second, which costs 1 % of a core, not a hundred."""


class Cause(Enum):
    """Why a pause ended."""

    BELL_OR_CLOCK = auto()
    OUTPUT = auto()


class Wakeup:
    """Waits for whatever comes first. Without inotify, output is found when the clock says so."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._fd = -1
        self._again_at = 0.0
        if sys.platform == "linux":
            self._libc = ctypes.CDLL(None)
            self._fd = self._libc.inotify_init1(IN_CLOEXEC | IN_NONBLOCK)

    def watch(self, path: Path) -> None:
        """Have the pause end when this file grows. A file that is removed is forgotten by itself."""
        if self._fd >= 0:
            self._libc.inotify_add_watch(self._fd, os.fsencode(path), IN_MODIFY)

    async def wait(self, timeout_s: float) -> Cause:
        """Wait, at most so long."""
        if self._fd < 0:
            await self._listener.wait(timeout_s)
            return Cause.BELL_OR_CLOCK
        cause = Cause.BELL_OR_CLOCK
        async with anyio.create_task_group() as group:

            async def output() -> None:
                nonlocal cause
                await anyio.sleep(max(0.0, self._again_at - time.monotonic()))
                await anyio.wait_readable(self._fd)
                self._drain()
                self._again_at = time.monotonic() + PAUSE_S
                cause = Cause.OUTPUT
                group.cancel_scope.cancel()

            group.start_soon(output)
            await self._listener.wait(timeout_s)
            cause = Cause.BELL_OR_CLOCK
            group.cancel_scope.cancel()
        return cause

    def _drain(self) -> None:
        try:
            while os.read(self._fd, 65536):
                pass
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Let go of what was watched."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
