"""What it costs to keep a work tree of 10,000 files, beside `git stash create` on the same one."""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from harness import Row, spread

from claudine_mcp.host.snapshots import snapshot

FOLDERS, FILES, CHANGED = 200, 50, 100
FILE_BYTES = 3000
LARGE_BYTES = 50 * 10**6
CHANGED_MS, UNCHANGED_MS = 300.0, 60.0
ENV = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_PAGER": "cat",
}


def measure(*, quick: bool) -> list[Row]:
    """Change a hundred of the files, keep them, and keep them again; the first time and later."""
    rounds = 3 if quick else 12
    source = random.Random(1)
    times: dict[str, list[float]] = {name: [] for name in ("changed", "unchanged", "stash", "stash again")}
    with tempfile.TemporaryDirectory(prefix="claudine-bench-") as folder:
        top, state = Path(folder) / "repository", Path(folder) / "state"
        build(top, source)
        change(top, source)
        first = timed(lambda: keep(top, state, 0))
        for number in range(1, rounds + 1):
            change(top, source)
            # In turn, so that neither always finds what the other has just read.
            if number % 2:
                times["stash"].append(timed(lambda: stash(top)))
            times["changed"].append(timed(lambda number=number: keep(top, state, number)))
            if not number % 2:
                times["stash"].append(timed(lambda: stash(top)))
            times["unchanged"].append(timed(lambda number=number: keep(top, state, rounds + number)))
            times["stash again"].append(timed(lambda: stash(top)))
    changed, unchanged = median(times["changed"]), median(times["unchanged"])
    return [
        Row("checkpoint of 10,000 files, 100 changed", changed, "ms", CHANGED_MS, spread(times["changed"])),
        Row("the first one of a work tree", first * 1000, "ms", CHANGED_MS, "once"),
        Row(
            "checkpoint of 10,000 files, none changed",
            unchanged,
            "ms",
            UNCHANGED_MS,
            spread(times["unchanged"]),
        ),
        Row("git stash create, 100 changed", median(times["stash"]), "ms", None, spread(times["stash"])),
        Row(
            "git stash create, again", median(times["stash again"]), "ms", None, spread(times["stash again"])
        ),
    ]


def median(values: list[float]) -> float:
    """Give the median in ms."""
    return statistics.median(values) * 1000


def timed(work: Callable[[], object]) -> float:
    """Give for how long it takes, in seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def keep(top: Path, state: Path, number: int) -> None:
    """Make a snapshot."""
    snapshot(top, f"refs/claudine/bench/{number}", state_dir=state, large_bytes=LARGE_BYTES)


def stash(top: Path) -> None:
    """Do what it is compared with, which keeps no untracked file."""
    git(top, "stash", "create")


def git(top: Path, *arguments: str) -> None:
    """Run git as somebody."""
    who = ("-c", "user.name=bench", "-c", "user.email=bench@example.invalid", "-c", "gc.auto=0")
    subprocess.run(["git", *who, *arguments], cwd=top, env=ENV, check=True, capture_output=True)


def build(top: Path, source: random.Random) -> None:
    """Make the repository, all committed and packed."""
    for number in range(FOLDERS):
        folder = top / f"part{number // 20}" / f"folder{number}"
        folder.mkdir(parents=True)
        for name in range(FILES):
            (folder / f"file{name}.py").write_text(source.randbytes(FILE_BYTES // 2).hex())
    git(top, "init", "-q")
    git(top, "add", "-A")
    git(top, "commit", "-q", "-m", "all")
    git(top, "repack", "-a", "-d", "-q")


def change(top: Path, source: random.Random) -> None:
    """Write other content into a hundred files."""
    for number in source.sample(range(FOLDERS * FILES), CHANGED):
        folder, name = divmod(number, FILES)
        path = top / f"part{folder // 20}" / f"folder{folder}" / f"file{name}.py"
        path.write_text(source.randbytes(FILE_BYTES // 2).hex())
