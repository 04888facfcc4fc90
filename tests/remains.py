"""Waiting for something, and what is alive of a state directory."""

from __future__ import annotations

import contextlib
import inspect
import os
import signal
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import anyio
import psutil

from claudine_mcp.core.identity import Identity
from claudine_mcp.host.processes import is_alive
from claudine_mcp.host.signals import send

T = TypeVar("T")

WAIT_S = 30.0
"""Far more than anything takes: it ends a test that would hang, and is no measure of speed."""

POLL_S = 0.01


async def wait_for(
    condition: Callable[[], T | Awaitable[T]], timeout_s: float = WAIT_S, what: str | None = None
) -> T:
    """Ask again and again until the answer is true; give it.

    Raises:
        AssertionError: it was not by the deadline; says what was waited for and the last answer.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        found = condition()
        answer: Any = await found if inspect.isawaitable(found) else found
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(
                f"not within {timeout_s:g} s: {what or _source(condition)}; last: {answer!r}"
            )
        await anyio.sleep(POLL_S)


def wait_until(condition: Callable[[], T], timeout_s: float = WAIT_S, what: str | None = None) -> T:
    """Like `wait_for`, for code that is not async."""
    deadline = time.monotonic() + timeout_s
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(
                f"not within {timeout_s:g} s: {what or _source(condition)}; last: {answer!r}"
            )
        time.sleep(POLL_S)
    return answer


def _source(condition: Callable[[], object]) -> str:
    try:
        return inspect.getsource(condition).strip()
    except (OSError, TypeError):
        return repr(condition)


def processes_of(folder: Path) -> dict[int, str]:
    """Give the living processes whose command line or environment names `folder`: pid to description."""
    needle = str(folder)
    found: dict[int, str] = {}
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        with contextlib.suppress(psutil.Error, OSError):
            if process.status() in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}:
                continue
            line = process.cmdline()
            if any(needle in text for text in (*line, *process.environ().values())):
                found[process.pid] = f"{process.pid} (parent {process.ppid()}): {' '.join(line) or '?'}"
    return found


def supervisors_of(state_dir: Path) -> list[int]:
    """Give the pids of the living supervisors of a state directory, however far they have got."""
    found: list[int] = []
    for pid in processes_of(state_dir):
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            if process.environ().get("CLAUDINE_HOME") == str(state_dir) and any(
                "--lease-fd" in text for text in process.cmdline()
            ):
                found.append(pid)
    return found


def holder_of(state_dir: Path) -> Identity | None:
    """Give the last supervisor that took the lease, None before the first, or without a usable registry."""
    with contextlib.suppress(ValueError):
        for (text,) in query(state_dir, "SELECT holder FROM lease"):
            return None if text is None else Identity.parse(text)
    return None


def query(state_dir: Path, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Read the registry directly; nothing if it cannot be read."""
    path = state_dir / "registry.db"
    if not path.is_file():
        return []
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(path, timeout=10)) as connection,
    ):
        return connection.execute(sql, parameters).fetchall()
    return []


def kill(pid: int) -> None:
    """End a process at once."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def alive(pid: int) -> bool:
    """Whether there is such a process; a zombie is dead."""
    try:
        return psutil.Process(pid).status() not in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
    except psutil.NoSuchProcess:
        return False


def stop_supervisor(state_dir: Path) -> None:
    """End the supervisor of a state directory, its keepers and every process of its tasks; wait until they are gone."""

    def press() -> bool:
        # The supervisor first: it would start the next task in place of one that ends.
        holder = holder_of(state_dir)
        left = set(supervisors_of(state_dir))
        if holder is not None and is_alive(holder):
            send(holder, signal.SIGKILL)
            left.add(holder.pid)
        for pid in left:
            kill(pid)
        if left:
            return False
        tasks = set(processes_of(state_dir / "tasks"))
        for pid in list(tasks):
            with contextlib.suppress(psutil.Error):
                tasks.update(
                    child.pid for child in psutil.Process(pid).children(recursive=True) if alive(child.pid)
                )
        for pid in tasks - {os.getpid()}:
            kill(pid)
        return not tasks

    wait_until(press, what=f"everything of {state_dir} has ended")
