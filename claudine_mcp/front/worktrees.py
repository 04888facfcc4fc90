"""Git worktrees of tasks: whether a task can have one, and what can be seen of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Final

import anyio.to_thread

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.models import JSON, Task
from claudine_mcp.core.units import printable
from claudine_mcp.core.worktree import GIT_VARIABLES, is_open
from claudine_mcp.front.submit import Submission, environment_file
from claudine_mcp.front.worktree_views import WorktreeView
from claudine_mcp.host.git import GitError
from claudine_mcp.host.worktree_state import Place, place_of
from claudine_mcp.host.worktrees import Unsaved, changes, check_removable

LOOK_S: Final = 2.0
"""For saying what is in a worktree, to someone who asks."""
RIGHT: Final = "Give a cwd in a git repository with a commit, or no worktree."


async def in_worktree(submission: Submission) -> Submission:
    """Look up where the task of a submission is, and have it work in a worktree of its own.

    Raises:
        InvalidInput: it is in no repository that can have one.
    """
    task = submission.task
    try:
        place = await anyio.to_thread.run_sync(place_of, Path(task.cwd))
    except GitError as error:
        raise InvalidInput(
            "worktree", f"{printable(task.cwd)} cannot have one: {error.said}", RIGHT
        ) from error
    env = json.loads(submission.files["env"])
    # They name the user's own tree and index, to whoever runs git.
    kept = {name: value for name, value in env.items() if name not in GIT_VARIABLES}
    spec = {**task.spec, "worktree": worktree_spec(place)}
    files = {**submission.files, "env": environment_file(kept)}
    return replace(submission, task=replace(task, spec=spec), files=files)


def worktree_spec(place: Place) -> JSON:
    """Give what a task's spec says of its worktree; see `core.worktree`."""
    notes: list[str] = []
    if place.uncommitted:
        notes.append(f"uncommitted changes of {place.top} are not in it")
    if place.has_submodules:
        notes.append("its submodules are not initialised")
    spec: JSON = {
        "repository": str(place.top),
        "gitDir": str(place.git_dir),
        "base": place.head,
        "folder": place.folder,
    }
    return {**spec, "note": "; ".join(notes)} if notes else spec


def worktree_view(task: Task) -> WorktreeView | None:
    """Show a task's worktree, None if it wants none. Looks into one that is in use or was kept. Blocks."""
    wanted: JSON | None = task.spec.get("worktree")
    if wanted is None:
        return None
    made = task.worktree
    note: str | None = wanted.get("note")
    if made is None:
        return WorktreeView(state="planned", repository=wanted["repository"], base=wanted["base"], note=note)
    said: str | None = made.get("changes")
    problem: str | None = made.get("problem")
    state = "in use" if is_open(made) else made["fate"]
    if state != "removed":
        try:
            said = str(changes(Path(made["path"]), made["base"], timeout_s=LOOK_S))
        except GitError as error:
            problem = str(error)
    return WorktreeView(
        state=state,
        path=made["path"],
        branch=made["branch"],
        repository=made["repository"],
        base=made["base"],
        changes=said,
        note="; ".join(text for text in (note, problem) if text) or None,
    )


async def why_it_stays(task: Task) -> str | None:
    """Say what in its worktree keeps a task from being removed, None if nothing does."""
    made = task.worktree
    if made is None or made.get("fate") == "removed":
        return None
    return await anyio.to_thread.run_sync(_why_it_stays, made)


def _why_it_stays(made: JSON) -> str | None:
    try:
        check_removable(Path(made["gitDir"]), Path(made["path"]), made["base"], with_commits=True)
    except (Unsaved, GitError) as error:
        return f"{error}, in {made['path']} (branch {made['branch']})"
    return None
