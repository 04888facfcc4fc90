"""The registry, and who works on it."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from pathlib import Path

from claudine_mcp.core.identity import Identity
from claudine_mcp.core.states import ACTIVE, State
from claudine_mcp.core.units import human_duration, printable
from claudine_mcp.front.health.findings import Finding, ok, plural, problem, warning
from claudine_mcp.front.supervision import LOG, SILENT_BEAT_S
from claudine_mcp.host import lease
from claudine_mcp.host.processes import boot_id, is_alive, pid_namespace
from claudine_mcp.registry.database import FILE
from claudine_mcp.registry.inspection import Inspection, inspect
from claudine_mcp.registry.schema import VERSION

LOG_BYTES = 64 * 1024
_EPOCH = re.compile(r" INFO epoch \d+ in ")
_BAD = re.compile(r" (ERROR|CRITICAL) |^\w*(Error|Exception)\b")


def look_at_registry(directory: Path) -> tuple[Inspection | None, Finding]:
    """Look at the registry; give what is in it, None if there is none that can be read."""
    path = directory / FILE
    if not path.exists():
        return None, ok("registry", "there is none yet; the first task makes it")
    aside = (
        f"Move {path} away to begin with a new one; running tasks go on, and their output stays below tasks/."
    )
    try:
        found = inspect(path)
    except sqlite3.Error as error:
        return None, problem("registry", f"{path} cannot be read: {error}", aside)
    if found.damage:
        return None, problem("registry", f"{path} is damaged: {'; '.join(found.damage)}", aside)
    if found.version == 0:
        return None, problem("registry", f"{path} is not a registry of claudine-mcp", f"Move {path} away.")
    if found.version > VERSION or found.min_writer_version > VERSION:
        what = f"its version is {found.version}, this program's is {VERSION}"
        return found, problem("registry", what, "Upgrade this program.")
    what = f"sound, version {found.version}, {plural(len(found.tasks), 'task')}"
    if found.version < VERSION:
        what += f"; the next supervisor migrates it to version {VERSION}"
    return found, ok("registry", what)


def look_at_supervisor(directory: Path, found: Inspection | None) -> list[Finding]:
    """Look at who holds the lease, whether they work, and what went wrong last."""
    findings = [_supervisor(directory, found)]
    if errors := last_errors(_tail(directory / LOG)):
        mend = (
            f"`claudine-mcp supervise --once` shows it in the foreground; all of it is in {directory / LOG}."
        )
        findings.append(warning("supervisor log", " / ".join(errors), mend))
    return findings


def _free(found: Inspection | None) -> Finding:
    states = [task.state for task in found.tasks.values()] if found is not None else []
    waiting = states.count(State.QUEUED)
    active = sum(state in ACTIVE for state in states)
    asked = 0 if found is None else found.open_commands
    if waiting or active or asked:
        what = f"none, though {waiting} tasks are queued, {active} active and {asked} commands open"
        return problem(
            "supervisor", what, "`claudine-mcp status` starts one; so does every client that is open."
        )
    return ok("supervisor", "none; there is nothing to do")


def _supervisor(directory: Path, found: Inspection | None) -> Finding:
    last = found.holder if found is not None else None
    identity = None if last is None or last.identity is None else Identity.parse(last.identity)
    # The lock is tried last: that takes it for a moment, and keeps a client from starting a supervisor.
    if last is not None and identity is not None and is_alive(identity):
        return _alive(directory, identity.pid, last.epoch)
    if not (directory / lease.FILE).exists() or not lease.is_held(directory):
        return _free(found)
    if identity is not None and identity.boot_id == boot_id() and identity.pid_namespace != pid_namespace():
        what = f"the last known one is in another pid namespace ({identity.pid_namespace}), as in a container"
        return warning("supervisor", what, "Give each container a CLAUDINE_HOME of its own.")
    pids = holders(directory / lease.FILE)
    if any("supervise" in command for command in pids.values()):
        return ok("supervisor", "one is starting")
    who = (
        ", ".join(f"{pid} ({command})" for pid, command in pids.items())
        or "a process that cannot be seen from here"
    )
    what = f"the lease is held by {who}, which is no supervisor on record"
    mend = (
        f"End it: kill {' '.join(map(str, pids))}"
        if pids
        else "Look for a container that shares this directory."
    )
    return problem("supervisor", what, mend)


def _alive(directory: Path, pid: int, epoch: int) -> Finding:
    what = f"pid {pid}, epoch {epoch}"
    try:
        age_s = max(0.0, time.time() - (directory / "beat").stat().st_mtime)
    except OSError:
        return warning(
            "supervisor", f"{what}, has not given a sign of life yet", "Look again in some seconds."
        )
    what += f", last sign of life {human_duration(age_s)} ago"
    if age_s > SILENT_BEAT_S:
        return problem("supervisor", what, f"The next command replaces it; or end it: kill -9 {pid}")
    return ok("supervisor", what)


def holders(path: Path) -> dict[int, str]:
    """Give the processes that have a file open, with the beginning of their command lines (Linux, else none)."""
    found: dict[int, str] = {}
    wanted = os.path.realpath(path)
    proc = Path("/proc")
    for folder in proc.iterdir() if proc.is_dir() else ():
        if not folder.name.isdecimal() or int(folder.name) == os.getpid():
            continue
        try:
            if any(str(link.readlink()) == wanted for link in (folder / "fd").iterdir()):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                found[int(folder.name)] = printable(b" ".join(words).decode("utf-8", "replace").strip())[:80]
        except OSError:
            continue
    return found


def last_errors(log: str, count: int = 3) -> list[str]:
    """Give the last complaints in a supervisor's log since a supervisor last took the lease."""
    lines = log.splitlines()
    started = max((i for i, line in enumerate(lines) if _EPOCH.search(line)), default=0)
    return [printable(line) for line in lines[started:] if _BAD.search(line)][-count:]


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""
