"""Git work trees, looked at: which repository a folder is in, and what is different in one from a commit. Blocks."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from claudine_mcp.host.git import GitError, git

_UNDER_WAY: Final = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
    "BISECT_LOG": "a bisection",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A folder in the work tree of a repository.

    Attributes:
        top: of the work tree.
        git_dir: of the repository, shared by all its worktrees.
        folder: relative to the top, "" for the top itself.
        head: the commit that is checked out.
        uncommitted: whether the work tree holds anything that is not in that commit, ignored files apart.
        has_submodules: whether that commit has some.
    """

    top: Path
    git_dir: Path
    folder: str
    head: str
    uncommitted: bool
    has_submodules: bool


@dataclass(frozen=True, slots=True)
class Changes:
    """What is different in a worktree from the commit that it was made at.

    Attributes:
        files: that differ, committed or not, with new ones; ignored ones apart.
        insertions: lines, of files that git knows.
        deletions: lines.
        commits: beyond that commit.
        uncommitted: how many of the files differ from the last commit.
        moved: whether another commit is checked out.
        under_way: an operation that git has not finished, like "a merge"; empty if none.
    """

    files: int
    insertions: int
    deletions: int
    commits: int
    uncommitted: int
    moved: bool
    under_way: str

    @property
    def are_none(self) -> bool:
        """Whether nothing would be lost with the worktree and its branch."""
        return not (self.files or self.commits or self.uncommitted or self.moved or self.under_way)

    def __str__(self) -> str:
        """Say it in a line."""
        if self.are_none:
            return "no changes"
        parts = [count(self.files, "file"), f"+{self.insertions} -{self.deletions}"]
        parts.append(count(self.commits, "commit"))
        if self.uncommitted:
            parts.append(f"{count(self.uncommitted, 'file')} not committed")
        if self.under_way:
            parts.append(f"{self.under_way} under way")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Listed:
    """A worktree as git lists it.

    Attributes:
        branch: that is checked out, without `refs/heads/`; None: none is.
        locked: the reason of a lock on it, which may be empty; None: there is no lock.
    """

    path: Path
    head: str
    branch: str | None
    locked: str | None


def place_of(folder: Path) -> Place:
    """Find the repository that a folder is in.

    Raises:
        GitError: it is in none, or only in one without a work tree or without a commit; or git cannot look.
    """
    said = git(folder, "rev-parse", "--show-toplevel", "--git-common-dir", "--show-prefix")
    top, git_dir, prefix = (os.fsdecode(part) for part in said.split(b"\n")[:3])
    head = commit_of(folder, "HEAD")
    if head is None:
        raise GitError("rev-parse", f"{top} has no commit yet")
    inside = prefix.rstrip("/")
    if inside and _kind(Path(top), f"{head}:{inside}") != "tree":
        raise GitError("rev-parse", f"the folder {inside} is not in the commit that is checked out in {top}")
    changed = git(Path(top), "status", "--porcelain", "-z", "--untracked-files=normal")
    submodules = _kind(Path(top), f"{head}:.gitmodules") is not None
    return Place(Path(top), Path(os.path.abspath(folder / git_dir)), inside, head, bool(changed), submodules)  # noqa: PTH100


def changes_in(git_dir: Path, path: Path, base: str, timeout_s: float) -> Changes:
    """Look at what is different in a work tree from a commit.

    Args:
        git_dir: what git keeps for it, wherever that thinks its files are.
        path: where they are.
        base: the commit.
        timeout_s: for all of it.

    Raises:
        GitError: git cannot look, or not within the time.
    """
    # Named, so that git neither looks further up nor notes where it found the files.
    env = {"GIT_DIR": str(git_dir), "GIT_WORK_TREE": str(path)}
    end = time.monotonic() + timeout_s

    def ask(*arguments: str) -> bytes:
        return git(path, *arguments, env=env, timeout_s=max(0.01, end - time.monotonic()))

    head = os.fsdecode(ask("rev-parse", "--verify", "HEAD")).strip()
    status = ask("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all").split(b"\0")
    uncommitted = [entry for entry in status if entry]
    new = sum(entry.startswith(b"??") for entry in uncommitted)
    numbers = ask("diff", "--numstat", "-z", "--no-renames", "--no-ext-diff", "--no-textconv", base)
    entries = [entry.split(b"\t") for entry in numbers.split(b"\0") if entry]
    commits = 0 if head == base else int(ask("rev-list", "--count", f"{base}..HEAD"))
    return Changes(
        files=len(entries) + new,
        insertions=sum(int(entry[0]) for entry in entries if entry[0] != b"-"),
        deletions=sum(int(entry[1]) for entry in entries if entry[1] != b"-"),
        commits=commits,
        uncommitted=len(uncommitted),
        moved=head != base,
        under_way=next((what for name, what in _UNDER_WAY.items() if (git_dir / name).exists()), ""),
    )


def git_dir_of(path: Path) -> Path:
    """Give the directory that git keeps for a worktree.

    Raises:
        GitError: it is none, or its repository has gone.
    """
    try:
        text = os.fsdecode((path / ".git").read_bytes())
    except OSError as error:
        raise GitError("worktree", f"{path} is no worktree any more ({error.strerror})") from error
    found = Path(os.path.normpath(path / text.removeprefix("gitdir:").strip()))
    if not found.is_dir():
        raise GitError("worktree", f"the repository of {path} is not there any more ({found})")
    return found


def listed(repository: Path, below: Path) -> list[Listed]:
    """Give the worktrees of a repository that lie directly below a folder, with those whose files are gone.

    Raises:
        GitError: git cannot look.
    """
    whole = os.path.realpath(below)
    return [found for found in _all(repository) if os.path.realpath(found.path.parent) == whole]


def find_worktree(repository: Path, path: Path) -> Listed | None:
    """Give the worktree of a repository that lies, or should lie, at a path; None: git knows of none.

    Raises:
        GitError: git cannot look.
    """
    whole = os.path.realpath(path)
    return next((found for found in _all(repository) if os.path.realpath(found.path) == whole), None)


def _all(repository: Path) -> list[Listed]:
    found: list[Listed] = []
    for block in os.fsdecode(git(repository, "worktree", "list", "--porcelain")).split("\n\n"):
        fields = {key: value for key, _, value in (line.partition(" ") for line in block.splitlines())}
        if "worktree" in fields:
            branch = fields.get("branch")
            found.append(
                Listed(
                    Path(fields["worktree"]),
                    fields.get("HEAD", ""),
                    None if branch is None else branch.removeprefix("refs/heads/"),
                    fields.get("locked"),
                )
            )
    return found


def commit_of(repository: Path, name: str) -> str | None:
    """Give the commit that a name stands for, None if it does for none.

    Raises:
        GitError: git cannot look.
    """
    try:
        return os.fsdecode(git(repository, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")).strip()
    except GitError as error:
        if error.said:
            raise
        return None


def _kind(repository: Path, name: str) -> str | None:
    """Give the kind of an object, None if there is none."""
    try:
        found = git(repository, "rev-parse", "--verify", "--quiet", name)
    except GitError as error:
        if error.said:
            raise
        return None
    return os.fsdecode(git(repository, "cat-file", "-t", os.fsdecode(found).strip())).strip()


def count(number: int, noun: str) -> str:
    """Give "1 file", "2 files"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
