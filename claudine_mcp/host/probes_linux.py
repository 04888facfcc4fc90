"""Processes read from `/proc`, through descriptors that stay open: about 3 µs for one that sleeps, 17 µs otherwise.

A descriptor of `/proc/PID/…` belongs to the process, not to its pid: when it has gone, reading fails, whoever has its
pid by then (proc(5)).
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
from typing import Final

from claudine_mcp.host.probes import Census, Reading, Transfer
from claudine_mcp.host.processes import Process

PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
TICK_US: Final = 1_000_000 // os.sysconf("SC_CLK_TCK")
STATUS_BYTES: Final = 8192
FDS_OF_A_PROBE: Final = 2
MOST_FDS: Final = 65_536
"""Kept at most, however many this process may have; what is beyond that is opened for each reading."""

_GONE: Final = frozenset({errno.ENOENT, errno.ESRCH})
"""What `/proc` says of a process that has gone. Everything else, as EMFILE, is our own trouble."""
_SWITCHES: Final = b"\nvoluntary_ctxt_switches:"


class LinuxProbe:
    """See `Probe`.

    Args:
        process: whom to read.
        probes: whose descriptors it may keep.
    """

    def __init__(self, process: Process, probes: LinuxProbes) -> None:
        self.process = process
        self.reading = Reading(0, 0, 0, 0, 0, 0, int(not process.zombie), 0, 0)
        self._path = f"/proc/{process.pid}"
        self._probes = probes
        self._stat, self._sched = probes.keep(self._path)
        self._ran = b""
        self._sleeps = False

    def read(self, *, afresh: bool = False) -> Reading | None:
        """See `Probe`."""
        try:
            return self._read(afresh=afresh)
        except OSError as error:
            return None if error.errno in _GONE else self.reading
        except (
            ValueError,
            LookupError,
        ):  # one that cannot be understood must not cost the others their readings
            return self.reading

    def _read(self, *, afresh: bool) -> Reading | None:
        if self._sched >= 0:
            # It tells how often its main thread was given a processor. A single thread that sleeps changes nothing
            # until it is.
            ran = os.pread(self._sched, 64, 0)
            if ran == self._ran and self._sleeps and not afresh:
                return self.reading
            self._ran = ran
        # In this order: if `stat` can be read afterwards, it was still the same process's `status`.
        switches = _switches(_slurp(f"{self._path}/status", STATUS_BYTES))
        text = os.pread(self._stat, 1024, 0) if self._stat >= 0 else _slurp(f"{self._path}/stat", 1024)
        # The name before the last bracket may hold anything (proc(5)).
        fields = text[text.rindex(b")") + 2 :].split(None, 22)
        if int(fields[19]) != self.process.start:
            return None
        state, threads = fields[0], int(fields[17])
        # A main thread that has left before its siblings is shown as a zombie, too.
        alive = state not in b"ZX" or threads > 1
        reading = Reading(
            own_us=(int(fields[11]) + int(fields[12])) * TICK_US,
            waited_us=(int(fields[13]) + int(fields[14])) * TICK_US,
            switches=switches,
            rss_bytes=int(fields[21]) * PAGE_BYTES if alive else 0,
            vsz_bytes=int(fields[20]) if alive else 0,
            threads=threads if alive else 0,
            alive=int(alive),
            stopped=int(state in b"Tt"),
            runnable=int(state in b"RD"),
        )
        self._sleeps = threads <= 1 and not reading.runnable
        self.reading = reading
        return reading

    def transfer(self) -> Transfer | None:
        """See `Probe`."""
        with contextlib.suppress(OSError, ValueError, LookupError):
            found = dict(line.split(b": ") for line in _slurp(f"{self._path}/io", 1024).splitlines())
            return Transfer(int(found[b"read_bytes"]), int(found[b"write_bytes"]))
        return None

    def fds(self) -> int | None:
        """See `Probe`."""
        path = f"{self._path}/fd"
        with contextlib.suppress(OSError):
            # Linux 6.2 counts them for us; before that the size is 0.
            return os.stat(path).st_size or len(os.listdir(path))  # noqa: PTH116, PTH208 - once for each process
        return None

    def other_switches(self) -> int | None:
        """See `Probe`."""
        total = 0
        with contextlib.suppress(OSError):
            for name in os.listdir(f"{self._path}/task"):  # noqa: PTH208
                if int(name) != self.process.pid:
                    with contextlib.suppress(OSError, ValueError, LookupError):  # a thread that has just left
                        total += _switches(_slurp(f"{self._path}/task/{name}/status", STATUS_BYTES))
            return total
        return None

    def pss_bytes(self) -> int | None:
        """See `Probe`."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int(_slurp(f"{self._path}/smaps_rollup", 4096).partition(b"\nPss:")[2].split()[0]) * 1024
        return None

    def close(self) -> None:
        """See `Probe`."""
        self._probes.give_back(self._stat, self._sched)
        self._stat = self._sched = -1


class LinuxProbes:
    """See `Probes`.

    Args:
        most_fds: how many descriptors may be kept; None: half of what this process may have.
    """

    def __init__(self, most_fds: int | None = None) -> None:
        self._loadavg = os.open("/proc/loadavg", os.O_RDONLY | os.O_CLOEXEC)
        self._cursor = 0
        self._room = _share_of_fds() if most_fds is None else most_fds
        self._tells_runs = False
        with contextlib.suppress(OSError):
            # A kernel without the statistics has no such file, or says 0 of everyone.
            self._tells_runs = any(_slurp("/proc/self/schedstat", 64).replace(b"0", b"").split())

    def census(self, *, afresh: bool) -> Census | None:
        """See `Probes`.

        Pids are given out in a circle, and the last field of `/proc/loadavg` is the last one that was (proc(5)): as
        long as it stands nothing was started, and until it begins anew no pid was given out twice.
        """
        cursor, before = int(os.pread(self._loadavg, 128, 0).split()[-1]), self._cursor
        # A kernel that does not tell says 0.
        if cursor == before and cursor > 0 and not afresh:
            return None
        self._cursor = cursor
        names = os.listdir("/proc")  # noqa: PTH208 - 3 x faster
        return Census([int(name) for name in names if name.isdecimal()], reused=cursor < before)

    def open(self, process: Process) -> LinuxProbe | None:
        """See `Probes`."""
        probe = LinuxProbe(process, self)
        if probe.read() is None:
            probe.close()
            return None
        return probe

    def keep(self, path: str) -> tuple[int, int]:
        """Give descriptors of a process's `stat` and `schedstat`; -1 where there is none, or no room for it."""
        if self._room < FDS_OF_A_PROBE:
            return -1, -1
        stat = sched = -1
        with contextlib.suppress(OSError):  # it has gone, as its first reading will show
            stat = os.open(f"{path}/stat", os.O_RDONLY | os.O_CLOEXEC)
            if self._tells_runs:
                sched = os.open(f"{path}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        self._room -= (stat >= 0) + (sched >= 0)
        return stat, sched

    def give_back(self, *fds: int) -> None:
        """Close what `keep` gave."""
        for fd in fds:
            if fd >= 0:
                os.close(fd)
                self._room += 1

    def close(self) -> None:
        """See `Probes`."""
        os.close(self._loadavg)


def _share_of_fds() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_FDS if soft == resource.RLIM_INFINITY else min(MOST_FDS, soft // 2)


def _switches(status: bytes) -> int:
    return int(status[status.rindex(_SWITCHES) + len(_SWITCHES) :].split(None, 1)[0])


def _slurp(path: str, piece_bytes: int) -> bytes:
    """Read a file of `/proc`, in one go if it is as small as it mostly is."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = more = os.read(fd, piece_bytes)
        while len(more) == piece_bytes:  # `Groups:` in `status` may name thousands
            more = os.read(fd, piece_bytes)
            found += more
        return found
    finally:
        os.close(fd)
