"""The state directory: whose it is, where it lies, how much room it has, and what lies about in it."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Collection
from pathlib import Path

from claudine_mcp.core.errors import StateDirError
from claudine_mcp.core.units import human_size
from claudine_mcp.front.health.findings import Finding, ok, plural, problem, warning
from claudine_mcp.host.statedir import ADVICE, REFUSED, file_system

NAME = "state directory"
PRIVATE = (
    "registry.db",
    "registry.db-wal",
    "registry.db-shm",
    "supervisor.log",
    "lease",
    "beat",
    "bell",
    "ballast",
)
SCARCE_BYTES, NONE_BYTES = 10**9, 50 * 10**6
"""Below a gigabyte long logs are at risk; below 50 MB so is the registry."""
YOUNG_S = 60.0
"""What is younger may be in the making."""
SHOWN = 5


def look_at_directory(directory: Path, mounts: str | None = None) -> list[Finding]:
    """Look at the directory itself.

    Args:
        directory: the state directory; it need not exist.
        mounts: the text of `/proc/self/mountinfo`; None: read it.
    """
    kind = _kind(directory, mounts)
    if kind in REFUSED:
        what = f"{directory} is on a {kind} file system, where locks cannot be trusted"
        return [problem(NAME, what, ADVICE)]
    if not directory.exists():
        return [ok(NAME, f"{directory} does not exist yet; the first task makes it")]
    if not directory.is_dir():
        return [problem(NAME, f"{directory} is not a directory", ADVICE)]
    found = directory.stat()
    if found.st_uid != os.getuid():
        return [problem(NAME, f"{directory} belongs to another user (uid {found.st_uid})", ADVICE)]
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK) or os.statvfs(directory).f_flag & os.ST_RDONLY:
        return [problem(NAME, f"{directory} is read-only", ADVICE)]
    where = f"{directory}" + (f" ({kind})" if kind else "")
    return [modes(directory) or ok(NAME, where), room(shutil.disk_usage(directory).free, directory)]


def _kind(directory: Path, mounts: str | None) -> str:
    try:
        return file_system(directory, mounts)
    except (OSError, StateDirError):
        return ""


def modes(directory: Path) -> Finding | None:
    """Find what others could read: the directory, or a file in it."""
    open_: list[str] = []
    for path in (directory, directory / "tasks", *(directory / name for name in PRIVATE)):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            continue
        if mode & 0o077:
            open_.append(f"{path} ({mode:04o})")
    if not open_:
        return None
    what = f"others may look into {', '.join(open_[:SHOWN])}, where output and environments are kept"
    return warning(NAME, what, f"chmod -R go= {directory}")


def room(free_bytes: int, directory: Path) -> Finding:
    """Judge the space that is left, with the ballast that can be given up."""
    has_ballast = (directory / "ballast").exists()
    what = f"{human_size(free_bytes)} free"
    if not has_ballast:
        what += "; the ballast is not there: it was given up, or no supervisor has run for long enough yet"
    if free_bytes < NONE_BYTES:
        return problem("disk", what, "Free some space; `claudine-mcp rm --state ended` removes ended tasks.")
    if free_bytes < SCARCE_BYTES:
        return warning("disk", what, "Free some space before a task's output fills the rest.")
    return ok("disk", what)


def look_at_files(directory: Path, known: Collection[str]) -> list[Finding]:
    """Find what crashes have left: task directories without a task, drafts that were never finished.

    Args:
        directory: the state directory.
        known: the ids of all tasks.
    """
    if not directory.is_dir():
        return []
    now = time.time()
    tasks = _older(directory / "tasks", now)
    orphans = [path.name for path in tasks if path.is_dir() and path.name not in known]
    drafts = [path.name for path in _older(directory, now) if ".new-" in path.name or ".tmp" in path.name]
    findings: list[Finding] = []
    if orphans:
        what = (
            f"{plural(len(orphans), 'task directory', 'task directories')} without a task: {_some(orphans)}"
        )
        findings.append(warning("files", what, "The next supervisor that starts removes them."))
    if drafts:
        what = f"{plural(len(drafts), 'draft')} of a crash: {_some(drafts)}"
        findings.append(warning("files", what, f"Remove them from {directory}."))
    return findings or [ok("files", "nothing is left over")]


def _older(folder: Path, now: float) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if now - path.lstat().st_mtime > YOUNG_S)
    except OSError:
        return []


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
