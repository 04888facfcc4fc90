"""Giving the beginning of a file back to the disk, while whoever appends to it goes on, at the same offsets."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Final

from claudine_mcp.core.errors import ClaudineError
from claudine_mcp.host.files import open_regular

FALLOC_FL_KEEP_SIZE: Final = 0x01  # <linux/falloc.h>
FALLOC_FL_PUNCH_HOLE: Final = 0x02
_LINE_WITHIN_BYTES: Final = 64 * 1024
_UNSUPPORTED: Final = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.ENODEV})


class CannotRelease(ClaudineError):
    """This system, or this file system, cannot release a part of a file."""


def release_head(path: Path, until: int) -> int:
    """Release a file's first bytes; its size, and every offset in it, stay as they are. Blocks.

    What is released reads as zeros (fallocate(2), FALLOC_FL_PUNCH_HOLE).

    Args:
        path: the file.
        until: how many bytes at most. A little less is released where that leaves a line whole.

    Returns:
        How many bytes of the file are released now; 0 if so few cannot be.

    Raises:
        CannotRelease: nothing was released, nor can be here.
        OSError: it cannot be opened, or not be changed.
    """
    release = _fallocate()
    fd = open_regular(path, os.O_RDWR)
    try:
        window = max(0, until - _LINE_WITHIN_BYTES)
        newline = os.pread(fd, until - window, window).rfind(b"\n")
        if newline >= 0:
            until = window + newline + 1
        if until < os.fstat(fd).st_blksize:
            return 0
        if release(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, until) != 0:
            number = ctypes.get_errno()
            if number in _UNSUPPORTED:
                raise CannotRelease(f"{path}: its file system cannot release a part of a file")
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(fd)
    return until


def can_release(directory: Path) -> bool:
    """Try on a file of its own whether parts of files in a directory can be released.

    Raises:
        OSError: no file can be written there.
    """
    with tempfile.NamedTemporaryFile(dir=directory, prefix="holes-") as file:
        size = 2 * os.fstat(file.fileno()).st_blksize
        file.write(bytes(size))
        file.flush()
        try:
            release_head(Path(file.name), size)
        except CannotRelease:
            return False
    return True


def released_bytes(path: Path) -> int:
    """Give the length of the hole that a file begins with; 0 where nobody tells."""
    fd = open_regular(path)
    try:
        return os.lseek(fd, 0, os.SEEK_DATA)
    except OSError as error:
        return os.fstat(fd).st_size if error.errno == errno.ENXIO else 0  # nothing but a hole
    finally:
        os.close(fd)


@cache
def _fallocate() -> Any:
    function = (
        getattr(ctypes.CDLL(None, use_errno=True), "fallocate", None) if sys.platform == "linux" else None
    )
    if function is None:
        raise CannotRelease("this system cannot release a part of a file")
    off_t = ctypes.c_long  # as glibc and musl have it in `fallocate`
    function.argtypes = [ctypes.c_int, ctypes.c_int, off_t, off_t]
    return function
