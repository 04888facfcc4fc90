"""Memory, processors, descriptors, the disk; the course of the work."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from watched import GB, MB, Watched, claude, cleared, raised

from claudine_mcp.core.activity import Activity
from claudine_mcp.core.config import Monitoring, Settings
from claudine_mcp.core.findings import Change, Finding, Step
from claudine_mcp.core.models import Severity
from claudine_mcp.core.rules import RULES, MachineLimits, RunLimits
from claudine_mcp.core.rules.course import OVERDUE, REPEATING, STUCK_PHASE
from claudine_mcp.core.rules.memory import CRITICAL_MEMORY, HIGH_MEMORY, MEMORY_LEAK
from claudine_mcp.core.rules.use import DISK_IO, FD_LIMIT, RUNAWAY_CPU

TALKS: dict[str, Any] = {"output": 9.0}


# -- memory -----------------------------------------------------------------------------------------------


def test_memory_above_its_limit_is_told_after_a_quarter_of_a_minute_and_cleared_below_nine_tenths() -> None:
    run = Watched()
    run.go(60, **TALKS)
    assert run.go(14, memory=2.5 * GB) == []
    assert raised(run.go(5)) == [HIGH_MEMORY]
    assert run.open[HIGH_MEMORY].data == {"usage": 2_500_000_000, "threshold": 2_000_000_000}
    assert run.go(120, memory=1.9 * GB) == []
    assert cleared(run.go(40, memory=1.7 * GB)) == [HIGH_MEMORY]


def test_a_burst_above_the_limit_is_not_told() -> None:
    run = Watched()
    for _ in range(20):
        assert run.go(60, memory=0.5 * GB, **TALKS) == []
        assert run.go(10, memory=3 * GB) == []


def test_memory_that_swings_around_its_limit_is_told_once() -> None:
    run = Watched()
    run.go(30, memory=2.1 * GB, **TALKS)
    for _ in range(30):
        run.go(20, memory=1.95 * GB)
        run.go(20, memory=2.05 * GB)
    assert raised(run.told) == [HIGH_MEMORY]
    assert cleared(run.told) == []


def test_pages_that_are_shared_are_not_counted_twice() -> None:
    run = Watched()
    run.go(600, rss=5 * GB, pss=600 * MB, processes=40, **TALKS)
    assert run.told == []


def test_what_rss_has_grown_by_since_pss_was_read_wants_another_reading() -> None:
    run = Watched()
    run.go(30, rss=900 * MB, pss=600 * MB, processes=8, **TALKS)  # it was read 10 s ago
    run.go(15, rss=4 * GB)
    assert run.history.wants_pss(2 * GB)
    assert HIGH_MEMORY not in run.open


def test_one_process_alone_shares_nothing_so_that_its_growth_counts_at_once() -> None:
    run = Watched()
    run.go(22, rss=600 * MB, pss=590 * MB, **TALKS)  # it was read 2 s ago
    run.go(25, rss=3 * GB)
    assert HIGH_MEMORY in run.open


def test_where_pss_is_never_read_rss_counts_after_a_while() -> None:
    run = Watched()
    run.go(60, rss=3 * GB, processes=8, **TALKS)
    assert HIGH_MEMORY not in run.open
    run.go(60)
    assert HIGH_MEMORY in run.open


def test_memory_that_is_critical_at_once_is_told_once() -> None:
    run = Watched()
    run.go(60, **TALKS)
    assert raised(run.go(60, memory=5 * GB)) == [CRITICAL_MEMORY]
    told = run.go(120, memory=3 * GB)
    assert cleared(told) == [CRITICAL_MEMORY]
    assert raised(told) == [HIGH_MEMORY]


def test_memory_that_grows_past_both_limits_is_told_twice() -> None:
    run = Watched()
    run.go(60, memory=3 * GB, **TALKS)
    run.go(60, memory=5 * GB)
    assert raised(run.told) == [HIGH_MEMORY, CRITICAL_MEMORY]


def test_the_machine_that_runs_out_by_one_run_is_that_runs_matter() -> None:
    run = Watched(RunLimits(max_memory_bytes=40 * GB, critical_memory_bytes=50 * GB))
    run.go(60, memory=8 * GB, available=7 * GB, **TALKS)
    assert raised(run.go(10, available=0.5 * GB)) == [CRITICAL_MEMORY]
    assert run.open[CRITICAL_MEMORY].data["cause"] == "reserve"
    assert cleared(run.go(60, available=9 * GB)) == [CRITICAL_MEMORY]


def test_memory_that_will_be_used_up_within_two_minutes_is_critical_now() -> None:
    run = Watched(RunLimits(max_memory_bytes=40 * GB, critical_memory_bytes=50 * GB))
    run.go(60, memory=1 * GB, available=12 * GB, **TALKS)
    told = []
    for second in range(90):
        told += run.go(1, memory=1 * GB + 70 * MB * second, available=12 * GB - 70 * MB * second)
    assert raised(told) == [CRITICAL_MEMORY]
    assert run.open[CRITICAL_MEMORY].data["cause"] == "exhaustion"


def test_one_large_step_of_the_machine_is_not_the_way_to_exhaustion() -> None:
    run = Watched()
    run.go(100, available=12 * GB, **TALKS)
    assert run.go(200, available=5 * GB) == []


def test_a_leak_says_how_fast_it_grows_and_when_it_hits_what() -> None:
    run = Watched()
    for minute in range(90):
        run.go(60, step=2, memory=200 * MB + minute * 15 * MB, **TALKS)
    steps = [(change.step, change.finding.severity) for change in run.told]
    assert steps == [(Step.RAISED, Severity.NOTICE), (Step.WORSENED, Severity.WARNING)]
    data = run.open[MEMORY_LEAK].data
    assert data["bytesPerMinute"] == pytest.approx(15 * MB, rel=0.1)
    assert data["limit"] == "maxMemoryPerTask"
    assert data["hitsInSeconds"] == pytest.approx(60 * (2000 - data["usage"] / MB) / 15, rel=0.1)


def test_noise_does_not_end_a_slow_leak() -> None:
    run, rng = Watched(), random.Random(3)
    for minute in range(9 * 60):
        run.go(60, step=10, memory=520 * MB + minute * 1 * MB + rng.gauss(0, 15 * MB), **TALKS)
    assert raised(run.told) == [MEMORY_LEAK]
    assert cleared(run.told) == []


def test_a_leak_above_its_limit_needs_no_prophecy() -> None:
    run = Watched(machine=MachineLimits(reserve_bytes=0))
    for second in range(900):
        run.go(1, memory=200 * MB + second * 5 * MB, **TALKS)
    assert raised(run.told) == [HIGH_MEMORY, MEMORY_LEAK, CRITICAL_MEMORY]


def test_what_is_loaded_evenly_to_above_the_limit_is_high_memory_and_no_warning_of_a_leak() -> None:
    run = Watched()
    for second in range(720):
        run.go(1, memory=200 * MB + second * 4.6 * MB, **TALKS)
    run.go(1200)
    warned = [change.finding.type for change in run.told if change.finding.severity is Severity.WARNING]
    assert warned == [HIGH_MEMORY]


def test_what_grows_above_its_limit_for_longer_than_anything_is_loaded_is_a_leak() -> None:
    run = Watched(RunLimits(critical_memory_bytes=40 * GB))
    for second in range(1100):
        run.go(1, memory=1 * GB + second * 4 * MB, **TALKS)
    assert run.open[MEMORY_LEAK].severity is Severity.WARNING


def test_a_leak_that_has_stopped_is_cleared() -> None:
    run = Watched()
    for minute in range(90):
        run.go(60, step=2, memory=200 * MB + minute * 15 * MB, **TALKS)
    assert cleared(run.go(2 * 3600, step=2)) == [MEMORY_LEAK]


# -- processors -------------------------------------------------------------------------------------------


def test_a_processor_that_is_used_for_nothing_is_a_runaway_after_twice_the_threshold() -> None:
    run = Watched()
    run.go(60, **TALKS)
    assert RUNAWAY_CPU not in raised(run.go(595, output=0, cpu=1.0))
    assert RUNAWAY_CPU in raised(run.go(60))
    assert RUNAWAY_CPU in cleared(run.go(40, output=9))


@pytest.mark.parametrize(
    "fruit",
    [{"output": 1.0}, {"written": 1.0 * MB}, {"cpu": 0.2}],
    ids=["speaks", "writes results", "rests"],
)
def test_what_bears_fruit_or_rests_is_no_runaway(fruit: dict[str, float]) -> None:
    run = Watched()
    run.go(3600, step=2, **{"cpu": 1.0, **fruit})
    assert RUNAWAY_CPU not in run.open


def test_what_has_never_talked_is_noted_until_half_an_hour_has_passed() -> None:
    run = Watched()
    run.go(20, cpu=1.0, **TALKS)
    run.go(1700, output=0)
    assert run.open[RUNAWAY_CPU].severity is Severity.NOTICE
    run.go(120)
    assert run.open[RUNAWAY_CPU].severity is Severity.WARNING


def test_what_used_to_talk_is_warned_of_at_once() -> None:
    run = Watched()
    run.go(120, cpu=1.0, **TALKS)
    run.go(610, output=0)
    assert run.open[RUNAWAY_CPU].severity is Severity.WARNING


def test_epochs_of_eleven_minutes_with_a_line_each_disturb_nobody() -> None:
    run = Watched()
    told = run.go(20, cpu=1.0, **TALKS)
    for _ in range(20):
        told += run.go(660, output=0) + run.go(1, output=80)
    assert {change.finding.severity for change in told} <= {Severity.NOTICE}


@pytest.mark.parametrize(
    "activity",
    [claude("background", 9, background=("npm run build",)), claude("tool", 9)],
    ids=["a job", "a tool"],
)
def test_what_computes_for_claude_need_not_talk(activity: Activity) -> None:
    run = Watched()
    for number in range(40):
        run.go(5, activity=claude("model" if number % 2 else "tool", number))
    told = run.go(900, activity=activity, cpu=1.0)
    assert {change.finding.severity for change in told} == {Severity.NOTICE}


def test_what_stirs_is_given_three_times_as_long() -> None:
    run = Watched()
    for minute in range(29):
        run.go(60, cpu=1.0, memory=(200 + 50 * (minute % 2)) * MB)
    assert RUNAWAY_CPU not in run.open
    for minute in range(4):
        run.go(60, memory=(200 + 50 * (minute % 2)) * MB)
    assert RUNAWAY_CPU in run.open


def test_what_starts_one_process_after_the_other_stirs_though_they_are_always_as_many() -> None:
    run = Watched()
    assert RUNAWAY_CPU not in raised(run.go(1700, cpu=1.0, processes=2, starts=0.5))
    assert RUNAWAY_CPU in raised(run.go(200))


def test_a_run_that_waits_for_its_turn_computes_too() -> None:
    run = Watched()
    run.go(700, cpu=0.2, runnable=1)
    assert RUNAWAY_CPU in run.open


def test_claude_that_only_waits_and_computes_is_a_runaway_after_two_minutes() -> None:
    run = Watched()
    run.go(10, activity=claude("model", 1))
    assert raised(run.go(200, cpu=1.0)) == [RUNAWAY_CPU]


def test_claude_whose_shells_compute_behind_it_is_none() -> None:
    run = Watched()
    run.go(200, activity=claude("model", 1, background=("npm test",)), cpu=1.0)
    assert run.told == []


@pytest.mark.parametrize("repeats", [3, 5, 16])
def test_how_often_is_too_often_is_configurable(repeats: int) -> None:
    limits = RunLimits.of(Settings(monitoring=Monitoring(repeat_threshold=repeats)))
    run = Watched(limits)
    told = [run.go(5, activity=claude("tool", n, calls=("x",) * n)) for n in range(1, repeats + 2)]
    assert [bool(each) for each in told] == [False] * (repeats - 1) + [True, False]


# -- descriptors and the disk -----------------------------------------------------------------------------


def test_descriptors_above_the_limit_are_told_and_cleared_below_nine_tenths() -> None:
    run = Watched()
    run.go(10, **TALKS)
    assert raised(run.go(7, fds=1100)) == [FD_LIMIT]
    assert run.go(60, fds=950) == []
    assert cleared(run.go(20, fds=850)) == [FD_LIMIT]


def test_descriptors_are_counted_by_the_process() -> None:
    run = Watched()
    assert run.go(60, fds=3000, most_fds=90, **TALKS) == []
    assert raised(run.go(60, most_fds=1200)) == [FD_LIMIT]


def test_writing_for_minutes_on_end_is_told_a_burst_is_not() -> None:
    run = Watched()
    assert run.go(90, written=400 * MB, **TALKS) == []
    assert run.go(600, written=0) == []
    assert raised(run.go(400, written=150 * MB)) == [DISK_IO]
    assert run.open[DISK_IO].data["cause"] == "rate"
    assert cleared(run.go(300, written=0)) == [DISK_IO]


def test_a_disk_that_will_soon_be_full_is_an_error() -> None:
    run = Watched()
    run.go(60, **TALKS)
    for second in range(270):
        run.go(1, written=40 * MB, disk_free=20 * GB - second * 40 * MB)
    assert run.open[DISK_IO].data["cause"] == "full"
    assert run.open[DISK_IO].severity is Severity.ERROR


@pytest.mark.parametrize(
    ("rate", "seconds", "free"),
    [(40 * MB, 90, 20 * GB), (40 * MB, 300, 55 * GB), (100 * MB, 120, 55 * GB), (10 * MB, 1200, 55 * GB)],
    ids=["an archive", "a download", "a fast one", "a slow one"],
)
def test_a_large_file_is_no_disk_that_fills(rate: float, seconds: int, free: float) -> None:
    run = Watched(machine=MachineLimits(reserve_bytes=0))
    run.go(60, **TALKS)
    told: list[Change] = []
    for second in range(seconds):
        told += run.go(1, written=rate, disk_free=free - second * rate)
    told += run.go(300, written=0)
    assert [change for change in told if change.finding.severity.rank >= Severity.WARNING.rank] == []


def test_a_disk_that_is_soon_full_is_worse_than_the_pace_that_fills_it() -> None:
    run = Watched()
    run.go(60, **TALKS)
    told: list[Change] = []
    for second in range(600):
        told += run.go(1, written=150 * MB, disk_free=120 * GB - second * 150 * MB)
    causes = [(change.finding.data["cause"], change.finding.severity) for change in told]
    assert causes == [
        ("full", Severity.NOTICE),
        ("rate", Severity.WARNING),
        ("full", Severity.ERROR),
    ]


def test_writing_for_hours_is_an_error_half_an_hour_before_the_disk_is_full() -> None:
    run = Watched()
    run.go(60, **TALKS)
    for second in range(0, 7200, 10):
        run.go(10, step=5, written=20 * MB, disk_free=200 * GB - second * 20 * MB)
    assert run.open[DISK_IO].severity is Severity.NOTICE
    for second in range(7200, 8400, 10):
        run.go(10, step=5, disk_free=200 * GB - second * 20 * MB)
    assert run.open[DISK_IO].severity is Severity.ERROR
    assert run.open[DISK_IO].data["fullInSeconds"] <= 1800


def test_files_that_are_written_and_removed_do_not_fill_the_disk() -> None:
    run = Watched()
    run.go(240, written=40 * MB, disk_free=20 * GB, **TALKS)
    assert run.told == []


def test_a_disk_that_everyone_waits_for_is_the_matter_of_who_uses_it() -> None:
    run = Watched()
    run.go(120, read=200 * MB, io_pressure=5.0, **TALKS)
    assert run.told == []
    assert raised(run.go(70, io_pressure=60.0)) == [DISK_IO]


# -- the course of the work -------------------------------------------------------------------------------


def test_a_stage_that_takes_far_longer_than_all_before_is_stuck() -> None:
    run = Watched(limits=RunLimits(stall_s=60))
    for number in range(6):
        run.go(60, activity=Activity(stage=f"stage {number}"), **TALKS)
    assert run.go(170, activity=Activity(stage="the last")) == []
    assert raised(run.go(200)) == [STUCK_PHASE]
    assert cleared(run.go(1, activity=Activity(stage="another"))) == [STUCK_PHASE]


def test_without_three_stages_there_is_nothing_to_compare_with() -> None:
    run = Watched(limits=RunLimits(stall_s=60))
    run.go(60, activity=Activity(stage="a"), **TALKS)
    run.go(60, activity=Activity(stage="b"))
    assert run.go(7200, step=2, activity=Activity(stage="c")) == []


def test_work_that_is_done_is_not_stuck_at_a_hundred_per_cent() -> None:
    run = Watched(limits=RunLimits(stall_s=60))
    for percent in range(0, 101, 10):
        run.go(10, activity=Activity(progress=float(percent)), **TALKS)
    assert run.go(3600, step=2) == []


def test_a_stuck_stage_that_is_silent_is_a_stall_only() -> None:
    run = Watched(limits=RunLimits(stall_s=60))
    for number in range(6):
        run.go(10, activity=Activity(stage=f"stage {number}"), **TALKS)
    assert raised(run.go(900, output=0)) == ["task:stalled"]


def test_the_same_call_ten_times_is_told_until_something_else_is_called() -> None:
    run = Watched()
    activity = claude("tool", 0)
    for number in range(12):
        activity = replace(
            activity, active_at=float(number), calls=(*activity.calls, "same"), last_tool="Read (a)"
        )
        run.go(5, activity=activity)
    assert raised(run.told) == [REPEATING]
    assert run.open[REPEATING].data == {"times": 12, "tool": "Read (a)"}
    run.go(5, activity=replace(activity, active_at=99.0, calls=(*activity.calls, "other")))
    assert cleared(run.told) == [REPEATING]


@pytest.mark.parametrize(("every_s", "severity"), [(12, Severity.WARNING), (30, Severity.NOTICE)])
def test_a_look_every_now_and_then_is_only_noted(every_s: int, severity: Severity) -> None:
    run = Watched()
    for number in range(14):
        run.go(every_s, activity=claude("tool", number, calls=("same",) * number))
    assert run.open[REPEATING].severity is severity


def test_repeated_calls_that_were_there_before_anyone_looked_are_not_judged_by_their_pace() -> None:
    run = Watched()
    assert run.go(60, activity=claude("tool", 1, calls=("same",) * 20)) == []
    run.go(5, activity=claude("tool", 2, calls=("same",) * 21))
    assert raised(run.go(5, activity=claude("tool", 3, calls=("same",) * 22))) == [REPEATING]


def test_the_item_of_a_list_that_is_the_real_work_is_not_stuck_while_new_tools_are_called() -> None:
    run = Watched()
    for number, item in enumerate(("read", "ask", "plan")):
        run.go(90, activity=claude("model", number, stage=item, progress=25.0 * number))
    told: list[Change] = []
    for number in range(600):
        calls = tuple(f"call {each}" for each in range(number))
        told += run.go(7, activity=claude("tool", 9 + number, stage="implement", progress=75.0, calls=calls))
    assert told == []


def test_the_item_of_a_list_is_given_half_an_hour_and_longer_where_that_was_usual() -> None:
    run = Watched()
    for number, item in enumerate(("read", "ask", "plan")):
        run.go(90, activity=claude("model", number, stage=item, progress=25.0 * number))
    told: list[Change] = []
    for number in range(170):
        told += run.go(10, activity=claude("model", 9 + number, stage="implement", progress=75.0))
    assert told == []
    for number in range(20):
        told += run.go(10, activity=claude("model", 500 + number, stage="implement", progress=75.0))
    assert raised(told) == [STUCK_PHASE]


def test_an_evaluation_between_the_steps_of_a_counter_is_not_stuck() -> None:
    run = Watched()
    for percent in range(60):
        run.go(5, activity=Activity(progress=float(percent)), **TALKS)
    assert run.go(800) == []
    assert raised(run.go(120)) == [STUCK_PHASE]


def test_a_run_is_overdue_by_its_unsuspended_time_and_on_time_again_when_it_is_given_more() -> None:
    run = Watched(RunLimits(timeout_s=100))
    run.go(60, **TALKS)
    run.go(300, suspended=True)
    assert raised(run.go(45, suspended=False)) == [OVERDUE]
    run.limits = RunLimits(timeout_s=1000)
    assert cleared(run.go(1)) == [OVERDUE]


# -- limits -----------------------------------------------------------------------------------------------


def test_limits_come_from_the_settings_and_the_tasks_own() -> None:
    settings = Settings()
    assert RunLimits.of(settings) == RunLimits()
    own = RunLimits.of(settings, {"monitoring.stallThreshold": 60_000}, timeout_ms=5000)
    assert own == RunLimits(stall_s=60, timeout_s=5)
    assert MachineLimits.of(settings, 100 * GB) == MachineLimits(reserve_bytes=10 * GB)


@st.composite
def lives(draw: st.DrawFn) -> list[tuple[float, dict[str, Any]]]:
    """Some stretches of a life, each with what the run is and does."""
    ways = {
        "output": st.sampled_from([0.0, 9.0]),
        "cpu": st.sampled_from([0.0, 0.3, 1.0]),
        "switches": st.sampled_from([0.0, 30.0]),
        "written": st.sampled_from([0.0, 5 * MB, 200 * MB]),
        "memory": st.sampled_from([100 * MB, 2.1 * GB, 4.5 * GB]),
        "fds": st.sampled_from([20, 950, 1500]),
        "stopped": st.sampled_from([0, 1]),
        "suspended": st.booleans(),
        "available": st.sampled_from([8 * GB, 0.5 * GB]),
        "wchan": st.sampled_from([None, frozenset({"futex_do_wait"}), frozenset({"do_epoll_wait"})]),
        "activity": st.sampled_from(
            [Activity(), Activity(stage="a"), Activity(stage="b"), claude("model", 1), claude("tool", 2)]
        ),
    }
    one = st.tuples(st.sampled_from([20.0, 90.0, 400.0]), st.fixed_dictionaries({}, optional=ways))
    return draw(st.lists(one, max_size=8))


def higher(limits: RunLimits) -> RunLimits:
    return RunLimits(
        stall_s=limits.stall_s * 2,
        max_memory_bytes=limits.max_memory_bytes * 2,
        critical_memory_bytes=limits.critical_memory_bytes * 2,
        max_fds=limits.max_fds * 2,
        max_disk_rate=limits.max_disk_rate * 2,
        timeout_s=None if limits.timeout_s is None else limits.timeout_s * 2,
        still_s=limits.still_s * 2,
    )


@settings(max_examples=40)
@given(lives())
def test_a_higher_threshold_never_adds_a_finding(parts: list[tuple[float, dict[str, Any]]]) -> None:
    run = Watched(RunLimits(timeout_s=500))
    run.go(30, **TALKS)
    for seconds, changes in parts:
        for _ in range(4):
            run.go(seconds / 4, step=5.0, **changes)
            for rule in RULES:
                low, high = (
                    rule.judge(limits, run.history, run.recognition.around, 0.0)
                    for limits in (run.limits, higher(run.limits))
                )
                assert isinstance(low, Finding) or not isinstance(high, Finding), rule.name
