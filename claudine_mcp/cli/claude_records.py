"""What Claude Code keeps of its sessions in its user's folders, and how that of a demonstration is removed.

Seen with 2.1.328: transcripts and a folder for the session's environment, by the session's id; logs of MCP
servers, by the working directory; and from a process that was killed a file that says that it runs, and a
snapshot of the shell's settings, which it would have removed itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterable
from pathlib import Path

import psutil

_SNAPSHOT = re.compile(r"/shell-snapshots/(snapshot-[\w.-]+\.sh)")


def config_folder() -> Path:
    """Give where Claude Code keeps its user's settings."""
    return Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude")


def snapshots_of(pids: Iterable[int]) -> set[Path]:
    """Give the snapshots that the shells among these processes were started with."""
    folder = config_folder() / "shell-snapshots"
    found: set[Path] = set()
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            line = " ".join(psutil.Process(pid).cmdline())
            found.update(folder / name for name in _SNAPSHOT.findall(line) if str(folder / name) in line)
    return found


def forget_session(session: str) -> None:
    """Remove what bears the name of a session, and what says that it runs. It must not run any more.

    Args:
        session: its id, a UUID.
    """
    name = str(uuid.UUID(session))  # anything else might match the files of other sessions
    folder = config_folder()
    for path in (*folder.glob(f"*/{name}*"), *folder.glob(f"projects/*/{name}*")):
        _remove(path)
    for path in folder.glob("sessions/*.json"):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if json.loads(path.read_bytes()).get("sessionId") == name:
                for part in path.parent.glob(f"{path.stem}.*"):
                    _remove(part)


def forget_project(work: Path) -> None:
    """Remove what belongs to a working directory that nobody else has ever worked in."""
    name = re.sub(r"[^A-Za-z0-9]", "-", str(work))
    caches = (os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", Path.home() / "Library" / "Caches")
    for folder in (config_folder() / "projects", *(Path(cache) / "claude-cli-nodejs" for cache in caches)):
        _remove(folder / name)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
