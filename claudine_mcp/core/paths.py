"""Where things lie in a state directory: names only."""

from __future__ import annotations

from pathlib import Path


def task_directory(state_dir: Path, task_id: str) -> Path:
    """Give the directory of a task: its environment, its prompt, and one directory a run."""
    return state_dir / "tasks" / task_id


def run_directory(state_dir: Path, task_id: str, n: int) -> Path:
    """Give the directory of one run."""
    return task_directory(state_dir, task_id) / str(n)


def presence_directory(state_dir: Path) -> Path:
    """Give the directory that tells which sessions have a server now."""
    return state_dir / "present"


def worktrees_directory(state_dir: Path) -> Path:
    """Give the directory of the git worktrees of tasks; each has its task's id for a name."""
    return state_dir / "worktrees"


def waits_directory(state_dir: Path) -> Path:
    """Give the directory of the calls that wait as MCP tasks. A file in it begins with the task's id."""
    return state_dir / "waits"
