"""What kernels of several kinds say of the machine, read from texts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from claudine_mcp.core.samples import OtherClaude
from claudine_mcp.host.cgroups import MemoryLimit, Place, memory_limits, places, processors
from claudine_mcp.host.system import Memory, measure, nearest, parse_meminfo, parse_pressure

GIB = 2**30

MEMINFO = """\
MemTotal:       16000000 kB
MemFree:         1000000 kB
MemAvailable:    9000000 kB
Buffers:          100000 kB
Cached:          8000000 kB
SwapTotal:       2000000 kB
SwapFree:        1500000 kB
Shmem:            500000 kB
SReclaimable:     200000 kB
HugePages_Total:       0
"""
OLD_MEMINFO = MEMINFO.replace("MemAvailable:    9000000 kB\n", "")  # Linux 3.10


@pytest.mark.parametrize(
    ("text", "memory"),
    [
        (MEMINFO, Memory(16_000_000, 9_000_000, 2_000_000, 1_500_000)),
        (OLD_MEMINFO, Memory(16_000_000, 8_800_000, 2_000_000, 1_500_000)),
        ("MemTotal: 1000 kB\nMemFree: 10 kB\nShmem: 500 kB\n", Memory(1000, 0, 0, 0)),
        ("MemTotal: 1000 kB\nMemFree: 900 kB\nCached: 900 kB\n", Memory(1000, 1000, 0, 0)),
    ],
    ids=["today", "without MemAvailable", "more shared than free", "an estimate above the total"],
)
def test_memory_is_what_can_still_be_had(text: str, memory: Memory) -> None:
    assert parse_meminfo(text) == Memory(*(1024 * kib for kib in memory))


PRESSURE = """\
some avg10=12.34 avg60=1.00 avg300=0.50 total=123456
full avg10=5.60 avg60=0.10 avg300=0.00 total=6543
"""


@pytest.mark.parametrize(
    ("text", "some_and_full"),
    [
        (PRESSURE, (12.34, 5.6)),
        (PRESSURE.splitlines()[0], (12.34, 0.0)),  # the processor's before Linux 5.13
        ("", (0.0, 0.0)),
        (None, (0.0, 0.0)),
        ("some avg10=? total\nodd line\n", (0.0, 0.0)),
    ],
)
def test_pressure_is_that_of_the_last_ten_seconds(
    text: str | None, some_and_full: tuple[float, float]
) -> None:
    assert parse_pressure(text) == some_and_full


HOST_V2 = "0::/user.slice/user-1000.slice/session-3.scope\n"
MOUNT_V2 = "29 22 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
MOUNTS_OF_BOTH = (
    "32 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
)
HOST_V1 = "9:memory:/docker/abc\n5:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n"
MOUNTS_V1 = (
    "30 25 0:27 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
    "31 25 0:28 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro master:9 - cgroup cgroup rw,cpu,cpuacct\n"
)


def folders(found: list[Place]) -> list[str]:
    return [place.folder for place in found]


@pytest.mark.parametrize(
    ("cgroups", "mounts", "controller", "expected"),
    [
        (
            HOST_V2,
            MOUNT_V2,
            "memory",
            [
                "/sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope",
                "/sys/fs/cgroup/user.slice/user-1000.slice",
                "/sys/fs/cgroup/user.slice",
                "/sys/fs/cgroup",
            ],
        ),
        ("0::/\n", MOUNT_V2, "cpu", ["/sys/fs/cgroup"]),
        ("0::/../../other\n", MOUNT_V2, "cpu", ["/sys/fs/cgroup"]),
        (HOST_V1, MOUNTS_V1, "memory", ["/sys/fs/cgroup/memory"]),
        (HOST_V1, MOUNTS_V1, "cpu", ["/sys/fs/cgroup/cpu,cpuacct"]),
        (
            HOST_V1.replace("docker/abc", "a/b"),
            MOUNTS_V1.replace(" /docker/abc ", " / "),
            "memory",
            ["/sys/fs/cgroup/memory/a/b", "/sys/fs/cgroup/memory/a", "/sys/fs/cgroup/memory"],
        ),
        (
            "4:memory:/a\n0::/b\n",
            MOUNTS_OF_BOTH,
            "memory",
            ["/sys/fs/cgroup/memory/a", "/sys/fs/cgroup/memory"],
        ),
        (
            "0::/a\n",
            "30 25 0:27 / /my\\040groups rw - cgroup2 none rw\n",
            "cpu",
            ["/my groups/a", "/my groups"],
        ),
        ("", "", "memory", []),
        ("0::/a\n", "", "memory", []),
    ],
    ids=[
        "v2",
        "v2 at its root",
        "namespace left",
        "docker v1",
        "joint controllers",
        "v1",
        "hybrid",
        "space",
        "none",
        "bare",
    ],
)
def test_cgroups_are_found_from_the_own_one_upwards(
    cgroups: str, mounts: str, controller: str, expected: list[str]
) -> None:
    found = places(cgroups, mounts, controller)
    assert folders(found) == expected
    assert all(place.unified == (controller not in cgroups) for place in found)


def at_v2(name: str) -> Place:
    return Place(f"/c{name}", name, unified=True)


def test_a_limit_leaves_what_is_not_used_and_what_can_be_dropped() -> None:
    read = {
        "/c/a/memory.max": f"{4 * GIB}\n",
        "/c/a/memory.high": "max\n",
        "/c/a/memory.current": f"{3 * GIB}\n",
        "/c/a/memory.stat": f"anon {GIB}\ninactive_file {GIB}\nactive_file {GIB // 2}\nslab_reclaimable 0\n",
    }.get
    assert list(memory_limits([at_v2("/a")], read)) == [MemoryLimit("/a", 4 * GIB, 4 * GIB - 3 * GIB // 2)]


def test_nested_limits_are_all_given_and_those_that_say_max_are_none() -> None:
    read = {
        "/c/a/b/memory.max": "max\n",
        "/c/a/b/memory.high": f"{2 * GIB}\n",
        "/c/a/b/memory.current": f"{GIB}\n",
        "/c/a/memory.max": f"{3 * GIB}\n",
        "/c/a/memory.current": f"{4 * GIB}\n",
        "/c/memory.max": "max",
        "/c/memory.current": "5",
    }.get
    found = list(memory_limits([at_v2("/a/b"), at_v2("/a"), at_v2("")], read))
    assert found == [MemoryLimit("/a/b", 2 * GIB, GIB), MemoryLimit("/a", 3 * GIB, 0)]


def test_version_1_says_a_huge_number_where_there_is_no_limit() -> None:
    here, above = Place("/m/a", "/a", unified=False), Place("/m", "/", unified=False)
    read = {
        "/m/a/memory.limit_in_bytes": f"{GIB}\n",
        "/m/a/memory.usage_in_bytes": f"{GIB // 2}\n",
        "/m/a/memory.stat": f"total_inactive_file {GIB // 4}\ntotal_active_file 0\n",
        "/m/memory.limit_in_bytes": "9223372036854771712\n",
        "/m/memory.usage_in_bytes": "1\n",
    }.get
    assert list(memory_limits([here, above], read)) == [MemoryLimit("/a", GIB, 3 * GIB // 4)]


V1 = Place("/m", "/", unified=False)
MACHINE = Memory(total=16 * GIB, available=8 * GIB, swap_total=0, swap_free=0)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ([], None),
        ([MemoryLimit("/a", 4 * GIB, 3 * GIB), MemoryLimit("/", 6 * GIB, GIB)], "/"),
        ([MemoryLimit("/a", 12 * GIB, 9 * GIB)], None),
        ([MemoryLimit("/a", 32 * GIB, 2 * GIB)], None),
    ],
    ids=["no limit", "the tightest", "the machine has less", "a limit above the machine"],
)
def test_the_nearest_limit_counts(limits: list[MemoryLimit], expected: str | None) -> None:
    found = nearest(MACHINE, limits)
    assert (found and found.name) == expected


@pytest.mark.parametrize(
    ("found", "texts", "expected"),
    [
        ([at_v2("/a")], {"/c/a/cpu.max": "150000 100000\n"}, 1.5),
        ([at_v2("/a")], {"/c/a/cpu.max": "max 100000\n"}, None),
        ([at_v2("/a"), at_v2("")], {"/c/a/cpu.max": "200000 100000\n", "/c/cpu.max": "50000 100000\n"}, 0.5),
        (
            [Place("/m", "/", unified=False)],
            {"/m/cpu.cfs_quota_us": "-1\n", "/m/cpu.cfs_period_us": "100000\n"},
            None,
        ),
        (
            [Place("/m", "/", unified=False)],
            {"/m/cpu.cfs_quota_us": "25000\n", "/m/cpu.cfs_period_us": "100000\n"},
            0.25,
        ),
        ([at_v2("/a")], {}, None),
        ([], {}, None),
    ],
    ids=["v2", "max", "nested", "v1 without", "v1", "unreadable", "none"],
)
def test_a_quota_is_a_number_of_processors(
    found: list[Place], texts: dict[str, str], expected: float | None
) -> None:
    assert processors(found, texts.get) == expected


def test_the_processors_of_the_machine_are_told_apart_from_those_that_may_be_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    may_use = measure(tmp_path, OtherClaude()).processors
    monkeypatch.setattr("os.cpu_count", lambda: 640)
    sample = measure(tmp_path, OtherClaude())
    assert sample.cpus == 640
    assert sample.processors == may_use or sys.platform != "linux"
