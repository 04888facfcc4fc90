"""Who is there: a name that processes hold for as long as they live, by flock on a file."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from pathlib import Path


def attend(folder: Path, name: str) -> int:
    """Hold a name, together with whoever else holds it; give the descriptor that holds it while it is open.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    _forget_absent(folder)
    path = folder / _file(name)
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        fcntl.flock(fd, fcntl.LOCK_SH)  # whoever looks holds it for microseconds
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(fd), path.stat()):
                return fd
        os.close(fd)


def is_attended(folder: Path, name: str) -> bool:
    """Whether anyone holds the name. Whoever looks at the same instant may be taken for one."""
    return _is_held(folder / _file(name))


def _file(name: str) -> str:
    """Give a file's name for any name."""
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _forget_absent(folder: Path) -> None:
    for path in folder.iterdir():
        _is_held(path)


def _is_held(path: Path) -> bool:
    """Look whether a file is locked; remove it if not."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Someone may have removed the file since, and another made it anew.
        if os.path.samestat(os.fstat(fd), path.stat()):
            path.unlink()
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    finally:
        os.close(fd)
    return False
