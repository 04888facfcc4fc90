"""What is remembered of a run: its own clock, its signs of life, its pauses; and that it can be stored."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from watched import MB, Watched, claude, cleared

from claudine_mcp.core.activity import RunningTool
from claudine_mcp.core.findings import Change
from claudine_mcp.core.history.calls import repeats
from claudine_mcp.core.history.gaps import DEVIATIONS_AT_SUSPICION, SUSPICION, Pauses, phi
from claudine_mcp.core.history.marks import MARK_S
from claudine_mcp.core.history.run import LATE_S, SMOOTH_S, STEP_S, History
from claudine_mcp.core.models import Severity


def test_the_runs_clock_stands_while_it_is_suspended() -> None:
    run = Watched()
    run.go(60)
    run.go(600, suspended=True)
    run.go(60, suspended=False)
    assert run.history.clock_s == pytest.approx(119, abs=2)
    assert run.history.ran_s == pytest.approx(119, abs=2)


def test_a_pause_of_whoever_looks_counts_as_one_step_of_silence_but_the_run_has_run() -> None:
    run = Watched()
    run.go(60)
    run.tick(3600)
    assert run.history.clock_s == pytest.approx(59 + STEP_S)
    assert run.history.silent_s == pytest.approx(59 + STEP_S)
    assert run.history.ran_s == pytest.approx(3659)


def test_output_during_a_pause_of_whoever_looks_is_a_sign_of_life() -> None:
    run = Watched()
    run.go(60)
    run.now["output"] = 1
    run.tick(3600)
    assert run.history.silent_s == 0


def test_what_was_used_during_a_pause_of_whoever_looks_is_no_rate() -> None:
    run = Watched()
    run.go(60, cpu=0.0)
    run.now |= {"cpu": 1.0, "written": 50 * MB}
    run.tick(3600)
    assert run.history.cpu_rate == 0
    assert run.history.marks.disk_bytes() == 0


@given(
    st.lists(
        st.tuples(st.floats(0.0, 100.0), st.booleans(), st.booleans()),
        max_size=60,
    )
)
def test_silence_is_never_longer_than_what_was_watched_unsuspended(
    ticks: list[tuple[float, bool, bool]],
) -> None:
    run = Watched()
    run.go(1)
    watched = 0.0
    was_suspended = False
    for passed, suspended, speaks in ticks:
        counted = 0.0 if suspended or was_suspended else min(passed, STEP_S)
        watched += counted
        was_suspended = suspended
        run.now |= {"suspended": suspended, "output": 1.0 if speaks else 0.0}
        run.tick(passed)
        if speaks and not suspended and passed >= 2:
            watched = (
                min(passed / 2, LATE_S) if counted == passed else 0.0
            )  # it may have been soon after the look before
        assert run.history.silent_s <= watched + 1e-6


def test_heartbeats_of_claude_are_no_sign_of_life_and_progress_is() -> None:
    run = Watched()
    run.go(30, activity=claude("tool", 1), output=10)
    assert run.history.silent_s == pytest.approx(29)
    run.go(1, activity=claude("model", 2))
    assert run.history.silent_s == 0.5  # it came since the look before


def test_progress_that_is_reported_elsewhere_is_a_sign_of_life() -> None:
    run = Watched()
    run.go(30)
    run.go(1, activity=replace(run.now["activity"], progress=4.0))
    assert run.history.silent_s == 0.5


def test_a_pause_belongs_to_what_the_run_was_doing_when_it_was_silent() -> None:
    run = Watched()
    run.go(1, activity=claude("model", 1))
    run.go(40)
    run.go(1, activity=claude("tool", 2))
    run.go(99)
    run.go(1, activity=claude("model", 3))
    assert run.history.pauses["model"].longest_s == pytest.approx(40.5)
    assert run.history.pauses["tool"].longest_s == pytest.approx(100)


@pytest.mark.parametrize(
    ("calls", "times"),
    [
        ((), 0),
        (("a",), 1),
        (("a", "a", "a"), 3),
        (("a", "a", "b"), 1),
        (("x", "a", "b", "a", "b", "a", "b"), 3),
        (("a", "b", "c") * 4, 4),
        (("a", "b", "c", "d") * 4, 1),
        (("a", "a", "b", "a", "a", "b"), 2),
    ],
)
def test_calls_that_repeat_are_counted(calls: tuple[str, ...], times: int) -> None:
    assert repeats(calls) == times


def test_the_suspicion_is_akkas_and_its_threshold_is_where_it_should_be() -> None:
    assert phi(DEVIATIONS_AT_SUSPICION) == pytest.approx(SUSPICION, abs=0.001)
    assert phi(0.0) == pytest.approx(0.301, abs=0.001)


def test_a_run_has_a_habit_from_its_second_pause_on() -> None:
    pauses = Pauses()
    pauses.add(400)
    assert pauses.usual_s() == 0
    pauses.add(500)
    assert 500 < pauses.usual_s() <= 1000


def test_the_gaps_within_a_burst_are_no_pauses() -> None:
    pauses = Pauses()
    for _ in range(1000):
        pauses.add(1.0)
    assert pauses.count == 0


@given(st.lists(st.floats(30, 10_000), min_size=2, max_size=40))
def test_a_habit_is_at_most_twice_the_longest_pause(lengths: list[float]) -> None:
    pauses = Pauses()
    for length in lengths:
        pauses.add(length)
    assert 0 < pauses.usual_s() <= 2 * max(lengths)


def test_what_happened_twice_stays_a_habit_however_rare_and_once_is_none() -> None:
    pauses = Pauses()
    pauses.add(1000)
    for _ in range(100):
        pauses.add(40)
    assert pauses.usual_s() < 100
    pauses.add(600)
    for _ in range(100):
        pauses.add(40)
    assert pauses.usual_s() == 900


def test_marks_of_many_runs_are_not_all_made_in_one_tick() -> None:
    run = Watched()
    for number in range(20):
        run.recognition.begin(f"r{number}")
    dues = {history.marks._due_s for history in run.recognition.histories.values()}
    assert len(dues) == MARK_S


def restored(run: Watched) -> Watched:
    """The same run, watched by a supervisor that has just been started."""
    stored = json.loads(json.dumps(run.recognition.to_json(run.name)))
    machine = json.loads(json.dumps(run.recognition.machine_to_json()))
    other = Watched(run.limits, mono=run.mono)
    other.now, other._counters = dict(run.now), dict(run._counters)
    other.recognition = type(run.recognition)(machine)
    other.recognition.begin(run.name, stored=stored)
    return other


def test_a_restored_history_goes_on_where_it_was() -> None:
    run = Watched()
    run.go(100, output=10)
    run.go(50, output=0)
    before = run.history.silent_s
    other = restored(run)
    other.tick(1)
    assert other.history.silent_s == pytest.approx(before + 1)
    assert other.history.ran_s == pytest.approx(run.history.ran_s + 1)


def test_counters_that_begin_anew_with_a_supervisor_are_no_movement_and_no_use() -> None:
    run = Watched()
    run.go(100, cpu=1.0, output=10)
    run.go(30, cpu=0.0, switches=0.0, output=0)
    other = restored(run)
    other._counters |= {"cpu": 3.0, "switches": 7, "read": 0, "written": 0}
    other.tick(20)
    other.go(5)
    assert other.history.still_s == pytest.approx(30 + STEP_S + 5, abs=2)
    assert 0 < other.history.cpu_rate < run.history.cpu_rate


def test_a_history_of_another_version_is_not_loaded() -> None:
    run = Watched()
    run.go(5)
    assert History.from_json({**run.history.to_json(), "version": 0}) is None
    assert History.from_json(run.history.to_json()) is not None


def test_what_is_stored_of_a_long_run_stays_small() -> None:
    run = Watched()
    for number in range(300):
        run.go(600, step=60, memory=(100 + number) * MB, output=1 if number % 2 else 0)
    assert len(json.dumps(run.recognition.to_json(run.name))) < 16_384


def severities(told: list[Change]) -> list[tuple[str, str, Severity]]:
    return [(change.step, change.finding.type, change.finding.severity) for change in told]


def test_a_busy_run_is_still_busy_for_a_supervisor_that_has_just_been_started() -> None:
    run = Watched()
    run.go(10, output=9)
    run.go(320, output=0, cpu=1.0)
    assert severities(run.told) == [("raised", "task:stalled", Severity.NOTICE)]
    other = restored(run)
    assert other.tick(5) == []
    assert other.go(60) == []


def test_a_runaway_is_not_taken_back_by_a_restart() -> None:
    run = Watched()
    run.go(90, output=9)
    run.go(700, output=0, cpu=1.0)
    assert "task:runaway-cpu" in run.open
    other = restored(run)
    other.tick(40)
    assert other.go(120) == []
    assert "task:runaway-cpu" in cleared(other.go(40, output=9))


def test_what_someone_else_has_stopped_is_not_taken_back_by_a_restart() -> None:
    run = Watched()
    run.go(30, output=9)
    run.go(30, output=0, cpu=0, switches=0, stopped=1)
    assert run.open["task:stalled"].data["why"] == "stopped"
    other = restored(run)
    other.tick(5)
    assert other.go(60) == []


def test_of_a_run_that_is_met_on_its_way_its_use_is_known_only_after_a_while() -> None:
    run = Watched()
    run.recognition.begin(run.name, ran_s=4000)
    run.go(310, output=0, cpu=1.0)
    met = Watched(mono=run.mono)
    conditions = run.recognition.to_json(run.name)["conditions"]
    met.now, met._counters = dict(run.now), dict(run._counters)
    met.recognition.begin(met.name, ran_s=4310, stored={"conditions": conditions})
    assert met.go(SMOOTH_S - 1) == []
    assert not met.history.is_use_known
    met.go(2)
    assert met.history.is_use_known
    assert met.go(400) == []


def test_when_it_last_spoke_is_true_after_a_sleep_of_the_machine() -> None:
    run = Watched()
    run.go(10, output=9)
    spoke_at = run.epoch
    run.epoch += 8 * 3600  # the machine's clock stands meanwhile
    run.go(305, output=0)
    assert run.open["task:stalled"].data["lastActivity"] == pytest.approx(spoke_at, abs=2)
    assert run.open["task:stalled"].data["stalledFor"] == pytest.approx(300_000, abs=6000)


def test_a_tool_has_not_been_running_while_the_machine_slept() -> None:
    run = Watched()
    run.go(10, activity=claude("model", 1))
    tools = (RunningTool("Bash (make)", run.epoch),)
    run.go(60, activity=claude("tool", 2, tools=tools))
    run.epoch += 9 * 3600
    run.go(250)
    assert run.open["task:stalled"].data["runningSeconds"] == pytest.approx(309, abs=5)
