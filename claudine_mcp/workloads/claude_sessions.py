"""Whether there is a session to go on in: by what a run has printed, and by what is on disk.

Claude Code keeps sessions as `projects/PROJECT/SESSION.jsonl` below its configuration folder. That is how 2.1.328
has it. Where nothing is found, nothing should follow from this alone: another version may keep them elsewhere.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from claudine_mcp.core.models import JSON, Task

ANSWERED = "answered"
"""In what is seen of a task: whether the model has answered in its session, in this run or one before."""

GO_ON_WITH = "goOn"
"""In a task's spec: what the next run is told instead of the prompt, because someone has resumed it so."""


FORK = "fork"
"""In a task's spec: its session begins as a copy of the one with this `sessionId`, which had cost `costUsd`."""


def has_answered(task: Task) -> bool:
    """Whether the model has answered a task, so that its session is there and has something to go on with."""
    return bool((task.seen or {}).get(ANSWERED))


def spec_without_what_was_heard(task: Task, seen: JSON | None = None) -> JSON:
    """Give what a task was asked for, without what its last run was told to go on with, if the model has answered that.

    Args:
        task: the task.
        seen: what its last run has told, if that is more than the task has of it.
    """
    turns = (task.seen if seen is None else seen) or {}
    return {key: value for key, value in task.spec.items() if key != GO_ON_WITH or not turns.get("turns")}


def sessions_folder(env: Mapping[str, str]) -> Path | None:
    """Give the folder that a Claude Code with this environment looks for sessions in, None if that is not known."""
    if chosen := env.get("CLAUDE_CONFIG_DIR"):
        return Path(chosen) / "projects"
    home = env.get("HOME")
    return Path(home) / ".claude" / "projects" if home else None


def has_session(env: Mapping[str, str], session_id: str) -> bool:
    """Whether a Claude Code with this environment finds a session. Looks into one folder a project."""
    return transcript_of(env, session_id) is not None


def transcript_of(env: Mapping[str, str], session_id: str) -> Path | None:
    """Give the file of a session, None if there is none. Looks into one folder a project."""
    folder = sessions_folder(env)
    if folder is None:
        return None
    with contextlib.suppress(OSError):
        found = (project / f"{session_id}.jsonl" for project in folder.iterdir())
        return next((path for path in found if path.exists()), None)
    return None
