"""One output file of a run, cut into lines from its end or from an offset, in bounded memory.

The file is append-only and may still grow; it is read as long as it was when it was opened. Its head may have
been released: a hole, which reads as NULs. Offsets are absolute.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.terminal import safe_cut

_BLOCK_BYTES: Final = 64 * 1024
_SEARCHED_BYTES: Final = 4 * 1024 * 1024  # how far back the start of a line is looked for
_LEAST_HOLE_BYTES: Final = 4096  # the common block size: nothing smaller can be released


class Piece(NamedTuple):
    """A line, or a part of one that is very long.

    Attributes:
        start: offset of its first byte.
        raw: its bytes without the newline.
        end: offset of what follows it and its newline.
        before_bytes: how much of the same line is before it and was not read.
        before_is_least: whether that may be more.
        continues: whether it goes on with the line of a piece that was read earlier.
        goes_on: whether more of the line follows.
    """

    start: int
    raw: bytes
    end: int
    before_bytes: int = 0
    before_is_least: bool = False
    continues: bool = False
    goes_on: bool = False

    @property
    def has_newline(self) -> bool:
        """Whether its line is complete."""
        return self.end > self.start + len(self.raw)


@dataclass(frozen=True, slots=True)
class LogFile:
    """An open output file.

    Attributes:
        fd: its descriptor, -1 if there is no output yet.
        size_bytes: its length when it was opened.
        released_bytes: the length of the hole that it begins with, and of the zeroed rest of its last block.
    """

    fd: int
    size_bytes: int
    released_bytes: int

    def read(self, start: int, end: int) -> bytes:
        """The bytes from `start` up to `end`, or to the end of the file."""
        parts: list[bytes] = []
        while start < end and (part := os.pread(self.fd, end - start, start)):
            parts.append(part)
            start += len(part)
        return b"".join(parts)

    def has_lost(self, offset: int) -> bool:
        """Whether something behind an offset was released since the file was opened: it reads as NULs by now."""
        return self.fd >= 0 and _released_bytes(self.fd, self.size_bytes) > max(offset, self.released_bytes)

    def begins_line(self, offset: int) -> bool:
        """Whether a line begins at an offset, as far as the bytes before it are still there."""
        return offset <= self.released_bytes or self.read(offset - 1, offset) == b"\n"

    def last_lines(self, count: int, window_bytes: int) -> list[Piece]:
        """The last pieces within a window at the end of the file.

        Returns:
            At most `count` whole lines and what comes after the last newline, if anything does. The first is
            a part of its line if the window begins within one.
        """
        count = min(count, window_bytes)
        least = max(self.released_bytes, self.size_bytes - window_bytes)
        low, window = self.size_bytes, b""
        while low > least and window.count(b"\n") <= count:
            block_start = max(least, low - _BLOCK_BYTES)
            window = self.read(block_start, low) + window
            low = block_start
        *lines, rest = window.rsplit(b"\n", count + 1)
        if len(lines) > count:  # it was only needed to find where the next one begins
            low += len(lines.pop(0)) + 1
        pieces: list[Piece] = []
        at = low
        for line in lines:
            pieces.append(Piece(at, line, at + len(line) + 1))
            at += len(line) + 1
        if rest:
            pieces.append(Piece(at, rest, self.size_bytes))
        if pieces and not self.begins_line(low):
            start, is_certain = self._line_start(low)
            pieces[0] = pieces[0]._replace(before_bytes=low - start, before_is_least=not is_certain)
        return pieces

    def pieces_from(self, offset: int, *, longest_bytes: int, ended: bool) -> Iterator[Piece]:
        """The lines from an offset on, those that are longer than `longest_bytes` in pieces.

        Where a line is cut depends on its own bytes alone, so it makes no difference how much was there when.

        Args:
            offset: where to begin: at the start of a line or the end of an earlier piece.
            longest_bytes: the length of the longest piece, at least 1.
            ended: whether a last line without a newline is whole.
        """
        offset = max(offset, self.released_bytes)
        continues = not self.begins_line(offset)
        buffer, at, high = b"", 0, offset
        while True:
            newline = buffer.find(b"\n", at, at + longest_bytes + 1)
            goes_on = newline < 0 and len(buffer) - at > longest_bytes
            if newline >= 0:
                length = newline - at
            elif goes_on:
                length = safe_cut(buffer[at : at + longest_bytes])
            elif high < self.size_bytes:
                block = self.read(high, min(high + _BLOCK_BYTES, self.size_bytes))
                if not block:  # against the rules, someone has made it shorter
                    return
                buffer, at, high = buffer[at:] + block, 0, high + len(block)
                continue
            elif ended and at < len(buffer):
                length = len(buffer) - at
            else:
                return
            taken = length + (newline >= 0)
            yield Piece(
                offset, buffer[at : at + length], offset + taken, continues=continues, goes_on=goes_on
            )
            offset, at, continues = offset + taken, at + taken, goes_on

    def _line_start(self, offset: int) -> tuple[int, bool]:
        """Where the line begins that `offset` is within, and whether that is certain."""
        low = offset
        while low > self.released_bytes and offset - low < _SEARCHED_BYTES:
            block_start = max(self.released_bytes, low - _BLOCK_BYTES)
            newline = self.read(block_start, low).rfind(b"\n")
            if newline >= 0:
                return block_start + newline + 1, True
            low = block_start
        return low, low == self.released_bytes


@contextmanager
def open_log(path: Path) -> Generator[LogFile, None, None]:
    """Open an output file; one that does not exist is empty.

    Raises:
        InvalidInput: something else than a regular file has taken its place.
        OSError: it cannot be read.
    """
    # O_NONBLOCK, since a FIFO in the file's place would block until someone writes to it.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    refusal = InvalidInput("stream", f"{path.name} is not a regular file, so it is not read")
    try:
        fd = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError):
        yield LogFile(-1, 0, 0)
        return
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.EOPNOTSUPP}:
            raise refusal from None  # a symbolic link (EMLINK on some BSDs) or a socket
        raise
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise refusal
        yield LogFile(fd, status.st_size, _released_bytes(fd, status.st_size))
    finally:
        os.close(fd)


def _released_bytes(fd: int, size_bytes: int) -> int:
    if not size_bytes or os.pread(fd, 1, 0) != b"\0":
        return 0
    try:
        data = os.lseek(fd, 0, os.SEEK_DATA)
    except OSError as error:  # nothing but a hole, or (EINVAL) a file system that knows none
        return size_bytes if error.errno == errno.ENXIO else 0
    if data < _LEAST_HOLE_BYTES:
        return 0
    block = os.pread(fd, _BLOCK_BYTES, data)
    return min(data + len(block) - len(block.lstrip(b"\0")), size_bytes)
