"""What is read of one process at one moment, and by whom.

Two implementations with one contract (`tests/contract/test_probes.py`): a fast one over `/proc`, and one through psutil
for every other system. Neither knows what belongs together.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import NamedTuple, Protocol

from claudine_mcp.host.processes import Process


class Reading(NamedTuple):
    """One process, in numbers that can be summed over a tree.

    Attributes:
        own_us: processor time of its own, microseconds.
        waited_us: of its children that have ended and that it has waited for, and of theirs.
        switches: voluntary context switches of its main thread.
        alive: 1; 0 for a zombie, of which only the times count.
        stopped: 1 if a signal or a debugger has stopped it.
        runnable: 1 if it runs, or waits for a processor or for the disk (R and D).
    """

    own_us: int
    waited_us: int
    switches: int
    rss_bytes: int
    vsz_bytes: int
    threads: int
    alive: int
    stopped: int
    runnable: int


class Transfer(NamedTuple):
    """Bytes that a process, and the children that it has waited for, have read from disk and written to it."""

    read_bytes: int
    written_bytes: int


class Census(NamedTuple):
    """All pids there are; `reused`: one that was seen before may be another process's by now."""

    pids: Collection[int]
    reused: bool = False


class Probe(Protocol):
    """One process that is read again and again. When it has gone all is None, though its pid may be taken again."""

    @property
    def process(self) -> Process:
        """Who it is."""
        ...

    @property
    def reading(self) -> Reading:
        """The last one."""
        ...

    def read(self, *, afresh: bool = False) -> Reading | None:
        """Read it; `afresh`: also if it has not run since, since others may have taken memory from it."""
        ...

    def transfer(self) -> Transfer | None:
        """Read what it has moved from and to the disk; None also where that may not be read."""
        ...

    def fds(self) -> int | None:
        """Count its open descriptors; None also where they may not be counted."""
        ...

    def other_switches(self) -> int | None:
        """Sum the voluntary switches of its threads besides the main one; None also where nobody tells."""
        ...

    def pss_bytes(self) -> int | None:
        """Weigh it, which takes milliseconds if it is large; None also where nobody tells."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Probes(Protocol):
    """Where probes come from."""

    def census(self, *, afresh: bool) -> Census | None:
        """List all processes; None: there are no new ones since the last time. `afresh`: list them anyway."""
        ...

    def open(self, process: Process) -> Probe | None:
        """Begin to read this very process; None if it has gone."""
        ...

    def close(self) -> None:
        """Let go of what the probes share."""
        ...


def best_probes() -> Probes:
    """Give the best kind for this system."""
    if sys.platform == "linux":
        from claudine_mcp.host.probes_linux import LinuxProbes  # noqa: PLC0415 - the one that is needed

        return LinuxProbes()
    from claudine_mcp.host.probes_portable import PortableProbes  # noqa: PLC0415

    return PortableProbes()
