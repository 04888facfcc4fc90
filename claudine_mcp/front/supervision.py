"""Seeing to it that there is a supervisor: the lease taken, and passed to a process that is started with it."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import anyio

from claudine_mcp.core.errors import ClaudineError, SupervisorError
from claudine_mcp.core.identity import Identity
from claudine_mcp.host.lease import Lease, is_held, try_take
from claudine_mcp.host.processes import is_alive
from claudine_mcp.host.signals import send
from claudine_mcp.registry.database import Database
from claudine_mcp.registry.leases import holder
from claudine_mcp.registry.tasks import has_work

log = logging.getLogger(__name__)

LOG = "supervisor.log"
LOG_BYTES = 2**20
PASSED_ON = (
    "HOME",
    "PATH",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "USER",
    "LOGNAME",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
)
"""All that a supervisor gets of the environment of whoever starts it, besides CLAUDINE_HOME and CLAUDINE_CONFIG."""
LOOK_EVERY_S = 1.0
LOOKED_AT_S = 0.02
SILENT_BEAT_S = 10.0
SIGKILL = 9

_children: list[subprocess.Popen[bytes]] = []
"""Supervisors that this process started: they outlive it, but one that ends before must be reaped by it."""


def ensure_supervisor(state_dir: Path, env: Mapping[str, str]) -> bool:
    """Start a supervisor unless there is one. True: this call started it. Does not wait for it.

    Commit first, then call this: a supervisor that finds nothing to do leaves.

    Raises:
        SupervisorError: no process can be started.
    """
    lease = try_take(state_dir)
    if lease is None:
        return False
    try:
        start(state_dir, env, lease)
    finally:
        lease.release()
    return True


async def see_to_supervisor(db: Database, state_dir: Path, env: Mapping[str, str]) -> None:
    """As `ensure_supervisor`, for whoever may leave at once: a lease that was only being tried is asked for again.

    Raises:
        SupervisorError: no process can be started.
    """
    if ensure_supervisor(state_dir, env):
        return
    async with db.read() as tx:
        last = await holder(tx)
    if last.identity is None or not is_alive(Identity.parse(last.identity)):
        # It is starting, or another front was only looking: that takes microseconds.
        await anyio.sleep(LOOKED_AT_S)
        ensure_supervisor(state_dir, env)


def start(state_dir: Path, env: Mapping[str, str], lease: Lease) -> None:
    """Start a supervisor and pass it the lease.

    Raises:
        SupervisorError: no process can be started.
    """
    clean = {name: env[name] for name in (*PASSED_ON, "CLAUDINE_CONFIG") if name in env}
    _reap()
    try:
        output = open_log(state_dir)
    except OSError as error:
        raise SupervisorError(f"{state_dir / LOG}: it cannot be written: {error.strerror}") from error
    try:
        process = subprocess.Popen(
            # -P: the directory that it is started from must not be imported from.
            [sys.executable, "-P", "-m", "claudine_mcp", "supervise", "--lease-fd", str(lease.fd)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env={**clean, "CLAUDINE_HOME": str(state_dir)},
            pass_fds=[lease.fd],
            start_new_session=True,
        )
    except OSError as error:
        raise SupervisorError(f"the supervisor cannot be started: {error}") from error
    finally:
        os.close(output)
    _children.append(process)


def _reap() -> None:
    """Forget the supervisors of this process that have ended."""
    _children[:] = [child for child in _children if child.poll() is None]


def open_log(state_dir: Path) -> int:
    """Open the supervisor's log for appending, setting aside one that has grown large; give the descriptor."""
    path = state_dir / LOG
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


async def keep_supervised(db: Database, state_dir: Path, env: Mapping[str, str]) -> None:
    """Look once a second, for ever, whether there is work and nobody who does it; start a supervisor then.

    What goes wrong is logged and tried again: a front must not end because its disk is full.
    """
    said = ""
    while True:
        await anyio.sleep(LOOK_EVERY_S)
        try:
            await _start_if_needed(db, state_dir, env)
        except (ClaudineError, OSError) as error:
            if str(error) != said:
                log.warning("there may be work without a supervisor: %s", error)
            said = str(error)


async def _start_if_needed(db: Database, state_dir: Path, env: Mapping[str, str]) -> None:
    _reap()
    lease = try_take(state_dir)
    if lease is None:
        return
    try:
        async with db.read() as tx:
            needed = await has_work(tx)
        if needed:
            start(state_dir, env, lease)
    finally:
        lease.release()


class Pulse:
    """Watches the supervisor's beat while a command waits for its result.

    Times are measured on this process's own monotonic clock, so a clock that is set, or a machine that
    slept, does not make a supervisor look dead.
    """

    def __init__(self, state_dir: Path, now: float) -> None:
        self._state_dir = state_dir
        self._seen = self._beat()
        self._since = now

    def _beat(self) -> int:
        try:
            return (self._state_dir / "beat").stat().st_mtime_ns
        except OSError:
            return 0

    def silent_for_s(self, now: float) -> float:
        """Give for how long the beat has not changed, as far as this object has seen."""
        beat = self._beat()
        if beat != self._seen:
            self._seen, self._since = beat, now
        return now - self._since


async def replace_silent(db: Database, state_dir: Path, env: Mapping[str, str]) -> None:
    """End a supervisor that has stopped beating, by its identity, and start another.

    Raises:
        SupervisorError: it cannot be ended: it is another user's, or runs in another pid namespace.
    """
    async with db.read() as tx:
        last = await holder(tx)
    if last.identity is None or not is_held(state_dir):
        ensure_supervisor(state_dir, env)
        return
    identity = Identity.parse(last.identity)
    if not send(identity, SIGKILL):
        raise SupervisorError(
            f"the supervisor (pid {identity.pid}) holds the lease but does not work, and cannot be ended from here. "
            f"`claudine-mcp doctor` tells more; its log is {state_dir / LOG}"
        )
    with anyio.move_on_after(SILENT_BEAT_S):
        while not ensure_supervisor(state_dir, env):  # noqa: ASYNC110 - a lock has no event
            await anyio.sleep(0.02)


def log_tail(state_dir: Path, lines: int = 3) -> str:
    """Give the last lines of the supervisor's log."""
    try:
        text = (state_dir / LOG).read_bytes()[-4000:].decode("utf-8", "replace")
    except OSError:
        return ""
    return " / ".join(text.strip().splitlines()[-lines:])
