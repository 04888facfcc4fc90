"""The work tree of a repository as a commit under a ref of ours: its user's index, branch and files stay as they are.

All tracked and untracked files that are not ignored are in it, byte for byte. Its first parent is the commit that
was checked out; the second one, if there is another, holds what was staged. What else is known of it is JSON in
the last line of its message, so that whoever finds the ref knows all that its maker knew.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from claudine_mcp.core.errors import ClaudineError
from claudine_mcp.host import own_index
from claudine_mcp.host.changes import Left, apply, changes_of
from claudine_mcp.host.git import GitError, git
from claudine_mcp.host.modes import Modes
from claudine_mcp.host.own_index import GITLINK, Entry
from claudine_mcp.host.shadow import Shadow, kept_ref, open_shadow
from claudine_mcp.host.work_trees import GitLocked, NoWorkTree, explained, find_work_tree

TITLE: Final = "Work tree, kept by claudine"
_MARK: Final = "Claudine-Snapshot: "


class SnapshotMissing(ClaudineError):
    """The ref of a snapshot is not there any more.

    Args:
        ref: its name.
        folder: the work tree.
        why: what git says.
    """

    def __init__(self, ref: str, folder: Path, why: str) -> None:
        self.ref = ref
        super().__init__(f"{ref} is not in the repository of {folder} any more ({why}); nothing was changed")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A commit of a work tree.

    Attributes:
        top: the work tree's top folder.
        commit: its id.
        tree: of the files.
        head: the commit that was checked out, None before the first.
        index_tree: what was staged, if that was something else than `head`; a conflict counts as its first side.
        branch: the ref that was checked out, None if it was a commit by itself.
        left: what is not in it, or only as it was before, and why.
        unmerged: paths whose conflict was not resolved.
        modes: permission bits.
    """

    top: Path
    commit: str
    tree: str
    head: str | None
    index_tree: str | None
    branch: str | None
    left: tuple[Left, ...]
    unmerged: tuple[str, ...]
    modes: Modes


def snapshot(
    folder: Path, ref: str | None, *, state_dir: Path, large_bytes: int, unless: str | None = None
) -> Snapshot:
    """Keep the whole work tree that a folder is in, under a ref of ours. Blocks.

    The commit before is used again if nothing has changed since. If the ref is there already, it stays as it is.

    Args:
        folder: any folder of the work tree.
        ref: its full name; None: it is only looked at, and nothing keeps it for longer than the next one.
        state_dir: our state directory, which has an index of ours for the work tree.
        large_bytes: changed or untracked files above that size are named, and not stored.
        unless: no ref is made if this is the commit.

    Raises:
        NoWorkTree: the folder is in none.
        GitLocked: another git is at work there, or holds the ref.
        GitError: git failed; the user's files, index and branch are as they were.
        OSError: the state directory or the work tree cannot be used.
    """
    guess = next((parent for parent in (folder, *folder.parents) if (parent / ".git").exists()), folder)
    tree = find_work_tree(folder, kept_ref(state_dir, guess))
    if tree.top != guess:
        tree = find_work_tree(folder, kept_ref(state_dir, tree.top))
    tree.await_unlocked()
    with open_shadow(state_dir, tree) as shadow:
        maker = _Maker(shadow, state_dir, large_bytes)
        try:
            memory = maker.make(shadow.recall())
        except GitError:
            # Our index is damaged, or a file changed while it was read. Whatever else it is, git says it again.
            memory = maker.make(None)
        refs = [] if ref is None or memory["commit"] == unless else [ref]
        was_stored = _store_refs(shadow, refs, kept_ref(state_dir, tree.top), memory["commit"])
        if ref is not None and not was_stored:
            return read_snapshot(tree.top, ref)
        shadow.remember(memory)
    return _snapshot(tree.top, memory["commit"], memory["tree"], memory["notes"])


class _Maker:
    """Makes one snapshot."""

    def __init__(self, shadow: Shadow, state_dir: Path, large_bytes: int) -> None:
        self._shadow = shadow
        self._tree = shadow.tree
        self._state_dir = state_dir
        self._large_bytes = large_bytes

    def make(self, memory: dict[str, Any] | None) -> dict[str, Any]:
        """Give what is to be remembered of a snapshot of now; its commit is there.

        Raises:
            GitError: git failed.
        """
        shadow, tree = self._shadow, self._tree
        if memory is not None and tree.kept != memory["commit"]:
            memory = None  # the ref was removed, and what our index names may have been, too
        index, exclude = _stamp(tree.index), _stamp(tree.exclude)
        new: dict[str, Any] = {**(memory or {}), "index": index, "exclude": exclude}
        entries: list[Entry] | None = None
        if memory is None or memory["index"] != index:
            shadow.forget()
            entries = own_index.user_entries(shadow)
            self._begin(entries, memory, new)
        modes = Modes(**new["modes"])
        changes = changes_of(shadow, self._state_dir, self._large_bytes, new["gitlinks"])
        if changes.found:
            shadow.forget()
            apply(shadow, changes)
            modes = modes.updated(changes.modes, changes.gone)
        rules_may_differ = changes.touch(".gitignore") or (memory or new)["exclude"] != exclude
        if memory is not None and (entries is not None or rules_may_differ):
            shadow.forget()
            entries = own_index.user_entries(shadow) if entries is None else entries
            own_index.remove_ignored(shadow, own_index.one_a_path(entries))
        if changes.found or entries is not None:
            new["tree"] = shadow.git("write-tree", "--missing-ok").decode().strip()
        new["modes"] = asdict(modes)
        staged = new["staged"] if new["staged"] != tree.head_tree else None
        new["notes"] = {
            "head": tree.head,
            "branch": tree.branch,
            "index": staged,
            "unmerged": new["unmerged"],
            "left": [[left.path, left.why, left.bytes] for left in changes.left],
            "modes": new["modes"],
        }
        if memory is None or any(memory[name] != new[name] for name in ("tree", "notes")):
            new["commit"] = self._commit(new["tree"], staged, new["notes"])
        return new

    def _begin(self, entries: list[Entry], memory: dict[str, Any] | None, new: dict[str, Any]) -> None:
        """Have our index name what the user's does."""
        shadow = self._shadow
        if memory is None:
            seen = own_index.begin(shadow, entries)
            found = {
                path: stat.S_IMODE(item.st_mode) for path, item in seen.items() if stat.S_ISREG(item.st_mode)
            }
            common = Modes.most_common(found)
            new["modes"] = asdict(common.updated(found, []))
        else:
            own_index.sync(shadow, entries, memory["skipped"])
        sparse = own_index.absent(shadow, entries)
        own_index.skip(shadow, sparse)
        new["skipped"] = [entry.path for entry in sparse]
        new["gitlinks"] = [entry.path for entry in entries if entry.mode == GITLINK]
        new["unmerged"] = sorted({entry.path for entry in entries if entry.stage})
        new["staged"] = self._staged_tree(entries) if entries or self._tree.index.exists() else None

    def _staged_tree(self, entries: list[Entry]) -> str:
        """Give the tree of the user's index, from a copy of it."""
        shadow = self._shadow
        copy = shadow.path / "staged"
        copy.unlink(missing_ok=True)
        if not any(entry.stage for entry in entries):
            shutil.copyfile(self._tree.index, copy)
            said = shadow.user_git("write-tree", "--missing-ok", env={"GIT_INDEX_FILE": str(copy)})
        else:
            shadow.git("hash-object", "-w", "--stdin")  # the content of what is only intended to be added
            own_index.put(shadow, own_index.one_a_path(entries).values(), copy.name)
            said = shadow.git("write-tree", "--missing-ok", index=copy)
        return said.decode().strip()

    def _commit(self, tree: str, staged: str | None, notes: dict[str, Any]) -> str:
        head = [self._tree.head] if self._tree.head else []
        parents = [*head]
        if staged is not None:
            parents.append(self._commit_tree(staged, head, f"{TITLE}: what was staged\n"))
        return self._commit_tree(tree, parents, f"{TITLE}\n\n{_MARK}{json.dumps(notes)}\n")

    def _commit_tree(self, tree: str, parents: list[str], message: str) -> str:
        arguments = [part for parent in parents for part in ("-p", parent)]
        return self._shadow.git("commit-tree", tree, *arguments, stdin=message.encode()).decode().strip()


def _stamp(path: Path) -> list[int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return [found.st_mtime_ns, found.st_size, found.st_ino]


def _store_refs(shadow: Shadow, refs: list[str], kept: str, commit: str) -> bool:
    """Create refs, and move the one that keeps what our index names; False if one was there already."""
    lines = "".join(f"create {ref}\0{commit}\0" for ref in refs)
    if shadow.tree.kept != commit:
        lines += f"update {kept}\0{commit}\0\0"
    if not lines:
        return True
    try:
        shadow.user_git("update-ref", "--no-deref", "--stdin", "-z", stdin=os.fsencode(lines))
    except GitError as error:
        if "already exists" in error.said:
            return False
        raise _locked(error) from error
    return True


def _locked(error: GitError) -> ClaudineError:
    found = re.search(r"Unable to create '(.+\.lock)': File exists", error.said)
    return error if found is None else GitLocked(Path(found[1]))


def read_snapshot(folder: Path, ref: str) -> Snapshot:
    """Read a snapshot by its ref, or by its commit.

    Raises:
        SnapshotMissing: it is not there, or not one of ours.
        NoWorkTree: the folder is in none any more.
    """
    tree = find_work_tree(folder)
    try:
        said = git(tree.top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        commit = said.decode().strip()
        text = git(tree.top, "cat-file", "commit", commit).decode(errors="replace")
    except GitError as error:
        raise SnapshotMissing(ref, tree.top, error.said or "there is no such ref") from error
    _, _, notes = text.rpartition(_MARK)
    try:
        return _snapshot(tree.top, commit, text.partition("\n")[0].partition(" ")[2], json.loads(notes))
    except (ValueError, KeyError, TypeError) as error:
        raise SnapshotMissing(ref, tree.top, "what it points at now was not made by claudine") from error


def _snapshot(top: Path, commit: str, tree: str, notes: dict[str, Any]) -> Snapshot:
    return Snapshot(
        top,
        commit,
        tree,
        head=notes["head"],
        index_tree=notes["index"],
        branch=notes["branch"],
        left=tuple(Left(*item) for item in notes["left"]),
        unmerged=tuple(notes["unmerged"]),
        modes=Modes(**notes["modes"]),
    )


def _in_repository(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """Run git in a repository, in a work tree of it or in git's own folder."""
    if not folder.is_dir():
        raise NoWorkTree(folder, "there is no such folder")
    try:
        return git(folder, *arguments, stdin=stdin)
    except GitError as error:
        raise explained(folder, error) from error


def refs_of(folder: Path, beginning: str) -> dict[str, str]:
    """Give the refs that begin so, up to a slash, with the commit of each.

    Raises:
        NoWorkTree: the folder is in none any more.
        GitError: git failed.
    """
    said = _in_repository(folder, "for-each-ref", "--format=%(objectname) %(refname)", beginning.rstrip("/"))
    lines = (line.partition(" ") for line in os.fsdecode(said).splitlines())
    return {ref: commit for commit, _, ref in lines}


def delete_refs(folder: Path, refs: Iterable[str]) -> None:
    """Delete refs; those that are not there are deleted already.

    Raises:
        NoWorkTree: the folder is in none any more.
        GitLocked: another git holds one; none was deleted.
        GitError: git failed.
    """
    lines = "".join(f"delete {ref}\0\0" for ref in refs)
    try:
        _in_repository(folder, "update-ref", "--no-deref", "--stdin", "-z", stdin=os.fsencode(lines))
    except GitError as error:
        raise _locked(error) from error
