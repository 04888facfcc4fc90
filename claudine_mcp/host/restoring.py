"""A snapshot put back into a work tree: every byte and mode, without touching index, branch or HEAD."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from claudine_mcp.core.errors import ClaudineError
from claudine_mcp.host.git import GitError, git
from claudine_mcp.host.own_index import GITLINK
from claudine_mcp.host.shadow import UMASK, Shadow, kept_ref, listed, open_shadow
from claudine_mcp.host.snapshots import Snapshot, read_snapshot, snapshot
from claudine_mcp.host.work_trees import find_work_tree

_EXECUTABLE: Final = "100755"
_FILES: Final = frozenset({"100644", _EXECUTABLE})
_ANY_SIZE: Final = 2**62


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of one path.

    Attributes:
        mode: as git writes it; None: it is removed.
    """

    path: str
    mode: str | None


def steps_between(before: Snapshot, target: Snapshot) -> list[Step]:
    """Say what has to be done to a work tree, to be as `target` says.

    What either does not hold as it was, and the inside of submodules, stay as they are.

    Raises:
        GitError: one of them is not there any more.
    """
    left = {item.path for item in (*before.left, *target.left)}
    said = git(target.top, "diff-tree", "-r", "-z", "--raw", "--no-renames", before.tree, target.tree)
    fields = said.split(b"\0")
    steps: list[Step] = []
    for head, name in zip(fields[0::2], fields[1::2], strict=False):
        old, new, _, _, status = head.decode("ascii").lstrip(":").split(" ")
        path = os.fsdecode(name)
        if GITLINK not in {old, new} and path not in left:
            steps.append(Step(path, None if status == "D" else new))
    changed = {step.path for step in steps}
    modes = {*before.modes.others, *target.modes.others} - changed - left
    return steps + [
        Step(path, mode) for path, mode in _modes_in(target, modes) if before.modes != target.modes
    ]


def _modes_in(target: Snapshot, paths: Iterable[str]) -> list[tuple[str, str]]:
    wanted = {*paths}
    if not wanted:
        return []
    said = git(target.top, "ls-tree", "-r", "-z", target.tree)
    lines = (line.partition(b"\t") for line in said.split(b"\0") if line)
    found = ((os.fsdecode(path), head[:6].decode("ascii")) for head, _, path in lines)
    return [(path, mode) for path, mode in found if path in wanted and mode in _FILES]


def would_lose(before: Snapshot, steps: Iterable[Step]) -> list[str]:
    """Give the paths whose content of now no commit of the user's has, and which these steps would change.

    Raises:
        GitError: git failed.
    """
    touched = {step.path for step in steps}
    if before.head is None:
        said = git(before.top, "ls-tree", "-r", "-z", "--name-only", before.tree)
    else:
        said = git(
            before.top, "diff-tree", "-r", "-z", "--name-only", "--no-renames", before.head, before.tree
        )
    return [path for item in said.split(b"\0") if item and (path := os.fsdecode(item)) in touched]


def in_the_way(before: Snapshot, steps: Iterable[Step]) -> list[str]:
    """Give what these steps would replace that no snapshot holds, because git ignores it.

    Raises:
        GitError: git failed.
    """
    said = git(before.top, "ls-tree", "-r", "-z", "--name-only", before.tree)
    held = {os.fsdecode(item) for item in said.split(b"\0") if item}
    folders = {str(parent) for path in held for parent in Path(path).parents}
    found: set[str] = set()
    for step in steps:
        if step.mode is None or step.path in held:
            continue
        if os.path.lexists(before.top / step.path) and step.path not in folders:
            found.add(step.path)
        for parent in map(str, Path(step.path).parents):
            where = before.top / parent
            if parent not in held and os.path.lexists(where) and (where.is_symlink() or not where.is_dir()):
                found.add(parent)
    return sorted(found)


def fill(path: Path, commit: str, *, state_dir: Path) -> None:
    """Give a worktree that was just made the files of a snapshot; may be done once more. Blocks.

    Raises:
        GitError: it cannot be done.
        OSError: a file cannot be removed or changed.
    """
    try:
        before = snapshot(path, None, state_dir=state_dir, large_bytes=_ANY_SIZE)
        target = read_snapshot(path, commit)
        carry_out(steps_between(before, target), target, state_dir=state_dir)
    except GitError:
        raise
    except ClaudineError as error:
        raise GitError("checkout-index", str(error)) from error


def carry_out(steps: Iterable[Step], target: Snapshot, *, state_dir: Path) -> None:
    """Make a work tree as a snapshot of it says; what was done already may be done once more. Blocks.

    Raises:
        GitLocked: another git is at work there; nothing was changed.
        NoWorkTree: it is not there any more.
        GitError: git failed in the middle; to do it once more is safe.
        OSError: a file cannot be removed or changed.
    """
    tree = find_work_tree(target.top, kept_ref(state_dir, target.top))
    tree.await_unlocked()
    wanted = list(steps)
    with open_shadow(state_dir, tree) as shadow:
        shadow.forget()
        index = shadow.path / "target"
        index.unlink(missing_ok=True)
        shadow.git("read-tree", target.tree, index=index)
        for step in wanted:
            if step.mode is None:
                _remove(shadow, step.path)
        written = [step for step in wanted if step.mode is not None]
        names = listed(step.path for step in written)
        if names:
            shadow.git("checkout-index", "-f", "-z", "--stdin", stdin=names, index=index)
        for step in written:
            if step.mode in _FILES:
                mode = target.modes.of(step.path, is_executable=step.mode == _EXECUTABLE)
                (tree.top / step.path).chmod(mode)


def _remove(shadow: Shadow, path: str) -> None:
    """Remove a file, and the folders that it leaves empty."""
    top = shadow.tree.top
    parents = [top / parent for parent in Path(path).parents if parent != Path()]
    if any(parent.is_symlink() for parent in parents):
        return  # what lies behind a link is somewhere else
    try:
        found = (top / path).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISDIR(found.st_mode):
        return
    (top / path).unlink()
    for parent in parents:
        try:
            parent.rmdir()
        except OSError:
            return


def keep(folder: Path, ref: str, commit: str) -> None:
    """Have a ref of ours keep the commit of a snapshot, too.

    Raises:
        GitError: git cannot.
    """
    git(folder, "update-ref", "--no-deref", ref, commit, umask=UMASK)
