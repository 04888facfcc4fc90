"""Signals that reach the process that was meant, and nobody else."""

from __future__ import annotations

import os
import signal
import sys

from claudine_mcp.core.identity import Identity
from claudine_mcp.host.processes import boot_id, is_alive, pid_namespace, reader


def open_pidfd(identity: Identity) -> int | None:
    """Open a handle on this very process, None if it is gone or the system has no pidfds.

    The check comes after the open: from then on the handle cannot come to mean another process.
    """
    if sys.platform != "linux":
        return None
    if (identity.boot_id, identity.pid_namespace) != (boot_id(), pid_namespace()):
        return None  # machines and containers start alike: the same pid at the same time is still another process
    try:
        fd = os.pidfd_open(identity.pid)
    except OSError:
        return None
    process = reader().process(identity.pid)
    if process is None or process.start != identity.start:
        os.close(fd)
        return None
    return fd


def send(identity: Identity, number: int) -> bool:
    """Send a signal to this very process. False: it was gone, or is not ours to signal."""
    if sys.platform != "linux":
        if not is_alive(identity):
            return False
        try:
            os.kill(identity.pid, number)
        except OSError:
            return False
        return True
    fd = open_pidfd(identity)
    if fd is None:
        return False
    try:
        signal.pidfd_send_signal(fd, number)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
