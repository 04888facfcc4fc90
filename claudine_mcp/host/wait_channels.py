"""What the threads of processes wait for: the functions of the kernel in which they sleep. Linux only."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

AWAKE = "0"
"""What the kernel tells of a thread that does not sleep, and of all threads to those who may not know."""


def wait_channels(pids: Iterable[int]) -> frozenset[str] | None:
    """Give the names, each once; None where the kernel does not tell, of one thread or of all.

    To know of some threads alone would mislead: the one that is not known may be the one that works.
    """
    found: set[str] = set()
    for pid in pids:
        folder = Path(f"/proc/{pid}/task")
        try:
            threads = list(folder.iterdir())
        except OSError:
            continue  # it has gone
        for thread in threads:
            try:
                name = (thread / "wchan").read_text(encoding="ascii")
            except FileNotFoundError:
                continue
            except OSError:
                return None
            if name == AWAKE or not name:
                return None
            found.add(name)
    return frozenset(found) or None
