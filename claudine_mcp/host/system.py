"""The machine, or the container that this process lives in: memory, pressure, processors, disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple

from claudine_mcp.core.samples import OtherClaude, Pressure, SystemSample
from claudine_mcp.host import cgroups
from claudine_mcp.host.cgroups import MemoryLimit, Place

LOOK_FOR_LIMITS_S: Final = 60.0
"""Limits are changed rarely, and a process is moved to another cgroup more rarely still."""


class Memory(NamedTuple):
    """Bytes of the whole machine."""

    total: int
    available: int
    swap_total: int
    swap_free: int


def parse_meminfo(text: str) -> Memory:
    """Read `/proc/meminfo`. A kernel before 3.14 has no MemAvailable: then it is estimated from what can be dropped."""
    kib: dict[str, int] = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdecimal():
            kib[name] = int(words[0])
    estimate = sum(kib.get(name, 0) for name in ("MemFree", "Buffers", "Cached", "SReclaimable")) - kib.get(
        "Shmem", 0
    )
    total = kib.get("MemTotal", 0)
    available = kib.get("MemAvailable", min(max(0, estimate), total))
    return Memory(
        *(1024 * size for size in (total, available, kib.get("SwapTotal", 0), kib.get("SwapFree", 0)))
    )


def parse_pressure(text: str | None) -> tuple[float, float]:
    """Read a file of `/proc/pressure`: per cent of the last 10 s in which some, and in which all, waited.

    All of the processors cannot wait for a processor: before Linux 5.13 that line is missing, and means 0.
    """
    found = {"some": 0.0, "full": 0.0}
    for line in (text or "").splitlines():
        kind, _, rest = line.partition(" ")
        for word in rest.split():
            name, _, value = word.partition("=")
            if name == "avg10" and kind in found:
                with contextlib.suppress(ValueError):
                    found[kind] = float(value)
    return found["some"], found["full"]


def nearest(memory: Memory, limits: list[MemoryLimit]) -> MemoryLimit | None:
    """Give the limit of which less is left than of the machine, and the least of all; None: the machine is nearer."""
    tight = [
        limit for limit in limits if limit.limit_bytes < memory.total and limit.left_bytes < memory.available
    ]
    return min(tight, key=lambda limit: limit.left_bytes, default=None)


class SystemSampler:
    """Samples the machine: about 0.2 ms.

    Args:
        state_dir: whose disk is looked at.
    """

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._memory_places: list[Place] = []
        self._processors = float(_allowed_processors())
        self._limits_at: float | None = None

    def sample(self, at: float, other_claude: OtherClaude) -> SystemSample:
        """Measure now.

        Args:
            at: now, on the monotonic clock.
            other_claude: what is known of Claude Code that is not ours.

        Raises:
            OSError: the disk of the state directory cannot be asked.
        """
        if self._limits_at is None or at - self._limits_at >= LOOK_FOR_LIMITS_S:
            self._limits_at = at
            self._find_limits()
        memory = _memory()
        limit = nearest(memory, list(cgroups.memory_limits(self._memory_places, _text)))
        disk = shutil.disk_usage(self._state_dir)
        return SystemSample(
            at=at,
            total_bytes=memory.total if limit is None else limit.limit_bytes,
            available_bytes=memory.available if limit is None else limit.left_bytes,
            swap_total_bytes=memory.swap_total,
            swap_used_bytes=memory.swap_total - memory.swap_free,
            load=os.getloadavg()[0],
            processors=self._processors,
            disk_free_bytes=disk.free,
            disk_total_bytes=disk.total,
            pressure=_pressure(),
            limited_by=None if limit is None else limit.name,
            cpus=os.cpu_count(),
            other_claude=other_claude,
        )

    def _find_limits(self) -> None:
        groups, mounts = _text("/proc/self/cgroup") or "", _text("/proc/self/mountinfo") or ""
        self._memory_places = cgroups.places(groups, mounts, "memory")
        quota = cgroups.processors(cgroups.places(groups, mounts, "cpu"), _text)
        self._processors = min(float(_allowed_processors()), quota or float("inf"))


def measure(state_dir: Path, other_claude: OtherClaude | None = None) -> SystemSample:
    """Measure the machine once. Blocks, for some milliseconds more if `other_claude` is not known already.

    Raises:
        OSError: the disk of the state directory cannot be asked.
    """
    if other_claude is None:
        from claudine_mcp.host.claude_processes import count_other_claude  # noqa: PLC0415 - seldom needed

        other_claude = count_other_claude()
    return SystemSampler(state_dir).sample(time.monotonic(), other_claude)


def files_left() -> int | None:
    """Give how many file descriptors the system still has to give; None: it does not say."""
    fields = (_text("/proc/sys/fs/file-nr") or "").split()
    return int(fields[2]) - int(fields[0]) if len(fields) == 3 else None  # noqa: PLR2004 - used, free, most


def _memory() -> Memory:
    text = _text("/proc/meminfo")
    if text:
        return parse_meminfo(text)
    import psutil  # noqa: PLC0415 - not needed on Linux

    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    return Memory(memory.total, memory.available, swap.total, swap.free)


def _pressure() -> Pressure | None:
    texts = {name: _text(f"/proc/pressure/{name}") for name in ("memory", "cpu", "io")}
    if texts["memory"] is None:
        return None
    memory, cpu, io = (parse_pressure(text) for text in texts.values())
    return Pressure(*memory, cpu[0], *io)


def _allowed_processors() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _text(path: str) -> str | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # A file of the kernel's is made anew at each read from its beginning; only mountinfo is longer than a page.
        parts: list[bytes] = []
        while part := os.read(fd, 65536):
            parts.append(part)
    except OSError:  # pressure is there, and turned off (psi=0)
        return None
    finally:
        os.close(fd)
    return b"".join(parts).decode("utf-8", "replace")
