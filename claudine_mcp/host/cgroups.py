"""Limits of control groups, of both kinds: what a container or a service may use of the machine (cgroups(7)).

Parsing is apart from reading, so that machines of every kind can be put into a test.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, NamedTuple

Read = Callable[[str], str | None]
"""Gives the text of a file, None if it cannot be read."""

UNLIMITED_BYTES: Final = 2**62
"""Version 1 says a number near 2^63 where there is no limit."""
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


class Place(NamedTuple):
    """A cgroup of this process.

    Attributes:
        folder: where its files are.
        name: its path among the cgroups.
        unified: whether it is of version 2.
    """

    folder: str
    name: str
    unified: bool


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """What a cgroup may use and what is left of that, in bytes."""

    name: str
    limit_bytes: int
    left_bytes: int


def places(cgroups: str, mountinfo: str, controller: str) -> list[Place]:
    """Find the cgroups that this process is in, from its own up to the highest that can be seen.

    Args:
        cgroups: the text of `/proc/self/cgroup`.
        mountinfo: of `/proc/self/mountinfo`.
        controller: `memory` or `cpu`; where version 1 has it, version 2 does not.
    """
    paths: dict[str, str] = {}
    for line in cgroups.splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        paths |= dict.fromkeys(names.split(","), path)
    for kind, name in (("cgroup", controller), ("cgroup2", "")):
        if name not in paths:
            continue
        for root, point in _mounts(mountinfo, kind, controller):
            found = list(_upwards(root, point, paths[name], unified=kind == "cgroup2"))
            if found:
                return found
    return []


def _mounts(mountinfo: str, kind: str, controller: str) -> Iterator[tuple[str, str]]:
    """Give root and mount point of file systems of this kind."""
    for line in mountinfo.splitlines():
        head, _, tail = line.partition(" - ")
        fields, described = head.split(" "), tail.split(" ")
        if described[0] == kind and (kind == "cgroup2" or controller in described[-1].split(",")):
            root, point = (_OCTAL.sub(lambda m: chr(int(m[1], 8)), field) for field in fields[3:5])
            yield root, point


def _upwards(root: str, point: str, path: str, *, unified: bool) -> Iterator[Place]:
    # Within a namespace the path may lead out of what is mounted here (/../..): then the mount is all there is.
    inside = PurePosixPath(path)
    below = (
        inside.relative_to(root)
        if inside.is_relative_to(root) and ".." not in inside.parts
        else PurePosixPath()
    )
    for folder in (below, *below.parents):
        yield Place(str(PurePosixPath(point) / folder), str(PurePosixPath("/") / folder), unified)


def memory_limits(found: list[Place], read: Read) -> Iterator[MemoryLimit]:
    """Give the memory limits of these cgroups."""
    for place in found:
        if place.unified:
            limits = [_number(read(f"{place.folder}/memory.{name}")) for name in ("max", "high")]
            used, cached = (
                f"{place.folder}/memory.current",
                ("inactive_file", "active_file", "slab_reclaimable"),
            )
        else:
            limits = [_number(read(f"{place.folder}/memory.limit_in_bytes"))]
            used, cached = (
                f"{place.folder}/memory.usage_in_bytes",
                ("total_inactive_file", "total_active_file"),
            )
        known = [limit for limit in limits if limit is not None and limit < UNLIMITED_BYTES]
        used_bytes = _number(read(used))
        if not known or used_bytes is None:
            continue
        # Cached files are given up when memory is wanted, as MemAvailable counts them (proc_meminfo(5)).
        pages = _table(read(f"{place.folder}/memory.stat"))
        reclaimable = sum(pages.get(name, 0) for name in cached)
        limit = min(known)
        yield MemoryLimit(place.name, limit, max(0, limit - max(0, used_bytes - reclaimable)))


def processors(found: list[Place], read: Read) -> float | None:
    """Give how many processors the tightest of these cgroups may use; None: none of them limits it."""
    quotas: list[float] = []
    for place in found:
        if place.unified:
            words = (read(f"{place.folder}/cpu.max") or "").split()
        else:
            words = [
                (read(f"{place.folder}/cpu.cfs_{name}_us") or "").strip() for name in ("quota", "period")
            ]
        numbers = [number for word in words if (number := _number(word)) is not None and number > 0]
        if len(numbers) == 2:  # noqa: PLR2004 - quota and period; "max" or -1 instead of a quota is no limit
            quotas.append(numbers[0] / numbers[1])
    return min(quotas, default=None)


def _number(text: str | None) -> int | None:
    """Read a number; None for "max", and for nothing."""
    try:
        return int(text or "")
    except ValueError:
        return None


def _table(text: str | None) -> Mapping[str, int]:
    """Read lines of a name and a number."""
    pairs = (line.split() for line in (text or "").splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}  # noqa: PLR2004
