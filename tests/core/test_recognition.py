"""Many runs and the machine; a supervisor that is started anew; whole days."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from watched import GB, MB, Watched, claude, cleared, raised

from claudine_mcp.core.activity import Activity
from claudine_mcp.core.fields import Level
from claudine_mcp.core.findings import Change, Step
from claudine_mcp.core.models import Severity
from claudine_mcp.core.recognition import MACHINE, Recognition, Seen
from claudine_mcp.core.rules import RULES, MachineLimits, RunLimits
from claudine_mcp.core.rules.machine import API_LIMITED, CONCURRENCY, OVERLOAD


class Herd:
    """Several runs alike."""

    def __init__(self, count: int) -> None:
        self.one = Watched()
        self.names = [f"t{number}.1" for number in range(count)]
        self.limits = MachineLimits()

    def go(self, seconds: int, activity: Activity | None = None, **changes: Any) -> list[Change]:
        self.one.now |= changes
        told: list[Change] = []
        for _ in range(seconds):
            self.one.mono += 1
            self.one._counters["output"] += self.one.now["output"]
            self.one._counters["cpu"] += 0.01
            self.one._counters["switches"] += 20
            seen = {name: Seen(self.one.sample(), RunLimits(), activity or Activity()) for name in self.names}
            told += self.one.recognition.tick(seen, self.one.system(), self.limits, self.one.mono)
        return told


def test_an_api_that_refuses_several_runs_is_told_once_and_of_all() -> None:
    herd = Herd(5)
    herd.go(10, claude("model", 1))
    told = herd.go(900, claude("retrying", 1, error="overloaded_error"))
    assert raised(told) == [API_LIMITED]
    assert [item["run"] for item in told[0].finding.data["tasks"]] == herd.names
    assert told[0].subject == MACHINE
    assert cleared(herd.go(70, claude("model", 2))) == [API_LIMITED]


def test_who_is_refused_a_little_later_is_named_too() -> None:
    herd = Herd(2)
    herd.go(10, claude("retrying", 1, error="overloaded_error"))
    herd.names.append("late.1")
    told = herd.go(30, claude("retrying", 1, error="overloaded_error"))
    assert [item["run"] for item in told[0].finding.data["tasks"]] == herd.names


def test_an_api_that_refuses_one_run_is_that_runs_stall() -> None:
    herd = Herd(1)
    told = herd.go(400, claude("retrying", 1))
    assert [(change.subject, change.finding.data["why"]) for change in told] == [("t0.1", "overload")]


def test_memory_that_many_share_is_told_once_and_names_the_largest() -> None:
    herd = Herd(8)
    herd.go(30, output=9, memory=900 * MB)
    told = herd.go(60, available=0.5 * GB)
    assert raised(told) == [OVERLOAD]
    assert len(told[0].finding.data["tasks"]) == 5
    assert cleared(herd.go(60, available=3 * GB)) == [OVERLOAD]


def test_memory_that_falls_and_comes_back_is_known_after_the_first_time_and_a_new_low_is_not() -> None:
    run = Watched()
    run.go(60, output=9, available=14 * GB)
    told: list[Change] = []
    for _ in range(6):
        for second in range(100):
            told += run.go(1, available=14 * GB - 90 * MB * second)
        told += run.go(60, available=14 * GB)
    assert raised(told) == [OVERLOAD]
    for second in range(130):
        told += run.go(1, available=14 * GB - 90 * MB * second)
    assert raised(told) == [OVERLOAD, OVERLOAD]
    assert told[-1].finding.data["cause"] == "exhaustion"


def test_memory_that_is_taken_within_half_a_minute_is_not_the_way_to_exhaustion() -> None:
    run = Watched()
    run.go(100, output=9, available=14 * GB)
    for second in range(30):
        run.go(1, available=14 * GB - 250 * MB * second)
    run.go(200)
    assert run.told == []


def test_a_dip_below_the_reserve_is_not_told() -> None:
    herd = Herd(3)
    herd.go(30, output=9)
    for _ in range(10):
        assert herd.go(4, available=0.5 * GB) == []
        assert herd.go(30, available=8 * GB) == []


@pytest.mark.parametrize(
    ("changes", "cause", "seconds"),
    [
        ({"memory_pressure": 80.0}, "pressure", 10),
        ({"disk_free": 100 * MB}, "disk", 10),
        ({"load": 30.0}, "cpu", 125),
    ],
)
def test_the_machine_is_overloaded_in_other_ways_too(
    changes: dict[str, Any], cause: str, seconds: int
) -> None:
    herd = Herd(2)
    herd.go(5, output=9)
    well = {key: herd.one.now[key] for key in changes}
    told = herd.go(seconds, **changes)
    assert [(change.finding.type, change.finding.data["cause"]) for change in told] == [(OVERLOAD, cause)]
    assert cleared(herd.go(120, **well)) == [OVERLOAD]


def test_more_runs_than_the_soft_limit_are_told_until_they_are_fewer() -> None:
    herd = Herd(12)
    assert raised(herd.go(20, output=9)) == [CONCURRENCY]
    herd.names = herd.names[:10]
    assert cleared(herd.go(20)) == [CONCURRENCY]


def test_without_a_look_at_the_machine_the_runs_are_judged_all_the_same() -> None:
    run = Watched()
    told: list[Change] = []
    for _ in range(400):
        run.mono += 1
        told += run.recognition.tick({run.name: Seen(run.sample(), run.limits)}, None, run.machine, 0.0)
    assert raised(told) == ["task:stalled"]


def test_the_end_of_a_run_clears_what_was_raised() -> None:
    run = Watched()
    run.go(400)
    told = run.recognition.end(run.name, run.mono)
    assert [(change.step, change.subject) for change in told] == [(Step.CLEARED, run.name)]
    assert run.recognition.end(run.name, run.mono) == []


def test_rules_come_after_those_that_they_yield_to() -> None:
    names = [rule.name for rule in RULES]
    for place, rule in enumerate(RULES):
        assert all(names.index(other) < place for other in rule.yields_to)


def restart(run: Watched, *, keeps_history: bool = True) -> None:
    """Have another supervisor go on."""
    stored = json.loads(json.dumps(run.recognition.to_json(run.name)))
    machine = json.loads(json.dumps(run.recognition.machine_to_json()))
    run.recognition = Recognition(machine)
    if not keeps_history:
        del stored["history"]
    run.recognition.begin(run.name, ran_s=run.mono - 1000, stored=stored)


@settings(max_examples=40)
@given(st.lists(st.integers(1, 250), min_size=1, max_size=8), st.booleans())
def test_a_supervisor_that_is_started_anew_neither_raises_twice_nor_forgets_to_clear(
    restarts: list[int], keeps_history: bool
) -> None:
    run = Watched(RunLimits(stall_s=30))
    run.go(20, output=9, memory=2.5 * GB)
    for seconds in restarts:
        run.go(seconds, output=0)
        restart(run, keeps_history=keeps_history)
    run.go(60)
    run.go(80, output=9, memory=1 * GB)
    told = [(change.step, change.finding.type) for change in run.told]
    assert told.count((Step.RAISED, "task:high-memory")) == 1
    assert told.count((Step.CLEARED, "task:high-memory")) == 1
    assert told.count((Step.RAISED, "task:stalled")) == told.count((Step.CLEARED, "task:stalled")) == 1


def test_the_machines_conditions_outlive_a_supervisor_whose_clock_begins_anew() -> None:
    run = Watched()
    run.go(500, output=9)
    run.go(20, load=1.0, disk_free=1 * MB)
    restart(run)
    run.go(20)
    assert [change.step for change in run.told] == [Step.RAISED]
    run.go(60, disk_free=100 * GB)
    assert [change.step for change in run.told] == [Step.RAISED, Step.CLEARED]


def test_a_level_that_is_raised_tells_what_was_only_noted() -> None:
    run = Watched(RunLimits(level=Level.PASSIVE))
    assert [change.finding.severity for change in run.go(400)] == [Severity.INFO]
    run.limits = RunLimits()
    assert [(change.step, change.finding.severity) for change in run.go(60)] == [
        (Step.WORSENED, Severity.WARNING)
    ]
    run.limits = RunLimits(level=Level.PASSIVE)
    assert run.go(60) == []
    assert [change.step for change in run.go(5, output=9)] == [Step.CLEARED]


def test_one_cause_of_overload_clears_its_own_alert_alone() -> None:
    run = Watched()
    run.go(60, output=9)
    raised_as: dict[str, int] = {}
    for seq, change in enumerate(run.go(200, disk_free=1 * MB, load=99.0), start=50):
        run.recognition.told(change, seq)
        raised_as[change.finding.data["cause"]] = seq
    assert sorted(raised_as) == ["cpu", "disk"]
    assert [change.seq for change in run.go(60, disk_free=100 * GB)] == [raised_as["disk"]]


def test_the_event_that_makes_it_worse_takes_the_place_of_the_one_that_raised_it() -> None:
    run = Watched(RunLimits(level=Level.PASSIVE))
    (raised_once,) = run.go(400)
    run.recognition.told(raised_once, 5)
    run.limits = RunLimits()
    (worse,) = run.go(10)
    run.recognition.told(worse, 9)
    (cleared_once,) = run.go(5, output=9)
    assert (worse.seq, cleared_once.seq) == (5, 9)


def test_what_is_dear_is_asked_for_only_when_it_matters() -> None:
    run = Watched()
    run.go(60, output=9, processes=3, memory=1 * GB)
    assert run.recognition.wants(run.name, run.limits) == (False, False)
    run.go(30, output=0, cpu=0, switches=0, memory=1 * GB, rss=None, pss=None)
    assert run.recognition.wants(run.name, run.limits).wait_channels
    # What is shared may make RSS too large, and PSS was read before it grew.
    run.go(2 + 30 - run.mono % 30, output=9, pss=1 * GB)
    run.go(10, memory=4 * GB)
    assert run.recognition.wants(run.name, run.limits) == (True, False)
    assert run.recognition.wants("unknown", run.limits) == (False, False)


def test_a_clock_set_back_by_an_hour_changes_nothing() -> None:
    run = Watched()
    run.go(200, output=9)
    told: list[Change] = []
    for second in range(700):
        run.mono += 1
        run._counters["output"] += 9
        wall = 1_800_000_000.0 + second - (3600 if second > 300 else 0)
        seen = {run.name: Seen(run.sample(), run.limits)}
        told += run.recognition.tick(seen, run.system(), run.machine, wall)
    assert told == []


def test_a_healthy_day_is_silent() -> None:
    run, rng = Watched(), random.Random(7)
    activity, at = claude("model", 0), 0.0
    while run.mono < 86_400:
        at += 1
        phase = "tool" if activity.phase == "model" else "model"
        activity = replace(activity, phase=phase, active_at=at)
        memory = 200 * MB + 150 * MB * (run.mono / 900 % 1)
        run.go(5 * round(rng.uniform(1, 20)), step=5, activity=activity, memory=memory, cpu=0.03)
    assert run.told == []
