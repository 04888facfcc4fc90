"""Files that are either whole or not there, and for their owner only."""

from __future__ import annotations

import os
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


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
