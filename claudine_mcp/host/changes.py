"""What a work tree has that our index does not: found without reading a file, then stored."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from claudine_mcp.host.git import GitError, git
from claudine_mcp.host.own_index import GITLINK, remove
from claudine_mcp.host.shadow import Shadow, listed, paths_of

LARGE, UNREADABLE, SPECIAL, REPOSITORY, SUBMODULE = (
    "large",
    "unreadable",
    "special",
    "repository",
    "submodule",
)


@dataclass(frozen=True, slots=True)
class Left:
    """Something that is not stored as it is.

    Attributes:
        why: `large`; `unreadable`; `special`: a socket, a pipe or a device; `repository`: another one, inside;
            `submodule`: it has changes of its own, and only the commit that is checked out in it is stored.
        bytes: of a large file.
    """

    path: str
    why: str
    bytes: int | None = None


@dataclass(slots=True)
class Changes:
    """What differs, by paths from the top.

    Attributes:
        added: to be stored as they are now.
        gone: to be taken out.
        left: cannot be stored.
        modes: permission bits of added files.
    """

    added: list[str] = field(default_factory=list[str])
    gone: list[str] = field(default_factory=list[str])
    left: list[Left] = field(default_factory=list[Left])
    modes: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def found(self) -> bool:
        """Whether there is anything to be done."""
        return bool(self.added or self.gone)

    def touch(self, name: str) -> bool:
        """Whether a file of this name is among them, in whichever folder."""
        return any(path == name or path.endswith(f"/{name}") for path in (*self.added, *self.gone))


def changes_of(shadow: Shadow, state_dir: Path, large_bytes: int, submodules: Sequence[str]) -> Changes:
    """Find what differs from our index.

    Args:
        shadow: our git directory.
        state_dir: which is never stored, should it be in the work tree.
        large_bytes: above which a file is named, and not stored.
        submodules: paths of those that are tracked.

    Raises:
        GitError: git failed.
    """
    with ThreadPoolExecutor(4) as pool:
        tracked = pool.submit(
            shadow.git, "diff-files", "-z", "--raw", "--no-renames", "--ignore-submodules=dirty"
        )
        other = pool.submit(shadow.git, "ls-files", "-z", "-o", "--exclude-standard")
        inner = [pool.submit(_submodule, shadow, path) for path in submodules]
        changes = Changes()
        look = _Look(shadow.tree.top, large_bytes, changes)
        fields = tracked.result().split(b"\0")
        for head, path in zip(fields[0::2], fields[1::2], strict=False):
            old, new, _, _, status = head.decode("ascii").lstrip(":").split(" ")
            look.at_tracked(os.fsdecode(path), old, new, status)
        ours = _inside(shadow.tree.top, state_dir)
        for path in paths_of(other.result()):
            if ours is None or not f"{path}/".startswith(ours):
                look.at_other(path)
        changes.left += [found for job in inner if (found := job.result()) is not None]
    return changes


def _inside(top: Path, state_dir: Path) -> str | None:
    resolved = state_dir.resolve()
    return f"{resolved.relative_to(top)}/" if resolved.is_relative_to(top) else None


def _submodule(shadow: Shadow, path: str) -> Left | None:
    folder = shadow.tree.top / path
    if not (folder / ".git").exists():
        return None
    try:
        said = git(folder, "status", "--porcelain", "-z", "--untracked-files=normal")
    except GitError:
        return Left(path, SUBMODULE)
    return Left(path, SUBMODULE) if said else None


class _Look:
    """Decides what becomes of each path."""

    def __init__(self, top: Path, large_bytes: int, changes: Changes) -> None:
        self._top = top
        self._large_bytes = large_bytes
        self._changes = changes

    def at_tracked(self, path: str, old: str, new: str, status: str) -> None:
        """Look at a path of our index."""
        if status == "D":
            self._changes.gone.append(path)
        elif new == GITLINK and old == GITLINK:
            self._changes.added.append(path)
        elif not self._can_be_stored(path):
            self._changes.gone.append(path)

    def at_other(self, path: str) -> None:
        """Look at a path that is not in our index."""
        if path.endswith("/"):
            self._changes.left.append(Left(path, REPOSITORY))
        else:
            self._can_be_stored(path)

    def _can_be_stored(self, path: str) -> bool:
        """Note what is to be done; False if what our index has of it is no file any more."""
        full = self._top / path
        try:
            found = full.lstat()
        except OSError:
            return False
        changes = self._changes
        if stat.S_ISLNK(found.st_mode):
            changes.added.append(path)
        elif stat.S_ISDIR(found.st_mode):
            changes.left.append(Left(f"{path}/", REPOSITORY))
            return False
        elif not stat.S_ISREG(found.st_mode):
            changes.left.append(Left(path, SPECIAL))
            return False
        elif found.st_size > self._large_bytes:
            changes.left.append(Left(path, LARGE, found.st_size))
        elif not os.access(full, os.R_OK):
            changes.left.append(Left(path, UNREADABLE))
        else:
            changes.added.append(path)
            changes.modes[path] = stat.S_IMODE(found.st_mode)
        return True


def apply(shadow: Shadow, changes: Changes) -> None:
    """Store what differs, and have our index name it.

    Raises:
        GitError: a file cannot be read, or changed meanwhile in a way that git does not take.
    """
    remove(shadow, changes.gone)
    if changes.added:
        paths = listed(changes.added)
        shadow.git("update-index", "--add", "--remove", "--replace", "-z", "--stdin", stdin=paths)
