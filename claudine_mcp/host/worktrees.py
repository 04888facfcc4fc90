"""Git worktrees: made, looked at and removed; never one with work in it that nothing else holds.

Everything here can be begun by one process and finished by the next. Who makes a worktree holds a lock on its folder,
and so does its git, which may outlive it. What is removed is first renamed, so that it is there whole or not at all.
All functions block.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from claudine_mcp.core.errors import ClaudineError
from claudine_mcp.host.git import TIMEOUT_S, GitError, git
from claudine_mcp.host.worktree_state import (
    Changes,
    Listed,
    changes_in,
    commit_of,
    count,
    find_worktree,
    git_dir_of,
)

ADD_TIMEOUT_S: Final = 1800.0
"""A checkout of a large repository, with large files that are fetched, takes minutes."""
HOLDERS: Final = ("refs/heads", "refs/remotes", "refs/tags")
"""Refs that keep a commit for its user. Ours, of checkpoints, go when those are thinned."""
CONDEMNED: Final = ".removed"
"""The ending of the name of a folder that is being removed."""
_HALF_MADE: Final = "initializing"
"""The reason that git gives for the lock on a worktree that it has not finished (builtin/worktree.c)."""


class Unsaved(ClaudineError):
    """A worktree was not removed: something in it is nowhere else.

    Args:
        what: is in it.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"its worktree holds {what}")


def free_branch(repository: Path, wanted: str) -> str:
    """Give a name for a new branch: the one wanted, or one that begins so and can be made.

    Raises:
        GitError: git cannot look.
    """
    found = git(repository, "for-each-ref", "--format=%(refname)", "refs/heads")
    taken = {os.fsdecode(line).removeprefix("refs/heads/") for line in found.splitlines()}
    folders = {name[:at] for name in taken for at, sign in enumerate(name) if sign == "/"}
    if any(parent.as_posix() in taken for parent in Path(wanted).parents):
        wanted = wanted.replace("/", "-")
    name, n = wanted, 1
    while name in taken or name in folders:
        n += 1
        name = f"{wanted}-{n}"
    return name


def add(repository: Path, path: Path, branch: str, at: str, *, umask: int = -1) -> None:
    """Make a worktree, on a branch that is made if it is not there; nothing happens if it is there already.

    Submodules are not initialised. Hooks do not run; filters do, as git always has it.

    Args:
        repository: its git directory, or any folder of it.
        path: where; nothing, or an empty folder, unless it is the worktree itself.
        branch: its name, without `refs/heads/`.
        at: the commit that a new branch begins with.
        umask: of the files that are checked out; -1: this process's.

    Raises:
        GitError: git cannot, or something else is in the way. What was half made is removed again.
        OSError: the folder cannot be made.
    """
    if _is_made(repository, path):
        return
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _held(path) as lock:
        found = find_worktree(repository, path)
        if found is not None and found.locked != _HALF_MADE and (path / ".git").exists():
            return
        if found is None and any(path.iterdir()):
            raise GitError("worktree add", f"{path} is there, and is no worktree of {repository}")
        _forget(repository, path, found)
    with _held(path) as lock:  # once more: it may be another folder by now
        is_new = commit_of(repository, f"refs/heads/{branch}") is None
        try:
            where = ["-b", branch, str(path), at] if is_new else [str(path), branch]
            git(
                repository,
                "worktree",
                "add",
                "--quiet",
                *where,
                umask=umask,
                passed_on=[lock],
                timeout_s=ADD_TIMEOUT_S,
            )
        except GitError:
            with contextlib.suppress(GitError, OSError):  # the first error is the one that tells something
                _forget(repository, path, find_worktree(repository, path))
                _remove_files(path)
                if is_new:
                    _drop_branch(repository, branch, at)
            raise


def changes(path: Path, base: str, *, timeout_s: float = TIMEOUT_S) -> Changes:
    """Look at what is different in a worktree from the commit that it was made at.

    Raises:
        GitError: it is no worktree any more, or git cannot look, or not within the time.
    """
    return changes_in(git_dir_of(path), path, base, timeout_s)


def is_unchanged(path: Path, base: str) -> bool:
    """Whether a worktree is as it was made: no commit beyond the base, nothing changed, nothing new but ignored.

    Raises:
        GitError: as of `changes`.
    """
    return changes(path, base).are_none


def diff_summary(path: Path, base: str, *, timeout_s: float = TIMEOUT_S) -> str:
    """Say in a line what is different in a worktree from the commit that it was made at.

    Raises:
        GitError: as of `changes`.
    """
    return str(changes(path, base, timeout_s=timeout_s))


def remove(repository: Path, path: Path, branch: str, base: str, *, with_commits: bool = False) -> None:
    """Remove a worktree, and its branch if that has no commit of its own. What is gone already is no error.

    Args:
        repository: its git directory, or any folder of it.
        path: where it is.
        branch: its own.
        base: the commit that it was made at.
        with_commits: also one with commits, which stay on their branch.

    Raises:
        Unsaved: there is more in it than that; it is as it was.
        GitError: git cannot.
        OSError: files cannot be removed.
    """
    if not (path.exists() or repository.exists()):
        return
    condemned = path.with_name(path.name + CONDEMNED)
    found = find_worktree(repository, path)
    if _has_work(path, found):
        git_dir = git_dir_of(path)
        _refuse_unsaved(git_dir, path, base, with_commits)
        _remove_files(condemned)
        path.rename(condemned)
        try:  # somebody may have written into it meanwhile
            _refuse_unsaved(git_dir, condemned, base, with_commits)
        except ClaudineError:
            condemned.rename(path)
            raise
    if found is not None:
        git(repository, "worktree", "remove", "--force", "--force", str(path))
    _drop_branch(repository, branch, base)
    _remove_files(condemned)
    if path.exists():  # it was never made, or only half
        _remove_files(path)


def check_removable(repository: Path, path: Path, base: str, *, with_commits: bool = False) -> None:
    """See whether `remove` would remove a worktree.

    Raises:
        Unsaved: there is more in it than that.
        GitError: git cannot look.
    """
    if (path.exists() or repository.exists()) and _has_work(path, find_worktree(repository, path)):
        _refuse_unsaved(git_dir_of(path), path, base, with_commits)


def remove_condemned(folder: Path) -> None:
    """Remove what is left of worktrees whose removal was cut off, below a folder.

    Raises:
        OSError: files cannot be removed.
    """
    for path in folder.glob(f"*{CONDEMNED}"):
        _remove_files(path)


def branches(repository: Path, prefix: str) -> dict[str, str]:
    """Give the branches whose names begin so, each with its commit.

    Raises:
        GitError: git cannot look.
    """
    said = git(repository, "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads")
    lines = (os.fsdecode(line).partition(" ") for line in said.splitlines())
    found = {name.removeprefix("refs/heads/"): commit for commit, _, name in lines}
    return {name: commit for name, commit in found.items() if name.startswith(prefix)}


def _has_work(path: Path, found: Listed | None) -> bool:
    """Whether somebody may have worked in a worktree: it was finished, and is there."""
    if not path.exists() or (found is None and not any(path.iterdir())):
        return False
    if found is not None and found.locked not in {None, _HALF_MADE}:
        raise Unsaved("a lock (`git worktree lock`)")
    return found is None or found.locked is None


def _refuse_unsaved(git_dir: Path, path: Path, base: str, with_commits: bool) -> None:
    found = changes_in(git_dir, path, base, TIMEOUT_S)
    if not with_commits and not found.are_none:
        raise Unsaved(str(found))
    if found.uncommitted:
        raise Unsaved(f"uncommitted work ({count(found.uncommitted, 'file')})")
    if found.under_way:
        raise Unsaved(f"{found.under_way} that is under way")
    env = {"GIT_DIR": str(git_dir), "GIT_WORK_TREE": str(path)}
    if not git(path, "for-each-ref", "--count=1", "--contains", "HEAD", *HOLDERS, env=env):
        raise Unsaved("commits that no branch has")


def _is_made(repository: Path, path: Path) -> bool:
    if not (path / ".git").exists():
        return False
    found = find_worktree(repository, path)
    return found is not None and found.locked != _HALF_MADE


def _forget(repository: Path, path: Path, found: Listed | None) -> None:
    """Remove what is left of a worktree that was never finished, or whose files somebody has removed."""
    for item in path.iterdir() if path.exists() else ():
        _remove_files(item)
    if found is not None:
        _remove_files(path)  # git refuses a folder that has lost its `.git`
        try:
            git(repository, "worktree", "remove", "--force", "--force", str(path))
        finally:
            path.mkdir(mode=0o700)


def _drop_branch(repository: Path, branch: str, base: str) -> None:
    """Remove a branch if it has no commit of its own; in one step, so that none can come in between."""
    if commit_of(repository, f"refs/heads/{branch}") == base:
        git(repository, "update-ref", "-d", f"refs/heads/{branch}", base)


@contextmanager
def _held(path: Path) -> Generator[int]:
    """Hold the lock on a folder; wait for who has it, who may be a git that has outlived its supervisor."""
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        end = time.monotonic() + ADD_TIMEOUT_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise GitError("worktree add", f"another git is still making {path}") from None
                time.sleep(0.05)
        yield lock
    finally:
        os.close(lock)


def _remove_files(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
        return
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        pass
    except PermissionError:  # package managers write-protect the folders of their caches
        for folder, _, _ in os.walk(path):
            Path(folder).chmod(stat.S_IRWXU)
        shutil.rmtree(path)
