"""The state directory: made for its owner only, on a file system that keeps its promises."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import sys
from collections.abc import Collection
from pathlib import Path

from claudine_mcp.core.errors import StateDirError

REFUSED = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse.sshfs", "nfs", "nfs4", "smb3", "smbfs", "virtiofs", "vboxsf"}
)
"""File systems on which SQLite's WAL or flock does not hold between processes, or between machines."""
DRAFT_S = 60.0
"""A file is made in milliseconds; one that is half made for so long has been given up."""
ADVICE = "Set CLAUDINE_HOME to a directory on a local disk."


def prepare(directory: Path, mounts: str | None = None) -> None:
    """Make the state directory, or see that the one that is there can be used.

    Args:
        directory: an absolute path.
        mounts: the text of `/proc/self/mountinfo`; None: read it.

    Raises:
        StateDirError: it is on a refused file system, belongs to someone else, or cannot be written.
    """
    kind = file_system(directory, mounts)
    if kind in REFUSED:
        raise StateDirError(
            f"{directory}: it is on a {kind} file system, where locks cannot be trusted. {ADVICE}"
        )
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.stat()
        if found.st_uid != os.getuid():
            raise StateDirError(f"{directory}: it belongs to another user (uid {found.st_uid}). {ADVICE}")
        if stat.S_IMODE(found.st_mode) & 0o077:
            directory.chmod(0o700)
        (directory / "tasks").mkdir(mode=0o700, exist_ok=True)
    except FileExistsError:
        raise StateDirError(f"{directory}: it is not a directory. {ADVICE}") from None
    except OSError as error:
        raise StateDirError(f"{directory}: it cannot be used ({error.strerror}). {ADVICE}") from error
    if not os.access(directory, os.W_OK | os.X_OK) or os.statvfs(directory).f_flag & os.ST_RDONLY:
        raise StateDirError(f"{directory}: it is read-only. {ADVICE}")


def file_system(path: Path, mounts: str | None = None) -> str:
    """Give the type of the file system that holds `path`, or would; empty where it cannot be told (no `/proc`)."""
    if mounts is None:
        if sys.platform != "linux":
            return ""
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    wanted = Path(os.path.realpath(path))
    best, kind = -1, ""
    for line in mounts.splitlines():
        head, _, tail = line.partition(" - ")
        point = Path(head.split(" ")[4].replace("\\040", " "))
        if (point == wanted or point in wanted.parents) and len(point.parts) >= best:
            best, kind = len(point.parts), tail.split(" ")[0]
    return kind


def claim(folder: Path) -> int:
    """Make a task's directory and lock it while its task is being submitted; give the descriptor to close.

    The lock tells a sweep that these files are not left over from a crash.

    Raises:
        FileExistsError: the directory is there, with something in it.
        OSError: it cannot be made.
    """
    while True:
        folder.mkdir(mode=0o700, exist_ok=True)
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(fd, fcntl.LOCK_EX)
        try:
            if os.path.samestat(os.fstat(fd), folder.stat()):
                break
        except FileNotFoundError:
            pass  # a sweep was faster; again
        os.close(fd)
    if any(folder.iterdir()):
        os.close(fd)
        raise FileExistsError(folder)
    return fd


def lock_unclaimed(state_dir: Path, known: Collection[str]) -> dict[str, int]:
    """Lock the task directories that no task is known for and nobody is submitting; give their descriptors.

    Whoever calls this must look up again, under these locks, which tasks exist, and then call `discard`.
    """
    locked: dict[str, int] = {}
    for folder in (state_dir / "tasks").iterdir():
        if folder.name in known or folder.is_symlink() or not folder.is_dir():
            continue
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
        else:
            locked[folder.name] = fd
    return locked


def discard(state_dir: Path, locked: dict[str, int], known: Collection[str]) -> list[str]:
    """Remove the locked directories that still no task is known for; unlock all. Give what was removed."""
    removed: list[str] = []
    for name, fd in locked.items():
        if name not in known:
            shutil.rmtree(state_dir / "tasks" / name, ignore_errors=True)
            removed.append(name)
        os.close(fd)
    return removed


def discard_drafts(state_dir: Path, now: float) -> list[str]:
    """Remove files that a crash has left half made; give their names. For the holder of the lease."""
    found = [*state_dir.glob("registry.db.new-*"), *state_dir.glob("keepers/*.tmp-*")]
    removed: list[str] = []
    for path in found:
        with contextlib.suppress(FileNotFoundError):
            if now - path.stat().st_mtime >= DRAFT_S:
                path.unlink()
                removed.append(path.name)
    return removed
