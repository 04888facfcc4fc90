"""Whose fault it is when the machine is short of something, and who is named."""

from __future__ import annotations

from typing import Any

import pytest
from watched import GB, MB, Watched

from claudine_mcp.core.activity import SILENT
from claudine_mcp.core.findings import Change
from claudine_mcp.core.recognition import Recognition, Seen
from claudine_mcp.core.rules import MachineLimits, RunLimits

RESERVE = MachineLimits(reserve_bytes=round(1.6 * GB))
PATIENT = RunLimits(max_memory_bytes=40 * GB, critical_memory_bytes=50 * GB)


def live(
    runs: dict[str, dict[str, Any]], seconds: int, *, available: tuple[float, float], **machine: Any
) -> list[Change]:
    """Let runs live that may grow (`grows`, bytes a second), while available memory goes from one value to another."""
    recognition = Recognition()
    lives = {name: Watched() for name in runs}
    for name, values in runs.items():
        lives[name].now |= {"output": 9.0} | {key: value for key, value in values.items() if key != "grows"}
    system = Watched()
    told: list[Change] = []
    for second in range(seconds):
        seen: dict[str, Seen] = {}
        for name, run in lives.items():
            run.mono += 1
            run.now["memory"] += runs[name].get("grows", 0)
            for key in run._counters:
                run._counters[key] += run.now[key]
            seen[name] = Seen(run.sample(), PATIENT, SILENT)
        system.mono += 1
        first, last = available
        system.now |= {"available": first + (last - first) * second / seconds, **machine}
        told += recognition.tick(seen, system.system(), RESERVE, system.epoch)
    return told


def words(told: list[Change]) -> set[tuple[str, str]]:
    return {(change.subject, change.finding.type) for change in told}


def test_small_tasks_are_not_to_blame_for_what_something_else_takes() -> None:
    runs = {f"t{number}.1": {"memory": 30 * MB, "grows": 2000} for number in range(10)}
    told = live(runs, 200, available=(8 * GB, 1.2 * GB))
    told += live(runs, 200, available=(1.4 * GB, 1.4 * GB))
    assert words(told) == {("", "system:overload")}
    assert told[0].finding.data["tasks"] == []


def test_a_task_that_is_large_among_tasks_and_small_on_the_machine_is_not_to_blame() -> None:
    runs = {"build": {"memory": 1.9 * GB}, "small": {"memory": 30 * MB}}
    told = live(runs, 60, available=(1.4 * GB, 1.4 * GB))
    assert words(told) == {("", "system:overload")}
    assert [item["run"] for item in told[0].finding.data["tasks"]] == ["build"]


@pytest.mark.parametrize(
    ("runs", "available"),
    [
        ({"one": {"memory": 9 * GB}}, (1.4 * GB, 1.4 * GB)),
        ({"one": {"memory": 2 * GB, "grows": 20 * MB}, "other": {"memory": GB}}, (4 * GB, 0.4 * GB)),
        ({"one": {"memory": 200 * MB, "grows": 15 * MB}}, (2.5 * GB, 1 * GB)),
    ],
    ids=["it takes the most", "it grows", "it is still small and grows fast"],
)
def test_the_task_that_takes_the_memory_is_to_blame(
    runs: dict[str, dict[str, Any]], available: tuple[float, float]
) -> None:
    assert ("one", "task:critical-memory") in words(live(runs, 100, available=available))


def test_tasks_that_take_it_together_are_named_though_each_is_small() -> None:
    runs = {f"t{number}.1": {"memory": 700 * MB} for number in range(14)}
    told = live(runs, 30, available=(1.4 * GB, 1.4 * GB))
    overload = next(change.finding for change in told if change.finding.type == "system:overload")
    assert len(overload.data["tasks"]) == 5


def test_tasks_that_rest_are_not_named_where_too_many_want_a_processor() -> None:
    runs = {"rests": {"cpu": 0.01}, "works": {"cpu": 2.0}}
    told = live(runs, 200, available=(8 * GB, 8 * GB), load=30.0)
    assert [[item["run"] for item in change.finding.data["tasks"]] for change in told] == [["works"]]


@pytest.mark.parametrize(("cpus", "is_told"), [(None, True), (4, True), (64, False)])
def test_the_load_is_that_of_the_whole_machine_whatever_a_container_may_use(
    cpus: int | None, is_told: bool
) -> None:
    told = live({"one": {}}, 200, available=(8 * GB, 8 * GB), load=30.0, cpus=cpus)
    assert bool(told) == is_told
