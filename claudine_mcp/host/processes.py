"""Which processes there are, and which of them belong to a run.

Two readers with one contract (`tests/contract/test_process_readers.py`): a fast one over `/proc`, and one
through psutil for every other system.
"""

from __future__ import annotations

import errno
import os
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from claudine_mcp.core.identity import Identity

if TYPE_CHECKING:
    import psutil

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What is wrong with whoever looks, not with what is looked at."""
MARKER = "CLAUDINE_RUN"
"""Environment variable of every process of a run; by it a tree is found whose keeper has died."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process as a snapshot saw it. `start` as in `Identity`; `zombie`: dead, not yet reaped."""

    pid: int
    ppid: int
    start: int
    zombie: bool
    name: str
    session: int


Snapshot = dict[int, Process]


class ProcessReader(Protocol):
    """Reads processes; what has vanished in between is simply not there."""

    def snapshot(self) -> Snapshot:
        """Give all processes, by pid, in one pass."""
        ...

    def process(self, pid: int) -> Process | None:
        """Give one process, None if there is none."""
        ...

    def marker(self, pid: int) -> str | None:
        """Give the value of `CLAUDINE_RUN` in its environment, None if absent or unreadable."""
        ...

    def has_terminal(self, pid: int) -> bool:
        """Whether a process is there and has a controlling terminal."""
        ...

    def states(self, pid: int) -> str:
        """Give the state of each thread of a process, a letter each as in proc(5); nothing if it has gone."""
        ...


class LinuxReader:
    """Reads `/proc/PID/stat`: about 16 µs a process."""

    def snapshot(self) -> Snapshot:
        """See `ProcessReader`."""
        found = (self.process(int(name)) for name in os.listdir("/proc") if name.isdecimal())  # noqa: PTH208 - 3 x faster
        return {process.pid: process for process in found if process is not None}

    def process(self, pid: int) -> Process | None:
        """See `ProcessReader`."""
        name, fields = self._stat(pid)
        if not fields:
            return None
        # A main thread that has left before its siblings is shown as a zombie, too.
        zombie = fields[0] in b"ZX" and int(fields[17]) <= 1
        return Process(pid, int(fields[1]), int(fields[19]), zombie, name, int(fields[3]))

    def has_terminal(self, pid: int) -> bool:
        """See `ProcessReader`."""
        _, fields = self._stat(pid)
        return bool(fields) and int(fields[4]) != 0

    def states(self, pid: int) -> str:
        """See `ProcessReader`."""
        _, fields = self._stat(pid)
        if not fields:
            return ""
        if int(fields[17]) <= 1:
            return fields[0].decode()
        try:
            threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - 3 x faster
        except OSError:
            return ""
        found = (self._stat(f"{pid}/task/{thread}")[1] for thread in threads)
        return "".join(fields[0].decode() for fields in found if fields)

    @staticmethod
    def _stat(pid: int | str) -> tuple[str, list[bytes]]:
        """Give the name of a process, or of a thread `PID/task/TID`, and what comes after it; nothing if it has gone.

        Raises:
            OSError: nobody can be looked at now, for want of descriptors or memory. That says nothing of it.
        """
        try:
            fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in EXHAUSTED:
                raise
            return "", []
        try:
            text = os.read(fd, 1024)
        except OSError:  # ESRCH: it left between open and read
            return "", []
        finally:
            os.close(fd)
        # The name stands in brackets and may itself hold brackets and spaces (proc(5)).
        head, _, tail = text.rpartition(b")")
        return head.partition(b"(")[2].decode("utf-8", "replace"), tail.split()

    def marker(self, pid: int) -> str | None:
        """See `ProcessReader`."""
        try:
            environ = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return None
        prefix = MARKER.encode() + b"="
        for entry in environ.split(b"\0"):
            if entry.startswith(prefix):
                return entry[len(prefix) :].decode("utf-8", "replace")
        return None


class PsutilReader:
    """Reads through psutil: slower, and the same on macOS."""

    def __init__(self) -> None:
        import psutil  # noqa: PLC0415 - not needed on Linux

        self._psutil = psutil

    def snapshot(self) -> Snapshot:
        """See `ProcessReader`."""
        found = (self.process(pid) for pid in self._psutil.pids())
        return {process.pid: process for process in found if process is not None}

    def process(self, pid: int) -> Process | None:
        """See `ProcessReader`."""
        psutil = self._psutil
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                return Process(
                    pid,
                    process.ppid(),
                    self.start_of(process),
                    process.status() in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
                    and process.num_threads() <= 1,
                    process.name(),
                    os.getsid(pid),
                )
        except (psutil.Error, OSError):
            return None

    def marker(self, pid: int) -> str | None:
        """See `ProcessReader`."""
        try:
            return self._psutil.Process(pid).environ().get(MARKER)
        except (self._psutil.Error, OSError):
            return None

    def has_terminal(self, pid: int) -> bool:
        """See `ProcessReader`."""
        try:
            return bool(self._psutil.Process(pid).terminal())
        except (self._psutil.Error, OSError):
            return False

    def states(self, pid: int) -> str:
        """See `ProcessReader`. One letter for all threads: more is not to be had everywhere."""
        try:
            return self._letters().get(self._psutil.Process(pid).status(), "S")
        except (self._psutil.Error, OSError):
            return ""

    def _letters(self) -> dict[str, str]:
        psutil = self._psutil
        return {
            psutil.STATUS_STOPPED: "T",
            psutil.STATUS_TRACING_STOP: "t",
            psutil.STATUS_DISK_SLEEP: "D",
            psutil.STATUS_ZOMBIE: "Z",
            psutil.STATUS_DEAD: "X",
            psutil.STATUS_RUNNING: "R",
        }

    @staticmethod
    def start_of(process: psutil.Process) -> int:
        """Give when a process was started, as in `Identity`."""
        created_s = process.create_time()
        # Linux: ticks since boot, so that identities of both readers are equal.
        if sys.platform == "linux":
            ticks = os.sysconf("SC_CLK_TCK")
            return round((created_s - boot_time_s()) * ticks)
        return round(created_s * 100)


@cache
def boot_time_s() -> float:
    """Give the machine's start in seconds since the epoch, as psutil understands it."""
    import psutil  # noqa: PLC0415 - only the portable reader needs it

    return psutil.boot_time()


@cache
def reader() -> ProcessReader:
    """Give the best reader for this system."""
    return LinuxReader() if sys.platform == "linux" else PsutilReader()


@cache
def boot_id() -> str:
    """Give what changes with every boot of the machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return f"boot-{int(boot_time_s())}"


@cache
def pid_namespace() -> str:
    """Give the name of this process's pid namespace; empty where there are none."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def identify(pid: int) -> Identity | None:
    """Give the identity of the process that has this pid now, None if there is none."""
    process = reader().process(pid)
    return None if process is None else Identity(boot_id(), pid_namespace(), pid, process.start)


def is_alive(identity: Identity) -> bool:
    """Whether this very process still runs. A zombie is dead."""
    if identity.boot_id != boot_id() or identity.pid_namespace != pid_namespace():
        return False
    process = reader().process(identity.pid)
    return process is not None and process.start == identity.start and not process.zombie


def descendants(snapshot: Snapshot, roots: Iterable[int]) -> list[int]:
    """Give the pids below `roots`, parents first, without the roots themselves."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for process in snapshot.values():
        children[process.ppid].append(process.pid)
    found: list[int] = []
    seen = set(roots)
    level = list(seen)
    while level:
        level = [pid for parent in level for pid in children[parent] if pid not in seen]
        seen.update(level)
        found.extend(level)
    return found
