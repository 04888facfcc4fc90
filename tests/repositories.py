"""Git repositories of tests: made without anything of this user's configuration, and looked at."""

from __future__ import annotations

import subprocess
from pathlib import Path

IDENTITY = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")


def git_in(folder: Path, *arguments: str) -> str:
    """Run git as a user would; give what it printed."""
    done = subprocess.run(
        ["git", *IDENTITY, *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout.strip()


def commit_all(folder: Path, message: str = "more") -> str:
    """Commit everything that is in a work tree; give the commit."""
    git_in(folder, "add", "--all")
    git_in(folder, "commit", "--quiet", "--allow-empty", "--message", message)
    return git_in(folder, "rev-parse", "HEAD")


def new_repository(folder: Path) -> Path:
    """Make a repository with one commit: a file at the top, one in a folder, and what is ignored."""
    folder.mkdir(parents=True, exist_ok=True)
    git_in(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "code").mkdir()
    (folder / "code" / "inner.txt").write_text("inner\n")
    (folder / "top.txt").write_text("top\n")
    (folder / ".gitignore").write_text("build/\n")
    commit_all(folder, "first")
    return folder


def kept_of(folder: Path) -> dict[str, object]:
    """Give all of a user's tree that nobody else may touch: HEAD, index, reflog, status, files."""
    git_dir = folder / ".git"
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and git_dir not in path.parents
    }
    return {
        "head": (git_dir / "HEAD").read_text(),
        "index": (git_dir / "index").read_bytes(),
        "reflog": (git_dir / "logs" / "HEAD").read_text(),
        "config": (git_dir / "config").read_text(),
        "files": files,
    }


def claudine_branches(folder: Path) -> list[str]:
    """Give the branches that tasks were given."""
    said = git_in(folder, "for-each-ref", "--format=%(refname:short)", "refs/heads")
    return [name for name in said.splitlines() if name.startswith("claudine")]


def worktree_count(folder: Path) -> int:
    """Give how many worktrees git knows besides the user's own."""
    return git_in(folder, "worktree", "list", "--porcelain").count("worktree ") - 1
