"""Git worktrees and branches that no task knows: what a registry that was lost or put back leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from claudine_mcp.core.errors import ClaudineError
from claudine_mcp.core.paths import worktrees_directory
from claudine_mcp.core.worktree import PREFIX
from claudine_mcp.front.health.findings import Finding, ok, plural, warning
from claudine_mcp.registry.database import FILE
from claudine_mcp.registry.inspection import TaskFacts, inspect

NAME = "worktrees"
SHOWN = 5


def look_at_worktrees(directory: Path, tasks: Mapping[str, TaskFacts], *, fix: bool) -> list[Finding]:
    """Find worktrees of the state directory that no task knows, and branches of tasks that are no more.

    Args:
        directory: the state directory.
        tasks: all tasks, by id.
        fix: whether to remove such worktrees, as far as nothing in them is nowhere else.
    """
    folder = worktrees_directory(directory)
    repositories = {Path(task.worktree["gitDir"]) for task in tasks.values() if task.worktree is not None}
    if not folder.is_dir() and not repositories:
        return []
    from claudine_mcp.host.git import GitError  # noqa: PLC0415 - most state directories have none

    found = [path for path in sorted(folder.glob("*")) if path.is_dir() and path.name not in tasks]
    if found:  # a task may have been submitted, and its worktree made, since that was read
        tasks = inspect(directory / FILE).tasks
    findings = [_unknown(path, fix=fix) for path in found if path.name.partition(".")[0] not in tasks]
    for repository in sorted(repositories):
        try:
            findings += _in_repository(repository, folder, tasks, fix=fix)
        except GitError as error:
            findings.append(
                warning(NAME, str(error), f"Tasks worked in {repository}; is it there, and may git use it?")
            )
    return findings or [ok(NAME, "nothing is left over")]


def _unknown(path: Path, *, fix: bool) -> Finding:
    from claudine_mcp.host.orphans import check_orphan, remove_orphan  # noqa: PLC0415 - as above

    what = f"no task knows the git worktree {path}"
    try:
        if not fix:
            check_orphan(path)
            return warning(NAME, what, "`claudine-mcp doctor --fix` removes it; commits stay on its branch.")
        remove_orphan(path)
    except (ClaudineError, OSError) as error:
        mend = f"Commit what you want to keep there, then `git worktree remove --force {path}`."
        return warning(NAME, f"{what}, and it stays: {error}", mend)
    return ok(NAME, f"{what}; it was removed")


def _in_repository(
    repository: Path, folder: Path, tasks: Mapping[str, TaskFacts], *, fix: bool
) -> list[Finding]:
    from claudine_mcp.host.worktree_state import listed  # noqa: PLC0415 - as above
    from claudine_mcp.host.worktrees import branches, remove  # noqa: PLC0415

    findings: list[Finding] = []
    if not repository.exists():
        return findings
    for entry in listed(repository, folder):
        if entry.path.exists() or entry.path.name in tasks:
            continue
        what = f"git lists a worktree {entry.path} in {repository} that is not there, and that no task knows"
        if fix:
            remove(repository, entry.path, "", entry.head)
            findings.append(ok(NAME, f"{what}; it was taken off the list"))
        else:
            findings.append(warning(NAME, what, "`claudine-mcp doctor --fix` takes it off the list."))
    known = {task.worktree["branch"] for task in tasks.values() if task.worktree is not None}
    left = sorted({*branches(repository, f"{PREFIX}/")} - known)
    if left:
        names = ", ".join(left[:SHOWN]) + (", …" if len(left) > SHOWN else "")
        what = f"{plural(len(left), 'branch', 'branches')} of removed tasks in {repository}: {names}"
        findings.append(ok("branches", what, "Merge what you want, then delete them with `git branch -D`."))
    return findings
