"""A git directory of our own for a work tree: the same files and objects, another index, and nothing converted.

The user's git directory is read and never written, but for objects and our own refs. Ours has `info/attributes`,
which beat every `.gitattributes`: line ends, filters, encodings and keywords stay as they are on disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from claudine_mcp.host.git import TIMEOUT_S, GitError, git
from claudine_mcp.host.work_trees import WorkTree

ATTRIBUTES: Final = "* -text -eol -crlf -ident -filter -working-tree-encoding\n"
UMASK: Final = 0o022
"""Of objects and refs in the user's repository, which others may read; the supervisor's own is stricter."""
REPOSITORY: Final = "repository"
"""The file that says which repository a work tree is of: a worktree that is removed leaves its refs there."""
_LOCK_EVERY_S: Final = 0.05
_IDENTITY: Final = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "claudine"), ("EMAIL", "claudine@localhost"))
}


def shadows_folder(state_dir: Path) -> Path:
    """Give the folder of all our git directories."""
    return state_dir / "snapshots"


def our_refs(state_dir: Path) -> str:
    """Give the beginning of all refs of this state directory; others may have theirs in the same repository."""
    return f"refs/claudine/{hashlib.sha256(os.fsencode(state_dir)).hexdigest()[:8]}/"


def kept_ref(state_dir: Path, top: Path) -> str:
    """Give the ref of the newest snapshot of a work tree, by which what the index of ours names is kept."""
    return f"{our_refs(state_dir)}kept/{_name(top)}"


def _name(top: Path) -> str:
    return hashlib.sha256(os.fsencode(top)).hexdigest()[:16]


class Shadow:
    """Our git directory for one work tree. Use `open_shadow`.

    Args:
        path: where it is.
        tree: the work tree.
        lock: a descriptor that holds its lock.

    Attributes:
        index: ours, which names what the newest snapshot has.
    """

    def __init__(self, path: Path, tree: WorkTree, lock: int) -> None:
        self.path = path
        self.tree = tree
        self.index = path / "index"
        self._memory = path / "memory.json"
        self._lock = lock
        self._settings = self._prepare()

    def _prepare(self) -> list[str]:
        """Make what is not there; give the settings to run git with."""
        files = {
            "info/attributes": ATTRIBUTES,
            "config": _config(self.tree.object_format),
            "HEAD": "ref: refs/heads/none\n",
        }
        for folder in ("refs", "info"):
            (self.path / folder).mkdir(mode=0o700, exist_ok=True)
        for name, text in files.items():
            with contextlib.suppress(OSError):
                if (self.path / name).read_text(encoding="utf-8") == text:
                    continue
            (self.path / name).write_text(text, encoding="utf-8")
        (self.path / REPOSITORY).write_bytes(os.fsencode(self.tree.common_dir))
        (self.path / "top").write_bytes(os.fsencode(self.tree.top))
        exclude = self.path / "info" / "exclude"
        if not exclude.is_symlink() or exclude.readlink() != self.tree.exclude:
            exclude.unlink(missing_ok=True)
            exclude.symlink_to(self.tree.exclude)
        included = [self.tree.common_dir / "config", self.tree.git_dir / "config.worktree"]
        return [
            *(f"include.path={path}" for path in included if path.exists()),
            *(
                "core.autocrlf=false",
                "core.safecrlf=false",
                "core.splitIndex=false",
                "core.sparseCheckout=false",
            ),
            *("index.sparse=false", "core.untrackedCache=keep", "i18n.commitEncoding=UTF-8"),
        ]

    def git(self, *arguments: str, stdin: bytes = b"", index: Path | None = None) -> bytes:
        """Run git on the work tree with our git directory and an index of ours.

        Raises:
            GitError: it failed.
        """
        env = {
            "GIT_DIR": str(self.path),
            "GIT_WORK_TREE": str(self.tree.top),
            "GIT_OBJECT_DIRECTORY": str(self.tree.objects),
            "GIT_INDEX_FILE": str(index or self.index),
            "GIT_NO_LAZY_FETCH": "1",
            **_IDENTITY,
        }
        return git(
            self.tree.top,
            *arguments,
            stdin=stdin,
            env=env,
            config=self._settings,
            umask=UMASK,
            passed_on=(self._lock,),
        )

    def user_git(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
        """Run git on the work tree as its user would.

        Raises:
            GitError: it failed.
        """
        settings = ("core.logAllRefUpdates=false", "core.splitIndex=false")
        return git(
            self.tree.top,
            *arguments,
            stdin=stdin,
            env=env or {},
            config=settings,
            umask=UMASK,
            passed_on=(self._lock,),
        )

    def recall(self) -> dict[str, Any] | None:
        """Give what was noted of the newest snapshot; None: our index may not be trusted."""
        try:
            return json.loads(self._memory.read_bytes()) if self.index.exists() else None
        except (OSError, ValueError):
            return None

    def forget(self) -> None:
        """Note that our index may name what no ref keeps, until `remember`."""
        self._memory.unlink(missing_ok=True)
        for name in (
            "index.lock",
            "staged.lock",
            "target.lock",
        ):  # of a git that was killed; ours has the lock
            (self.path / name).unlink(missing_ok=True)

    def remember(self, memory: Mapping[str, Any]) -> None:
        """Note what the newest snapshot was."""
        draft = self._memory.with_suffix(".tmp")
        draft.write_text(json.dumps(memory), encoding="utf-8")
        draft.replace(self._memory)


def _config(object_format: str) -> str:
    version = "0" if object_format == "sha1" else "1"
    config = f"[core]\n\trepositoryformatversion = {version}\n\tbare = false\n"
    return config if version == "0" else f"{config}[extensions]\n\tobjectFormat = {object_format}\n"


@contextlib.contextmanager
def open_shadow(state_dir: Path, tree: WorkTree) -> Generator[Shadow]:
    """Give our git directory for a work tree, made if need be; nobody else has it meanwhile.

    Raises:
        GitError: somebody else has it for longer than git may take.
        OSError: it cannot be written.
    """
    path = shadows_folder(state_dir) / _name(tree.top)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(path / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        _take(lock)
        yield Shadow(path, tree, lock)
    finally:
        os.close(lock)


def _take(lock: int) -> None:
    # A git that outlived its supervisor holds it, too: it has inherited the descriptor.
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if time.monotonic() > deadline:
            raise GitError("add", "another snapshot of this work tree does not come to its end")
        time.sleep(_LOCK_EVERY_S)


def known_tops(state_dir: Path) -> dict[Path, Path]:
    """Give the top folder of each work tree that there is a git directory of ours for, by that directory."""
    found: dict[Path, Path] = {}
    for path in sorted(shadows_folder(state_dir).glob("*/top")):
        with contextlib.suppress(OSError):
            found[path.parent] = Path(os.fsdecode(path.read_bytes()))
    return found


def place_of_refs(path: Path, top: Path) -> Path:
    """Give where git finds the refs of a work tree: there, or in its repository, if the work tree was removed."""
    if not top.is_dir():
        with contextlib.suppress(OSError):
            return Path(os.fsdecode((path / REPOSITORY).read_bytes()))
    return top


def discard_shadow(path: Path) -> None:
    """Remove a git directory of ours."""
    shutil.rmtree(path, ignore_errors=True)


def paths_of(said: bytes) -> list[str]:
    """Read a list of paths that git has ended with NUL each."""
    return [os.fsdecode(item) for item in said.split(b"\0") if item]


def listed(paths: Iterable[str]) -> bytes:
    """Write paths as git reads them with `-z`."""
    return b"".join(os.fsencode(path) + b"\0" for path in paths)
