"""What is measured of a run, and of the machine, at one moment.

Times (`at`) are seconds of the monotonic clock of this boot, which stands still while the machine sleeps.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TreeSample:
    """The whole tree of one run. Counters never fall, though processes come and go; `None`: not known.

    Attributes:
        processes: how many live; 0 when the tree has just left.
        stopped: of these, how many are stopped by a signal or frozen.
        runnable: of these, how many run, or wait for a processor or for the disk (states R and D).
        rss_bytes: summed over the processes, so that shared pages count more than once: an upper bound.
        pss_bytes: the fair measure of memory; read rarely, so it is that of `pss_at`.
        cpu_s: counter of processor time, of those that have left, too.
        switches: counter of voluntary context switches.
        fds: open descriptors, summed; read every few seconds.
        most_fds: of the process that has most.
        read_bytes: counter of what was read from disk; read every few seconds.
        written_bytes: counter of what was written to disk.
        output_bytes: counter of what stdout and stderr have received.
        wait_channels: the functions of the kernel in which its threads sleep (`wchan`), of all of them; read only
            when nothing has moved for a while.
        started: counter of processes that were seen to begin.
    """

    at: float
    processes: int
    stopped: int
    runnable: int
    threads: int
    rss_bytes: int
    vsz_bytes: int
    cpu_s: float
    switches: int
    output_bytes: int
    pss_bytes: int | None = None
    pss_at: float | None = None
    fds: int | None = None
    most_fds: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None
    wait_channels: frozenset[str] | None = None
    started: int | None = None


@dataclass(frozen=True, slots=True)
class Pressure:
    """Pressure stall information: per cent of the last 10 s in which some, or all, tasks waited for a resource."""

    memory_some: float
    memory_full: float
    cpu_some: float
    io_some: float
    io_full: float


@dataclass(frozen=True, slots=True)
class OtherClaude:
    """Claude Code processes on the machine that are not ours: seen, and never touched.

    `orphans`: those whose terminal and parent are gone.
    """

    processes: int = 0
    rss_bytes: int = 0
    orphans: int = 0


@dataclass(frozen=True, slots=True)
class SystemSample:
    """The machine, or the container that we live in: whichever limit is nearer.

    Attributes:
        total_bytes: memory of the machine, or of the tightest cgroup limit.
        available_bytes: what can still be had without swapping: MemAvailable, or what the cgroup limit leaves.
        limited_by: the cgroup whose limit it is, None where it is the machine itself.
        load: the mean number of runnable processes in the last minute.
        processors: how many this process may use, fractions of a cgroup's quota included.
        cpus: how many the machine has, whose load it is; None: as many as `processors`.
        pressure: None where the kernel does not tell.
        disk_free_bytes: of the file system of the state directory.
    """

    at: float
    total_bytes: int
    available_bytes: int
    swap_total_bytes: int
    swap_used_bytes: int
    load: float
    processors: float
    disk_free_bytes: int
    disk_total_bytes: int
    pressure: Pressure | None = None
    limited_by: str | None = None
    cpus: int | None = None
    other_claude: OtherClaude = OtherClaude()
