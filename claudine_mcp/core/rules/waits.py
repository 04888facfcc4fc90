"""What a process waits for, by the function of the kernel in which it sleeps (`/proc/PID/task/TID/wchan`)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from functools import cache
from typing import Final


class Wait(StrEnum):
    """What is waited for, in the words of a person."""

    LOCK = "a lock"
    PIPE_FULL = "someone to read from a pipe"
    PIPE_PARTNER = "someone to open the other end of a pipe"
    CHILD = "a child"
    FILE_LOCK = "a file that someone else has locked"
    PIPE_EMPTY = "something to read from a pipe"
    SOCKET = "the network"
    EVENT = "an event"
    TIMER = "a time to come"
    DISK = "the disk"
    UNKNOWN = "something"


_PREFIXES: Final = (
    ("futex", Wait.LOCK),
    ("anon_pipe_write", Wait.PIPE_FULL),
    ("pipe_write", Wait.PIPE_FULL),
    ("anon_pipe_read", Wait.PIPE_EMPTY),
    ("pipe_read", Wait.PIPE_EMPTY),
    ("pipe_wait", Wait.PIPE_EMPTY),
    ("wait_for_partner", Wait.PIPE_PARTNER),
    ("do_wait", Wait.CHILD),
    ("kernel_wait4", Wait.CHILD),
    ("locks_lock", Wait.FILE_LOCK),
    ("flock", Wait.FILE_LOCK),
    ("posix_lock", Wait.FILE_LOCK),
    ("wait_woken", Wait.SOCKET),
    ("sk_", Wait.SOCKET),
    ("tcp_", Wait.SOCKET),
    ("inet_csk", Wait.SOCKET),
    ("unix_", Wait.SOCKET),
    ("skb_", Wait.SOCKET),
    ("__skb_", Wait.SOCKET),
    ("do_epoll", Wait.EVENT),
    ("ep_poll", Wait.EVENT),
    ("poll_", Wait.EVENT),
    ("do_poll", Wait.EVENT),
    ("do_sys_poll", Wait.EVENT),
    ("do_select", Wait.EVENT),
    ("inotify", Wait.EVENT),
    ("io_cqring", Wait.EVENT),
    ("sigsuspend", Wait.EVENT),
    ("do_sigtimedwait", Wait.EVENT),
    ("do_pause", Wait.EVENT),
    ("n_tty", Wait.EVENT),
    ("hrtimer", Wait.TIMER),
    ("do_nanosleep", Wait.TIMER),
    ("common_nsleep", Wait.TIMER),
    ("io_schedule", Wait.DISK),
    ("folio_wait", Wait.DISK),
    ("rpc_wait", Wait.DISK),
    ("nfs_", Wait.DISK),
)
"""Names changed between Linux 4 and 6, their beginnings hardly did."""

_ONLY_EACH_OTHER: Final = frozenset({Wait.LOCK, Wait.PIPE_FULL, Wait.CHILD})


@cache
def wait_of(channel: str) -> Wait:
    """Give what a thread that sleeps in this function waits for."""
    for prefix, wait in _PREFIXES:
        if channel.startswith(prefix):
            return wait
    return Wait.UNKNOWN


def waits_of(channels: Iterable[str] | None) -> frozenset[Wait]:
    """Give what threads wait for; nothing if that was not read."""
    return frozenset(wait_of(channel) for channel in channels or ())


def is_deadlock(waits: frozenset[Wait]) -> bool:
    """Whether these threads, all of a tree, can only wait for each other.

    A parent that waits for a child is not in its way; but one of them must hold what the others want.
    """
    return waits <= _ONLY_EACH_OTHER and bool(waits - {Wait.CHILD})
