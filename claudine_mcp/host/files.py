"""Files that are either whole or not there, and for their owner only."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def write_durable(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a file so that after a crash it is either complete or absent.

    Raises:
        OSError: the disk is full, or the directory cannot be written.
    """
    draft = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    try:
        fd = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(fd)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a file that a task may have put something else in the place of: no FIFO is waited at, no link followed.

    Raises:
        FileNotFoundError: there is none, or it is no regular file.
        OSError: it cannot be opened.
    """
    no_file = FileNotFoundError(errno.ENOENT, "something else has taken the place of this file", str(path))
    try:
        # O_NONBLOCK: to open a FIFO would wait for who opens its other end.
        fd = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.EOPNOTSUPP, errno.EISDIR}:
            raise no_file from None
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise no_file
    return fd


def regular_bytes(path: Path) -> int:
    """Give the size of a file; 0 if there is none, or something else in its place."""
    try:
        found = path.stat(follow_symlinks=False)
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def current_umask() -> int:
    """Give this process's umask without changing it, which in a program with threads would be a race."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    except OSError:
        pass
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
