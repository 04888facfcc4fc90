"""The lease: one supervisor a state directory, by flock on a file.

The lock belongs to the open file description, so it can be handed to a child by descriptor: whoever starts
the supervisor takes the lock first and passes it on, and a storm of starters starts one.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

FILE = "lease"


class Lease:
    """The lock, held."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def release(self) -> None:
        """Let go. A child that was given the descriptor keeps the lock."""
        os.close(self.fd)


def try_take(state_dir: Path) -> Lease | None:
    """Take the lease if nobody holds it."""
    path = state_dir / FILE
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    return _locked(fd, path)


def adopt(fd: int, state_dir: Path) -> Lease | None:
    """Take over a descriptor that was passed to this process; None if it is not the lease of this directory."""
    os.set_inheritable(fd, False)
    return _locked(fd, state_dir / FILE)


def _locked(fd: int, path: Path) -> Lease | None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Someone may have replaced the file since: a lock on what no path leads to excludes nobody.
        if os.path.samestat(os.fstat(fd), path.stat()):
            return Lease(fd)
    except OSError:
        pass
    os.close(fd)
    return None


def is_held(state_dir: Path) -> bool:
    """Whether somebody holds the lease now."""
    lease = try_take(state_dir)
    if lease is None:
        return True
    lease.release()
    return False
