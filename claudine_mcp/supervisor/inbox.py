"""The standard input of a run, as the supervisor writes it: whole lines, in order, and never waiting for who reads."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import struct
import sys
import termios
from collections import deque
from pathlib import Path

F_GETPIPE_SZ = 1032  # <linux/fcntl.h>


class Inbox:
    """Lines on their way into a named pipe, whose other end a program reads and a keeper holds open.

    A torn line ends a Claude Code, and a supervisor may die at any moment. So a line that the pipe can hold is
    written at once or not yet; only a longer one is written in pieces.

    Args:
        fifo: the named pipe; it need not exist yet.
    """

    def __init__(self, fifo: Path) -> None:
        self._fifo = fifo
        self._lines: deque[bytes] = deque()
        self._fd: int | None = None
        self._is_torn = False

    def put(self, line: bytes) -> None:
        """Have a line written as soon as the pipe has room for it."""
        self._lines.append(line)

    def push(self) -> bool:
        """Write what there is room for; give whether that was all.

        Raises:
            OSError: nobody reads. What was not written is forgotten.
        """
        try:
            if self._lines and self._fd is None:
                self._fd = os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            while self._lines and self._fd is not None:
                line = self._lines.popleft()
                if not self._has_room(self._fd, line):
                    self._lines.appendleft(line)
                    return False
                written = self._write(self._fd, line)
                if written < len(line):
                    self._lines.appendleft(line[written:])
                    self._is_torn = self._is_torn or written > 0
                    return False
                self._is_torn = False
        except OSError:
            self.close()
            raise
        self.close()
        return True

    def _has_room(self, fd: int, line: bytes) -> bool:
        """Whether a line may be begun, or gone on with."""
        if self._is_torn or len(line) <= select.PIPE_BUF or sys.platform != "linux":
            return True
        if len(line) > fcntl.fcntl(fd, F_GETPIPE_SZ):
            return True
        (waiting_bytes,) = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, struct.pack("i", 0)))
        return waiting_bytes == 0

    @staticmethod
    def _write(fd: int, line: bytes) -> int:
        try:
            return os.write(fd, line)
        except BlockingIOError:
            return 0

    def close(self) -> None:
        """Let go of the pipe: for as long as it is held here, its reader finds no end."""
        self._lines.clear()
        self._is_torn = False
        if self._fd is not None:
            with contextlib.suppress(OSError):
                os.close(self._fd)
            self._fd = None
