"""How a process ended that was not our child: what the kernel still knows."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import sys
import time

from claudine_mcp.core.identity import Identity

PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>
PIDFD_GET_INFO = 0xC040FF0B  # _IOWR(0xFF, 11, struct pidfd_info), 64 bytes; <linux/pidfd.h>, Linux 6.15
PIDFD_INFO_EXIT = 1 << 3
KMSG_BYTES = 8192


def become_subreaper() -> bool:
    """Have orphans below this process reparented to it (Linux). False where that is not possible."""
    if sys.platform != "linux":
        return False
    return ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def wait_status(pidfd: int) -> int | None:
    """Give the wait status of a process that has been reaped by someone else.

    None: it is not reaped yet, or the kernel cannot say (before Linux 6.15).
    """
    # struct pidfd_info: u64 mask, u64 cgroupid, then u32 pid, tgid, ppid, eight ids, s32 exit_code.
    buffer = bytearray(64)
    buffer[0:8] = PIDFD_INFO_EXIT.to_bytes(8, sys.byteorder)
    try:
        fcntl.ioctl(pidfd, PIDFD_GET_INFO, buffer)
    except OSError:
        return None
    if not int.from_bytes(buffer[0:8], sys.byteorder) & PIDFD_INFO_EXIT:
        return None
    return int.from_bytes(buffer[60:64], sys.byteorder, signed=True)


def reap(pid: int) -> int | None:
    """Take the wait status of a dead child of ours; None if it lives, or is not our child."""
    try:
        reaped, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return status if reaped == pid else None


def killed_for_memory(identity: Identity) -> bool | None:
    """Whether the kernel's log says that it killed this very process for memory.

    None where the log may not be read (`dmesg_restrict` without the privilege), or does not exist.
    """
    try:
        fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    needle = f"illed process {identity.pid} (".encode()
    # A pid may have had an owner before. The log's clock stands while the machine sleeps, start times go on.
    asleep_s = time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
    earliest_us = (identity.start / os.sysconf("SC_CLK_TCK") - asleep_s - 1) * 1e6
    with contextlib.closing(os.fdopen(fd, "rb", buffering=0)):
        while True:
            try:
                record = os.read(fd, KMSG_BYTES)
            except BlockingIOError:
                return False
            except OSError as error:
                if error.errno in {errno.EPIPE, errno.EINTR}:  # overwritten while we read
                    continue
                return None
            if needle in record and int(record.split(b",", 3)[2]) >= earliest_us:
                return True
