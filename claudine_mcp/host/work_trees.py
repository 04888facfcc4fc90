"""The work tree that a folder is in, and whether somebody's git is at work in it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from claudine_mcp.core.errors import ClaudineError
from claudine_mcp.host.git import GitError, git

PATIENCE_S: Final = 2.0
"""How long a lock may be there before it is said to be in the way: git itself holds it for milliseconds."""
_LOOK_EVERY_S: Final = 0.02


class NoWorkTree(ClaudineError):
    """A folder is in no work tree that git would work with.

    Args:
        folder: which.
        why: what it is instead.
    """

    def __init__(self, folder: Path, why: str) -> None:
        self.why = why
        super().__init__(f"{folder} is in no git work tree: {why}")


class GitLocked(ClaudineError):
    """Somebody's git is at work, or one that died has left its lock behind.

    Args:
        lock: the file.
    """

    def __init__(self, lock: Path) -> None:
        self.lock = lock
        super().__init__(
            f"git is locked: {lock} is there, so another git is at work or was killed. Nothing was changed. "
            "Try again, or remove that file if no git runs"
        )


@dataclass(frozen=True, slots=True)
class WorkTree:
    """A git work tree, and where its repository keeps things.

    Attributes:
        top: its top folder.
        git_dir: its own administrative folder.
        common_dir: that of all its repository's work trees.
        objects: the folder of the object database.
        index: the user's index; it need not be there.
        exclude: the repository's own list of what is ignored; it need not be there.
        object_format: `sha1` or `sha256`.
        head: the commit that is checked out, None before the first.
        head_tree: the tree of that commit.
        kept: what the ref is at that was asked about, None if it is not there.
    """

    top: Path
    git_dir: Path
    common_dir: Path
    objects: Path
    index: Path
    exclude: Path
    object_format: str
    head: str | None
    head_tree: str | None
    kept: str | None

    @property
    def zeros(self) -> str:
        """The id of no object."""
        return "0" * (40 if self.object_format == "sha1" else 64)

    @property
    def branch(self) -> str | None:
        """The full name of the ref that is checked out, None if it is a commit by itself."""
        said = (self.git_dir / "HEAD").read_text(encoding="utf-8", errors="surrogateescape")
        kind, _, name = said.strip().partition(": ")
        return name if kind == "ref" and not name.endswith("/.invalid") else None

    def await_unlocked(self) -> None:
        """Wait for the user's git to be done with the index.

        Raises:
            GitLocked: it is not after a while.
        """
        lock = self.index.with_name(f"{self.index.name}.lock")
        deadline = time.monotonic() + PATIENCE_S
        while lock.exists():
            if time.monotonic() > deadline:
                raise GitLocked(lock)
            time.sleep(_LOOK_EVERY_S)


def find_work_tree(folder: Path, ref: str = "") -> WorkTree:
    """Give the work tree that a folder is in; `ref` is looked up besides.

    Raises:
        NoWorkTree: it is in none, or git refuses to work there.
        GitError: git is not installed, or something else is wrong.
    """
    if not folder.is_dir():
        raise NoWorkTree(folder, "there is no such folder")
    refs = [ref] if ref else []
    paths = ("objects", "index", "info/exclude")
    try:
        said = git(
            folder,
            *("rev-parse", "--path-format=absolute", "--show-toplevel", "--absolute-git-dir"),
            *("--git-common-dir", *(part for path in paths for part in ("--git-path", path))),
            *("--show-object-format", "--revs-only", "HEAD", "HEAD^{tree}", *refs),
        )
    except GitError as error:
        raise explained(folder, error) from error
    lines = os.fsdecode(said).splitlines()
    if lines[6] not in {"sha1", "sha256"}:
        raise NoWorkTree(folder, "its path has a line break")
    top, git_dir, common_dir, objects, index, exclude = map(Path, lines[:6])
    revs: list[str | None] = [*lines[7:]]
    head, head_tree = revs[:2] if len(revs) > 1 else (None, None)
    kept = revs[-1] if len(revs) in {1, 3} else None
    return WorkTree(top, git_dir, common_dir, objects, index, exclude, lines[6], head, head_tree, kept)


def explained(folder: Path, error: GitError) -> ClaudineError:
    """Give the error that tells most of why git did not work in a folder."""
    if "not a git repository" in error.said:
        return NoWorkTree(folder, "it is not a git repository")
    if "must be run in a work tree" in error.said:
        return NoWorkTree(folder, "the repository is bare, or the folder is git's own")
    if "dubious ownership" in error.said:
        why = "it belongs to another user, and git refuses to work there until safe.directory names it"
        return NoWorkTree(folder, why)
    return error
