"""Our index of a work tree: it begins as a copy of the user's, and then has what is untracked, too."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from claudine_mcp.host.shadow import Shadow, listed, paths_of

GITLINK: Final = "160000"
_FILES: Final = frozenset({"100644", "100755"})
_PREFERRED: Final = {0: 0, 2: 1, 3: 2, 1: 3}
"""Of a path with a conflict, our side stands for it; what is in the work tree is stored anyway."""


class Entry(NamedTuple):
    """A line of the user's index.

    Attributes:
        tag: `H`; `S`: not to be in the work tree; `M`: of a conflict; in lower case: assumed to be unchanged.
        mode: as git writes it, like `100644`.
    """

    tag: str
    mode: str
    oid: str
    stage: int
    path: str


def user_entries(shadow: Shadow) -> list[Entry]:
    """Read the user's index.

    Raises:
        GitError: it cannot be read.
    """
    said = shadow.user_git("ls-files", "-z", "-s", "-v")
    entries: list[Entry] = []
    for line in said.split(b"\0"):
        if line:
            head, _, path = line.partition(b"\t")
            tag, mode, oid, stage = head.decode("ascii").split(" ")
            entries.append(Entry(tag, mode, oid, int(stage), os.fsdecode(path)))
    return entries


def one_a_path(entries: Iterable[Entry]) -> dict[str, Entry]:
    """Give one entry for each path."""
    found: dict[str, Entry] = {}
    for entry in entries:
        known = found.get(entry.path)
        if known is None or _PREFERRED[entry.stage] < _PREFERRED[known.stage]:
            found[entry.path] = entry
    return found


def put(shadow: Shadow, entries: Iterable[Entry], name: str = "index") -> None:
    """Put entries into an index of ours, as not looked at yet.

    Raises:
        GitError: git does not take them.
    """
    lines = b"".join(
        f"{entry.mode} {entry.oid}\t".encode("ascii") + os.fsencode(entry.path) + b"\0" for entry in entries
    )
    if lines:
        shadow.git("update-index", "-z", "--index-info", stdin=lines, index=shadow.path / name)


def remove(shadow: Shadow, paths: Iterable[str]) -> None:
    """Take paths out of our index.

    Raises:
        GitError: git does not do it.
    """
    put(shadow, (Entry("H", "0", shadow.tree.zeros, 0, path) for path in paths))


def begin(shadow: Shadow, entries: Sequence[Entry]) -> dict[str, os.stat_result]:
    """Make our index anew from the user's; give what was seen of the files that it names.

    What git has seen of a file is taken over where the file is stored as it is, so that nothing is read again.

    Raises:
        GitError: git does not do it.
    """
    shadow.index.unlink(missing_ok=True)
    seen: dict[str, os.stat_result] = {}
    for entry in entries:
        with contextlib.suppress(OSError):
            seen[entry.path] = os.lstat(shadow.tree.top / entry.path)
    is_plain = all(entry.tag == "H" for entry in entries) and entries
    if is_plain and not any(shadow.tree.git_dir.glob("sharedindex.*")):
        _copy(shadow.tree.index, shadow.index)
        put(shadow, _converted(shadow, entries, seen))
    else:
        put(shadow, one_a_path(entries).values())
    return seen


def _copy(index: Path, copy: Path) -> None:
    """Copy an index with its time, by which git knows whether a file may have changed within the same second."""
    draft = copy.with_suffix(".draft")
    with index.open("rb") as source, draft.open("wb") as target:
        found = os.fstat(source.fileno())
        shutil.copyfileobj(source, target)
    os.utime(draft, ns=(found.st_atime_ns, found.st_mtime_ns))
    draft.replace(copy)


def _converted(shadow: Shadow, entries: Sequence[Entry], seen: Mapping[str, os.stat_result]) -> list[Entry]:
    """Give files that git has not stored as they are.

    Line ends and keywords change a file's size, and what a filter or an encoding does is looked at in any case.
    """
    files = [entry for entry in entries if entry.mode in _FILES and entry.path in seen]
    oids = "".join(f"{entry.oid}\n" for entry in files).encode("ascii")
    names = listed(entry.path for entry in files)
    with ThreadPoolExecutor(2) as pool:
        sizes = pool.submit(
            shadow.user_git, "cat-file", "--batch-check=%(objectsize)", "--buffer", stdin=oids
        )
        attributes = pool.submit(
            shadow.user_git, "check-attr", "-z", "--stdin", "filter", "working-tree-encoding", stdin=names
        )
        stored = sizes.result().split(b"\n")
        said = attributes.result().split(b"\0")
    filtered = {
        os.fsdecode(path)
        for path, value in zip(said[0::3], said[2::3], strict=False)
        if value not in {b"unspecified", b"unset"}
    }
    return [
        entry
        for entry, size in zip(files, stored, strict=False)
        if entry.path in filtered or size != b"%d" % seen[entry.path].st_size
    ]


def absent(shadow: Shadow, entries: Iterable[Entry]) -> list[Entry]:
    """Give entries of a sparse checkout that are not in the work tree."""
    return [
        entry
        for entry in entries
        if entry.tag in {"S", "s"} and not os.path.lexists(shadow.tree.top / entry.path)
    ]


def skip(shadow: Shadow, entries: Iterable[Entry]) -> None:
    """Have our index take entries as present that are not in the work tree.

    Raises:
        GitError: git does not do it.
    """
    if paths := listed(entry.path for entry in entries):
        shadow.git("update-index", "-z", "--skip-worktree", "--stdin", stdin=paths)


def sync(shadow: Shadow, entries: Sequence[Entry], skipped: Sequence[str]) -> None:
    """Have our index name whatever the user's names by now; `skipped` were not in the work tree the last time.

    Raises:
        GitError: git does not do it.
    """
    ours = set(paths_of(shadow.git("ls-files", "-z")))
    tracked = one_a_path(entries)
    sparse = {entry.path for entry in absent(shadow, entries)}
    again = {*skipped, *sparse}
    remove(shadow, [path for path in skipped if path not in tracked and path in ours])
    put(shadow, [entry for path, entry in tracked.items() if path not in ours or path in again])


def remove_ignored(shadow: Shadow, tracked: Mapping[str, Entry]) -> None:
    """Take out of our index what is ignored by now and not tracked.

    Raises:
        GitError: git does not do it.
    """
    ignored = paths_of(shadow.git("ls-files", "-z", "-c", "-i", "--exclude-standard"))
    remove(shadow, [path for path in ignored if path not in tracked])
