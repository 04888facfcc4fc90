"""Git repositories of many kinds, and what must not change of one while it is looked at."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from remains import wait_until

AS_SOMEONE = ("-c", "user.name=someone", "-c", "user.email=someone@example.invalid")
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def run_git(folder: Path, *arguments: str, stdin: bytes = b"", check: bool = True) -> bytes:
    """Run git as a user who has set nothing up."""
    env = {**CLEAN, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_OPTIONAL_LOCKS": "0"}
    done = subprocess.run(
        ["git", *AS_SOMEONE, *arguments], cwd=folder, env=env, input=stdin, capture_output=True, check=False
    )
    assert done.returncode == 0 or not check, done.stderr.decode(errors="replace")
    return done.stdout


def new_repository(folder: Path, *options: str) -> Path:
    """Make a repository without a commit."""
    folder.mkdir(parents=True, exist_ok=True)
    run_git(folder, "init", "-q", "-b", "main", *options)
    return folder


def commit_all(folder: Path, message: str = "a commit") -> None:
    """Commit all that is there."""
    run_git(folder, "add", "-A")
    run_git(folder, "commit", "-q", "--allow-empty", "-m", message)


@dataclass(frozen=True)
class Untouched:
    """What is the user's: read without git's help where git might write."""

    status: bytes
    index: bytes | None
    head: str
    reflogs: dict[str, bytes]
    branches: bytes
    config: bytes
    files: dict[str, tuple[int, bytes]]


def look(folder: Path) -> Untouched:
    """Give what must be the same afterwards. Status first: asking for it must write nothing either."""
    status = run_git(
        folder, "status", "--porcelain=v2", "-z", "--branch", "--untracked-files=all", "--ignored"
    )
    git_dir = Path(os.fsdecode(run_git(folder, "rev-parse", "--absolute-git-dir")).strip())
    common = Path(
        os.fsdecode(run_git(folder, "rev-parse", "--path-format=absolute", "--git-common-dir")).strip()
    )
    index = git_dir / "index"
    return Untouched(
        status,
        index.read_bytes() if index.exists() else None,
        (git_dir / "HEAD").read_text(),
        {str(path): path.read_bytes() for path in sorted((common / "logs").rglob("*")) if path.is_file()},
        run_git(folder, "for-each-ref", "refs/heads", "refs/tags", "refs/stash"),
        (common / "config").read_bytes(),
        files_of(folder),
    )


def files_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Give mode and content of every file below a folder, git's own apart."""
    found: dict[str, tuple[int, bytes]] = {}
    for path, folders, names in os.walk(os.fsencode(folder)):
        if b".git" in folders:
            folders.remove(b".git")
        for name in (*names, *folders):
            full = Path(os.fsdecode(path)) / os.fsdecode(name)
            mode = full.lstat().st_mode
            if stat.S_ISDIR(mode) or name == b".git":
                continue
            content = os.fsencode(full.readlink()) if stat.S_ISLNK(mode) else b""
            if stat.S_ISREG(mode):
                content = full.read_bytes()
            found[str(full.relative_to(folder))] = (mode, content)
    return found


def stored(folder: Path, commit: str) -> dict[str, tuple[str, bytes]]:
    """Give mode and content of every file of a commit, as git has them."""
    found: dict[str, tuple[str, bytes]] = {}
    for line in run_git(folder, "ls-tree", "-r", "-z", commit).split(b"\0"):
        if line:
            head, _, path = line.partition(b"\t")
            mode, kind, oid = head.decode().split(" ")
            content = run_git(folder, "cat-file", "blob", oid) if kind == "blob" else oid.encode()
            found[os.fsdecode(path)] = (mode, content)
    return found


def as_stored(files: dict[str, tuple[int, bytes]]) -> dict[str, tuple[str, bytes]]:
    """Give files as git would have them if it converted nothing."""
    return {
        path: ("120000" if stat.S_ISLNK(mode) else "100755" if mode & stat.S_IXUSR else "100644", content)
        for path, (mode, content) in files.items()
    }


def fingerprint(folder: Path) -> str:
    """Give a hash of every file below a folder."""
    return hashlib.sha256(repr(sorted(files_of(folder).items())).encode()).hexdigest()


def everything(folder: Path) -> Path:
    """Make a repository with a file of every kind: committed, staged, changed, untracked, ignored, gone, renamed."""
    new_repository(folder)
    (folder / ".gitignore").write_text("*.ignored\nbuild/\n")
    (folder / ".gitattributes").write_text(
        "*.txt text\n*.crlf text eol=crlf\n*.id ident\n*.enc working-tree-encoding=UTF-16\n"
    )
    (folder / "sub dir").mkdir()
    for name in (
        "kept",
        "changed",
        "deleted",
        "renamed",
        "staged",
        "staged then changed",
        "mode",
        "sub dir/a b",
    ):
        (folder / name).write_text(f"{name}\n" * 20)
    (folder / "lines.txt").write_bytes(b"one\r\ntwo\r\n")
    (folder / "lines.crlf").write_bytes(b"one\r\ntwo\r\n")
    (folder / "keyword.id").write_bytes(b"$Id$\n")
    (folder / "wide.enc").write_bytes("wide\n".encode("utf-16"))
    (folder / "forced.ignored").write_text("tracked all the same")
    (folder / "binary").write_bytes(bytes(range(256)) * 10)
    (folder / "link").symlink_to("kept")
    (folder / "program").write_text("#!/bin/sh\n")
    (folder / "program").chmod(0o755)
    run_git(folder, "add", "-A", "-f")
    run_git(folder, "commit", "-q", "-m", "all")
    (folder / "changed").write_text("other\n")
    (folder / "deleted").unlink()
    run_git(folder, "mv", "renamed", "renamed to")
    for name in ("staged", "staged then changed"):
        (folder / name).write_text("staged\n")
        run_git(folder, "add", name)
    (folder / "staged then changed").write_text("and changed\n")
    (folder / "mode").chmod(0o700)
    (folder / "private").write_text("secret\n")
    (folder / "private").chmod(0o600)
    (folder / "new\nline").write_text("a name of two lines\n")
    (folder / "名前 и имя").write_text("another script\n")
    Path(os.fsdecode(os.fsencode(folder) + b"/not \xff utf-8")).write_text("bytes\n")
    (folder / "-dash").write_text("like an option\n")
    (folder / 'quo"te').write_text("quoted\n")
    (folder / "untracked.crlf").write_bytes(b"a\r\nb\n")
    (folder / "deep/er/folder").mkdir(parents=True)
    (folder / "deep/er/folder/file").write_bytes(b"\r\n\0")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "to folder").symlink_to("deep")
    (folder / "x.ignored").write_text("not kept\n")
    (folder / "build").mkdir()
    (folder / "build/out").write_text("not kept\n")
    (folder / "intended").write_text("to be added\n")
    run_git(folder, "add", "-N", "intended")
    return folder


IGNORED = {"x.ignored", "build/out"}


def chmod_later(path: Path, mode: int) -> None:
    """Change permission bits, so that the time of that is another second: git looks no closer."""
    path.chmod(mode)
    before = int(path.stat().st_ctime)
    wait_until(lambda: path.chmod(mode) or int(path.stat().st_ctime) > before, what="the next second")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file changes": lambda top: (top / "kept").write_text("now this\n"),
    "a file of the same size changes": lambda top: (top / "kept").write_text("KEPT\n" * 20),
    "an untracked file changes": lambda top: (top / "private").write_text("SECRET\n"),
    "an untracked file goes": lambda top: (top / "private").unlink(),
    "a folder goes": lambda top: shutil.rmtree(top / "deep"),
    "a file becomes a folder": lambda top: [
        (top / "kept").unlink(),
        (top / "kept").mkdir(),
        (top / "kept/in").write_text("in\n"),
    ],
    "a folder becomes a file": lambda top: [shutil.rmtree(top / "deep"), (top / "deep").write_text("flat\n")],
    "a folder becomes a link": lambda top: [
        (top / "sub dir").rename(top / "moved"),
        (top / "sub dir").symlink_to("moved"),
    ],
    "a link points elsewhere": lambda top: [(top / "link").unlink(), (top / "link").symlink_to("changed")],
    "a file becomes executable": lambda top: (top / "kept").chmod(0o755),
    "another mode": lambda top: chmod_later(top / "kept", 0o640),
    "a commit": commit_all,
    "something is staged": lambda top: run_git(top, "add", "changed"),
    "another branch": lambda top: run_git(top, "switch", "-q", "-c", "other"),
    "a stash": lambda top: [
        run_git(top, "reset", "-q", "--", "intended"),
        run_git(top, "stash", "push", "-u", "-q"),
    ],
    "a reset": lambda top: run_git(top, "reset", "-q", "--hard"),
    "tracked no more and ignored": lambda top: run_git(top, "rm", "-q", "--cached", "forced.ignored"),
    "an ignored file is forced in": lambda top: run_git(top, "add", "-f", "x.ignored"),
    "a file is renamed": lambda top: (top / "kept").rename(top / "kept 2"),
    "line ends change": lambda top: (top / "lines.txt").write_bytes(b"one\ntwo\r\n"),
    "other ignores": lambda top: (top / ".gitignore").write_text("private\n*.ignored\nbuild/\n"),
}
"""What happens to `everything`."""
