"""Worktrees of which nothing is known but what git says. All functions block."""

from __future__ import annotations

import os
from pathlib import Path

from claudine_mcp.host.git import GitError, git
from claudine_mcp.host.worktree_state import git_dir_of
from claudine_mcp.host.worktrees import CONDEMNED, HOLDERS, check_removable, remove, remove_condemned


def check_orphan(path: Path) -> None:
    """See whether `remove_orphan` would remove a worktree.

    Raises:
        Unsaved: something in it is nowhere else.
        GitError: it is none, or git cannot look.
    """
    if not path.name.endswith(CONDEMNED):
        check_removable(_repository(path), path, _head(path), with_commits=True)


def remove_orphan(path: Path) -> None:
    """Remove a worktree, and its branch if another one has all its commits.

    Raises:
        Unsaved: something in it is nowhere else.
        GitError: it is none, or git cannot.
        OSError: files cannot be removed.
    """
    if path.name.endswith(CONDEMNED):
        remove_condemned(path.parent)
        return
    repository, head = _repository(path), _head(path)
    holders = _ask(path, "for-each-ref", "--format=%(refname)", "--contains", head, *HOLDERS).splitlines()
    try:
        own = _ask(path, "symbolic-ref", "--quiet", "HEAD")
    except GitError as error:
        if error.said:
            raise
        own = ""  # no branch is checked out
    is_held = any(name != own for name in holders)
    remove(repository, path, own.removeprefix("refs/heads/") if is_held else "", head, with_commits=True)


def _repository(path: Path) -> Path:
    return Path(os.path.normpath(path / _ask(path, "rev-parse", "--git-common-dir")))


def _head(path: Path) -> str:
    return _ask(path, "rev-parse", "--verify", "HEAD")


def _ask(path: Path, *arguments: str) -> str:
    env = {"GIT_DIR": str(git_dir_of(path)), "GIT_WORK_TREE": str(path)}
    return os.fsdecode(git(path, *arguments, env=env)).strip()
