"""Stalled, and why; deadlocked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from watched import MB, Watched, claude, cleared, raised

from claudine_mcp.core.activity import RunningTool
from claudine_mcp.core.findings import Change, Step
from claudine_mcp.core.history.run import STEP_S
from claudine_mcp.core.models import Severity
from claudine_mcp.core.rules import RunLimits
from claudine_mcp.core.rules.silence import DEADLOCKED, STALLED
from claudine_mcp.core.rules.waits import Wait, is_deadlock, wait_of, waits_of

THRESHOLD_S = 20.0
segments = st.lists(
    st.tuples(st.sampled_from(["speak", "silent", "suspended", "unwatched"]), st.integers(1, 40)), max_size=12
)


@given(segments)
def test_a_run_is_stalled_exactly_when_its_unsuspended_silence_has_reached_the_threshold(
    parts: list[tuple[str, int]],
) -> None:
    run = Watched(RunLimits(stall_s=THRESHOLD_S))
    run.go(1)
    silent = 0.0
    pauses = 0
    was_suspended = False
    for kind, seconds in parts:
        for _ in range(1 if kind == "unwatched" else seconds):
            run.now |= {"output": 5.0 if kind == "speak" else 0.0, "suspended": kind == "suspended"}
            told = run.tick(float(seconds) if kind == "unwatched" else 1.0)
            counted = 0.0 if kind == "suspended" or was_suspended else 1.0
            if kind == "unwatched" and not was_suspended:
                counted = min(seconds, STEP_S)
            was_suspended = kind == "suspended"
            silent += counted
            if kind == "speak":
                pauses += silent >= 30
                silent = 0.0
            if pauses >= 2:
                return  # from here on the run has a habit, which is another test
            if kind != "suspended":
                assert (STALLED in run.open) == (silent >= THRESHOLD_S)
            assert len(raised(told)) + len(cleared(told)) <= 1


def test_a_stall_is_told_once_and_cleared_once() -> None:
    run = Watched()
    run.go(10, output=9)
    told = run.go(900, output=0) + run.go(100, output=9)
    assert raised(told) == [STALLED]
    assert cleared(told) == [STALLED]
    assert told[-1].held_s == pytest.approx(601, abs=2)


def test_a_run_that_has_never_spoken_is_stalled_after_the_threshold_too() -> None:
    assert raised(Watched().go(310)) == [STALLED]


def test_a_run_that_is_used_to_pauses_is_given_longer() -> None:
    run = Watched()
    for _ in range(3):
        run.go(400, output=0)
        run.go(10, output=9)
    assert raised(run.told) == [STALLED, STALLED]
    assert raised(run.go(700, output=0)) == []
    assert raised(run.go(200)) == [STALLED]


WHY: list[tuple[str, dict[str, Any], str, Severity]] = [
    ("waits for the model", {"activity": claude("model", 1)}, "model", Severity.WARNING),
    ("an answer arrives", {"activity": claude("model", 1), "cpu": 0.03}, "model", Severity.NOTICE),
    ("a tool does nothing", {"activity": claude("tool", 1), "cpu": 0.01}, "tool", Severity.WARNING),
    ("a tool works", {"activity": claude("tool", 1), "cpu": 0.9}, "tool", Severity.NOTICE),
    ("a tool writes", {"activity": claude("tool", 1), "written": 9e5}, "tool", Severity.NOTICE),
    ("asks", {"activity": claude("tool", 1, permission="Bash"), "cpu": 0.9}, "permission", Severity.WARNING),
    ("overloaded", {"activity": claude("retrying", 1)}, "overload", Severity.WARNING),
    ("limited", {"activity": claude("rate_limited", 1)}, "rate-limit", Severity.WARNING),
    ("has its result", {"activity": claude("result", 1)}, "after-result", Severity.WARNING),
    ("works on behind", {"activity": claude("background", 1)}, "background", Severity.NOTICE),
    ("a command that computes", {"cpu": 2.0}, "busy", Severity.NOTICE),
    ("a command that writes", {"written": 9e5}, "busy", Severity.NOTICE),
    ("a command that hardly wakes", {}, "unknown", Severity.WARNING),
    ("a command that is blocked", {"cpu": 0, "switches": 0, "threads": 1}, "blocked", Severity.WARNING),
]


@pytest.mark.parametrize(("doing", "why", "severity"), [row[1:] for row in WHY], ids=[row[0] for row in WHY])
def test_the_reason_of_a_stall_is_named(doing: dict[str, Any], why: str, severity: Severity) -> None:
    run = Watched()
    run.go(3, output=9)
    run.go(310, output=0, **doing)
    assert run.open[STALLED].data["why"] == why
    assert run.open[STALLED].severity is severity


def test_what_it_is_about_is_in_the_data() -> None:
    run = Watched()
    tools = (RunningTool("Bash (npm test)", run.mono),)
    run.go(310, activity=claude("tool", 1, tools=tools, since=5.0))
    data = run.open[STALLED].data
    assert data["tools"] == ["Bash (npm test)"]
    assert data["since"] == 5.0
    assert data["stalledFor"] == pytest.approx(309_000, abs=2000)
    run = Watched()
    limited = claude("rate_limited", 1, attempt=2, attempts=10, error="rate_limit", until=99.0)
    run.go(310, activity=limited)
    assert {key: run.open[STALLED].data[key] for key in ("attempt", "attempts", "error", "until")} == {
        "attempt": 2,
        "attempts": 10,
        "error": "rate_limit",
        "until": 99.0,
    }


def test_what_is_busy_gets_worse_when_it_stops_to_be() -> None:
    run = Watched()
    told = run.go(600, cpu=0.5) + run.go(300, cpu=0.001)
    assert [(change.step, change.finding.severity) for change in told] == [
        (Step.RAISED, Severity.NOTICE),
        (Step.WORSENED, Severity.WARNING),
    ]


def test_what_is_busy_without_a_sign_of_work_is_a_warning_after_half_an_hour() -> None:
    run = Watched()
    run.go(1790, cpu=0.2)
    assert run.open[STALLED].severity is Severity.NOTICE
    run.go(30)
    assert run.open[STALLED].severity is Severity.WARNING


def test_what_writes_results_stays_a_note_however_long_it_is_silent() -> None:
    run = Watched()
    run.go(4 * 3600, step=2, cpu=0.2, written=200_000)
    assert run.open[STALLED].severity is Severity.NOTICE


def test_a_tree_that_someone_else_stopped_is_named_at_once_and_cleared_when_it_goes_on() -> None:
    run = Watched()
    run.go(30, output=9, processes=3)
    told = run.go(60, output=0, cpu=0, switches=0, stopped=3)
    assert raised(told) == [STALLED]
    assert run.open[STALLED].data["why"] == "stopped"
    assert cleared(run.go(5, output=9, switches=9, stopped=0)) == [STALLED]


def test_a_tree_that_we_stopped_is_not_named() -> None:
    run = Watched()
    run.go(30, output=9)
    assert run.go(3600, step=5, suspended=True) == []


def test_one_stopped_process_matters_only_if_the_others_rest() -> None:
    run = Watched()
    run.go(30, output=9, processes=3)
    assert run.go(200, output=0, stopped=1, cpu=0.8) == []
    assert raised(run.go(200, cpu=0.0)) == [STALLED]
    assert run.open[STALLED].data["why"] == "stopped"


def test_a_stall_is_not_forgotten_by_a_supervisor_that_knows_nothing_of_before() -> None:
    run = Watched()
    run.go(10, output=9)
    run.go(320, output=0)
    conditions = run.recognition.to_json(run.name)["conditions"]
    other = Watched(mono=run.mono)
    other.recognition.begin(other.name, ran_s=330, stored={"conditions": conditions})
    other.now, other._counters = dict(run.now), dict(run._counters)
    assert other.go(100) == []
    assert cleared(other.go(10, output=9)) == [STALLED]


STILL: dict[str, Any] = {"cpu": 0, "switches": 0, "output": 0}


def worked(**also: Any) -> Watched:
    """A run that has worked, and stands still from now on."""
    run = Watched()
    run.go(60, cpu=1.0, output=9, **also)
    return run


def test_claude_without_a_context_switch_for_a_minute_is_deadlocked() -> None:
    run = Watched()
    run.go(60, activity=claude("model", 1))
    assert raised(run.go(59, **STILL)) == []
    assert raised(run.go(3)) == [DEADLOCKED]
    assert cleared(run.go(12, switches=30)) == [DEADLOCKED]


@pytest.mark.parametrize(
    ("channels", "found"),
    [
        ({"futex_do_wait"}, True),
        ({"futex_wait_queue_me", "do_wait"}, True),
        ({"anon_pipe_write", "do_wait"}, True),
        ({"do_wait"}, False),
        ({"do_wait", "wait_woken"}, False),
        ({"futex_do_wait", "do_epoll_wait"}, False),
        ({"hrtimer_nanosleep"}, False),
        ({"anon_pipe_read", "do_wait"}, False),
        ({"locks_lock_inode_wait"}, False),
        ({"something_new", "futex_do_wait"}, False),
    ],
)
def test_a_command_is_deadlocked_if_its_threads_can_only_wait_for_each_other(
    channels: set[str], found: bool
) -> None:
    run = worked(processes=2)
    run.go(280, **STILL, wchan=frozenset(channels))
    assert (DEADLOCKED in run.open) == found


def test_where_the_kernel_does_not_tell_it_takes_as_long_as_a_stall_and_several_threads() -> None:
    run = worked(processes=2, threads=9)
    assert raised(run.go(290, **STILL)) == []
    assert raised(run.go(20)) == [DEADLOCKED]
    assert run.open[DEADLOCKED].severity is Severity.WARNING
    alone = worked(processes=2, threads=2)
    assert raised(alone.go(320, **STILL)) == [STALLED]


def test_what_has_never_worked_is_not_deadlocked_where_the_kernel_does_not_tell() -> None:
    run = Watched()
    assert raised(run.go(400, **STILL, threads=9)) == [STALLED]


@pytest.mark.parametrize(("threads", "severity"), [(1, Severity.WARNING), (4, Severity.ERROR)])
def test_a_program_in_which_all_wait_for_a_lock_is_noted_and_told_when_it_is_silent_for_too_long(
    threads: int, severity: Severity
) -> None:
    run = worked()
    told = run.go(290, **STILL, threads=threads, wchan=frozenset({"futex_do_wait"}))
    told += run.go(20)
    assert [(change.step, change.finding.type, change.finding.severity) for change in told] == [
        (Step.RAISED, DEADLOCKED, Severity.NOTICE),
        (Step.WORSENED, DEADLOCKED, severity),
    ]


@pytest.mark.parametrize("threads", [1, 9])
def test_what_waits_for_a_condition_with_a_timeout_is_noted_once_and_then_known(threads: int) -> None:
    run = worked()
    told: list[Change] = []
    for _ in range(20):
        told += run.go(75, **STILL, threads=threads, wchan=frozenset({"futex_do_wait"}))
        told += run.go(1, output=9, switches=3, wchan=None)
    assert raised(told) == [DEADLOCKED]
    assert told[0].finding.severity is Severity.NOTICE
    run.go(120, **STILL, wchan=frozenset({"futex_do_wait"}))
    assert DEADLOCKED in run.open


def test_a_deadlock_is_told_instead_of_a_stall() -> None:
    run = worked()
    told = run.go(900, **STILL, wchan=frozenset({"futex_do_wait"}))
    assert raised(told) == [DEADLOCKED]


@pytest.mark.parametrize("moves", ["cpu", "switches", "output", "read", "written"])
def test_whatever_moves_is_not_deadlocked(moves: str) -> None:
    run = worked()
    run.go(400, **{**STILL, moves: 1 * MB if moves in {"read", "written"} else 2.0})
    assert DEADLOCKED not in run.open


def test_what_is_stopped_is_not_deadlocked() -> None:
    run = worked()
    run.go(400, **STILL, stopped=1, wchan=frozenset({"futex_do_wait"}))
    assert DEADLOCKED not in run.open


def test_the_names_of_the_kernel_are_told_apart() -> None:
    assert wait_of("futex_do_wait") is Wait.LOCK
    assert wait_of("ep_poll") is Wait.EVENT
    assert wait_of("wait_for_partner") is Wait.PIPE_PARTNER
    assert wait_of("0") is Wait.UNKNOWN
    assert waits_of(None) == frozenset()
    assert not is_deadlock(frozenset())


def test_a_pause_in_retries_does_not_change_what_a_pause_of_the_model_means() -> None:
    run = Watched()
    activity = claude("retrying", 1)
    run.go(1, activity=activity)
    for at in (2.0, 3.0):
        run.go(500, activity=activity)
        activity = replace(activity, active_at=at)
    run.go(1, activity=claude("model", 9))
    assert STALLED not in run.open
    assert raised(run.go(310)) == [STALLED]


def test_a_silence_is_not_told_a_tick_late_because_ticks_come_a_little_early() -> None:
    run = Watched()
    run.go(2, output=10)
    run.now["output"] = 0
    told = [change for _ in range(300) for change in run.tick(0.9999)]
    assert raised(told) == [STALLED]


def test_a_run_that_speaks_only_before_the_first_look_is_not_told_late_either() -> None:
    run = Watched()
    run.recognition.begin(run.name, ran_s=0.8)
    run.tick(0.8)
    told = [change for _ in range(300) for change in run.tick(0.9999)]
    assert raised(told) == [STALLED]


def test_a_run_that_speaks_between_looks_that_are_far_apart_is_not_silent() -> None:
    run = Watched(RunLimits(stall_s=1.0))
    assert raised(run.go(60, step=9.0, output=10)) == []
