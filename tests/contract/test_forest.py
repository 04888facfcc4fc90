"""Which process belongs to which run, with either reader."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from support import Home, kill

from claudine_mcp.core.identity import Identity
from claudine_mcp.host import forest
from claudine_mcp.host.forest import NOBODY, Forest, Root, trees
from claudine_mcp.host.processes import (
    LinuxReader,
    Process,
    ProcessReader,
    PsutilReader,
    boot_id,
    identify,
    pid_namespace,
)

READERS = [PsutilReader] + ([LinuxReader] if sys.platform == "linux" else [])
FOUR_DEEP = (
    "import os, sys, time\n"
    "for depth in range(3):\n"
    "    if os.fork(): break\n"
    "    if depth == 1: os.setsid()\n"
    "else: print('ready', flush=True)\n"
    "time.sleep(300)\n"
)


@pytest.fixture(params=READERS, ids=lambda kind: kind.__name__)
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ProcessReader:
    monkeypatch.setattr(forest, "reader", request.param)
    return request.param()


@pytest.fixture
def marker(home: Home) -> str:
    """The name of a run, of this test's own: others look for theirs on the same machine."""
    return f"{home.folder.name}.1"


@pytest.fixture
def chain(home: Home, marker: str) -> Iterator[int]:
    """Four processes, each the child of the one before, the last two in a session of their own; give the first."""
    env = {"PATH": os.environ["PATH"], "HOME_OF_TEST": str(home.folder), "CLAUDINE_RUN": marker}
    with subprocess.Popen([sys.executable, "-c", FOUR_DEEP], env=env, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process.pid
        finally:
            for found in trees({marker: Root()})[marker]:
                kill(found.pid)


def test_a_tree_is_found_by_descent_and_by_marker_parents_first(
    reader: ProcessReader, chain: int, marker: str
) -> None:
    main = identify(chain)
    whole = trees({marker: Root(None, main)})[marker]
    assert len(whole) == 4
    assert whole[0].pid == chain
    assert [p.ppid for p in whole[1:]] == [p.pid for p in whole[:-1]], "parents come first"
    by_marker = trees({marker: Root()})[marker]
    assert {p.pid for p in by_marker} == {p.pid for p in whole}
    assert trees({"no.1": Root()})["no.1"] == []


def test_what_belongs_to_another_run_is_not_in_this_one(
    reader: ProcessReader, chain: int, marker: str
) -> None:
    main = identify(chain)
    second = identify(trees({marker: Root(None, main)})[marker][1].pid)
    below_a_keeper = trees({"no.1": Root(None, main), "no.2": Root(second)})
    assert [p.pid for p in below_a_keeper["no.1"]] == [chain]
    assert len(below_a_keeper["no.2"]) == 2
    marked = trees({"no.1": Root(None, main), marker: Root()})
    assert (len(marked["no.1"]), len(marked[marker])) == (0, 4)


def test_an_identity_of_another_boot_is_nobody(reader: ProcessReader, chain: int) -> None:
    main = identify(chain)
    assert main is not None
    old = Identity("another boot", main.pid_namespace, main.pid, main.start)
    assert trees({"no.1": Root(None, old)})["no.1"] == []


def process(pid: int, ppid: int, *, start: int = 7) -> Process:
    return Process(pid, ppid, start, zombie=False, name="x", session=pid)


def is_at(pid: int, start: int = 7) -> Identity:
    return Identity(boot_id(), pid_namespace(), pid, start)


class Snapshots:
    """A forest that is shown made-up processes."""

    def __init__(self, roots: dict[str, Root], markers: dict[int, str] | None = None) -> None:
        self.asked: list[int] = []
        self.markers = markers or {}
        self.forest = Forest(self.marker)
        self.forest.follow(roots)

    def marker(self, pid: int) -> str | None:
        self.asked.append(pid)
        return self.markers.get(pid)

    def show(self, *found: Process) -> dict[str, list[int]]:
        self.forest.place({p.pid: p for p in found})
        return {run: list(members) for run, members in self.forest.members.items()}


KEPT = {"a.1": Root(is_at(10), is_at(11)), "b.1": Root(is_at(20), is_at(21))}
BOTH = (process(10, 1), process(20, 1), process(11, 10), process(21, 20), process(1, 0))


def test_a_child_is_known_by_its_parent_though_the_parent_has_left_since() -> None:
    seen = Snapshots(KEPT)
    assert seen.show(*BOTH, process(12, 11)) == {"a.1": [11, 12], "b.1": [21]}
    seen.forest.leave(11)
    assert seen.show(process(13, 12), process(14, 10)) == {"a.1": [12, 13, 14], "b.1": [21]}
    assert seen.asked == [], "no environment is read as long as every run has its keeper"


def test_of_a_run_without_keeper_only_new_processes_are_asked_for_their_marker() -> None:
    seen = Snapshots(KEPT, {30: "a.1", 31: "c.1"})
    seen.show(*BOTH)
    seen.forest.leave(10)
    found = seen.show(process(30, 1), process(31, 1), process(32, 11))
    assert found == {"a.1": [11, 30, 32], "b.1": [21]}
    assert set(seen.asked) == {30, 31, 32}
    assert 31 in seen.forest


def test_what_a_dead_keeper_leaves_below_another_keeper_is_told_apart_by_its_marker() -> None:
    seen = Snapshots(KEPT, {21: "b.1", 22: "b.1"})
    assert seen.show(process(1, 0), process(10, 1), process(11, 10), process(21, 10), process(22, 10)) == {
        "a.1": [11],
        "b.1": [21, 22],
    }


def test_a_pid_that_another_process_has_by_now_is_no_root() -> None:
    seen = Snapshots(KEPT)
    found = seen.show(process(1, 0), process(10, 1, start=8), process(11, 1, start=8), process(12, 11))
    assert found == {"a.1": [], "b.1": []}


def test_what_stands_below_this_process_stays_open_until_its_keeper_is_known() -> None:
    seen = Snapshots({"b.1": KEPT["b.1"]})
    mine = (process(10, os.getpid()), process(11, 10))
    assert seen.show(*BOTH[2:], process(20, 1), *mine) == {"b.1": [21]}
    assert 10 not in seen.forest
    assert 11 not in seen.forest
    seen.forest.follow(KEPT)
    assert seen.show(*mine)["a.1"] == [11]


def test_a_process_whose_parent_has_just_left_stays_open() -> None:
    seen = Snapshots(KEPT)
    assert seen.show(*BOTH, process(15, 14))["a.1"] == [11]
    assert 15 not in seen.forest
    assert seen.show(process(15, 10))["a.1"] == [11, 15]


def test_a_keeper_that_was_taken_for_a_member_takes_its_tree_along() -> None:
    seen = Snapshots({"a.1": KEPT["a.1"]})
    nested = (process(20, 11), process(21, 20), process(22, 21))
    assert seen.show(*BOTH[:1], process(11, 10), *nested) == {"a.1": [11, 20, 21, 22]}
    seen.forest.follow(KEPT)
    assert seen.show(*nested) == {"a.1": [11], "b.1": [21, 22]}


def test_a_run_that_is_over_frees_its_pids() -> None:
    seen = Snapshots(KEPT)
    seen.show(*BOTH)
    seen.forest.follow({"b.1": KEPT["b.1"]})
    assert 10 not in seen.forest
    assert 11 not in seen.forest
    assert 21 in seen.forest


def test_pids_of_nobody_are_kept_only_as_long_as_they_exist() -> None:
    seen = Snapshots(KEPT)
    seen.show(*BOTH, process(40, 1))
    seen.forest.keep_only({1})
    assert 40 not in seen.forest
    assert {1, 11} <= set(seen.forest._owner)
    assert seen.forest._owner[1] == NOBODY
