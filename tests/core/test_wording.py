"""Findings in words, and as events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from claudine_mcp.core.announcing import Subject, event
from claudine_mcp.core.findings import Change, Finding, Step
from claudine_mcp.core.models import Severity
from claudine_mcp.core.wording import say, say_cleared

STALL: dict[str, Any] = {"stalledFor": 372_000, "lastActivity": 0.0, "cpuPercent": 0.4}
RETRY = {"attempt": 3, "attempts": 10, "error": "overloaded_error"}

SAID: list[tuple[str, dict[str, Any], str]] = [
    (
        "task:stalled",
        {**STALL, "why": "model"},
        "has been silent for 6 min 12 s: it waits for the model's answer, using 0.4 % of a processor",
    ),
    (
        "task:stalled",
        {**STALL, "why": "tool", "tools": ["Bash (npm test)"], "runningSeconds": 400},
        (
            "has been silent for 6 min 12 s: Bash (npm test) has been running for 6 min 40 s, using "
            "0.4 % of a processor"
        ),
    ),
    (
        "task:stalled",
        {**STALL, "why": "permission", "asks": "Bash (rm x)"},
        "has been waiting for 6 min 12 s for leave to use Bash (rm x)",
    ),
    (
        "task:stalled",
        {**STALL, **RETRY, "why": "overload"},
        "has been silent for 6 min 12 s: the API does not serve it (overloaded_error), attempt 3 of 10",
    ),
    (
        "task:stalled",
        {**STALL, **RETRY, "why": "rate-limit", "until": 3600.0},
        (
            "has been silent for 6 min 12 s: its requests are limited (overloaded_error), attempt 3 "
            "of 10, next try at 1970-01-01T01:00:00.000Z"
        ),
    ),
    (
        "task:stalled",
        {**STALL, "attempt": 0, "attempts": 0, "error": "", "why": "rate-limit", "until": 3600.0},
        "has been silent for 6 min 12 s: its requests are limited until 1970-01-01T01:00:00.000Z",
    ),
    (
        "task:stalled",
        {**STALL, "why": "after-result"},
        "gave its result 6 min 12 s ago, and has not ended",
    ),
    (
        "task:stalled",
        {**STALL, "why": "background", "background": ["npm run dev"]},
        "has been silent for 6 min 12 s: its turn is over, and it waits for npm run dev",
    ),
    (
        "task:stalled",
        {**STALL, "why": "blocked", "waitsFor": ["a child", "the network"]},
        "has been silent for 6 min 12 s: nothing moves in it; it waits for a child, the network",
    ),
    (
        "task:stalled",
        {**STALL, "why": "busy", "cpuPercent": 99.7},
        "has been silent for 6 min 12 s: it is at work, using 99.7 % of a processor",
    ),
    (
        "task:stalled",
        {**STALL, "why": "unknown"},
        (
            "has been silent for 6 min 12 s: it wakes from time to time, but does hardly anything "
            "(0.4 % of a processor)"
        ),
    ),
    (
        "task:stalled",
        {**STALL, "why": "stopped", "stopped": 1, "processes": 3},
        "was stopped by someone else (SIGSTOP): 1 of its 3 processes. It goes on when they get SIGCONT",
    ),
    (
        "task:deadlocked",
        {"stillSeconds": 61, "processes": 1, "threads": 2, "waitsFor": ["a lock"]},
        (
            "has hung for 1 min 1 s: no processor time, no context switch, no input or output; its "
            "threads wait for a lock"
        ),
    ),
    (
        "task:high-memory",
        {"usage": 2500000000.0, "threshold": 2000000000.0},
        "takes 2.5 GB of memory, more than 2 GB (maxMemoryPerTask)",
    ),
    (
        "task:critical-memory",
        {"usage": 5000000000.0, "threshold": 4000000000.0, "cause": "limit", "bytesPerMinute": 300000000.0},
        "takes 5 GB of memory, growing by 300 MB a minute, more than 4 GB (criticalMemory)",
    ),
    (
        "task:critical-memory",
        {"usage": 5000000000.0, "cause": "exhaustion", "available": 600000000.0, "exhaustedInSeconds": 40},
        "takes 5 GB of memory; the machine has 600 MB left, for 40 s at this pace",
    ),
    (
        "task:memory-leak",
        {
            "usage": 900000000.0,
            "from": 300000000.0,
            "growingForSeconds": 3600,
            "bytesPerMinute": 10000000.0,
            "limit": "maxMemoryPerTask",
            "threshold": 2000000000.0,
            "hitsInSeconds": 6600,
        },
        (
            "has been growing by 10 MB a minute for 1 h, from 300 MB to 900 MB of memory. It will "
            "pass maxMemoryPerTask (2 GB) in about 1 h 50 min"
        ),
    ),
    (
        "task:runaway-cpu",
        {"cpuPercent": 100, "barrenSeconds": 600},
        "has used 100 % of a processor for 10 min without output or progress",
    ),
    (
        "task:fd-limit",
        {"usage": 1200, "threshold": 1000},
        "has 1200 files open in one process, more than 1000 (maxFileDescriptors)",
    ),
    (
        "task:disk-io",
        {
            "cause": "rate",
            "writtenBytesPerSecond": 200000000.0,
            "readBytesPerSecond": 0,
            "threshold": 100000000.0,
            "minutes": 5,
        },
        "writes 200 MB a second for 5 minutes, more than 100 MB (maxDiskRate)",
    ),
    (
        "task:disk-io",
        {"cause": "full", "writtenBytesPerSecond": 200000000.0, "fullInSeconds": 90},
        "writes 200 MB a second: the disk is full in 1 min 30 s",
    ),
    (
        "task:disk-io",
        {
            "cause": "pressure",
            "writtenBytesPerSecond": 200000000.0,
            "readBytesPerSecond": 1000000.0,
            "blockedPercent": 55,
        },
        "reads 1 MB and writes 200 MB a second; everything waits for the disk 55 % of the time",
    ),
    (
        "task:stuck-phase",
        {"phase": "tests", "percent": 62.0, "stuckSeconds": 600, "longestSeconds": 30},
        'has been at 62 % "tests" for 10 min; nothing before took longer than 30 s',
    ),
    (
        "task:repeating",
        {"times": 12, "tool": "Read (a.py)"},
        "has called the same tools 12 times in a row, last Read (a.py)",
    ),
    (
        "task:overdue",
        {"timeout": 3600000, "ranSeconds": 3700},
        "runs longer than its timeout of 1 h",
    ),
    (
        "system:overload",
        {
            "cause": "reserve",
            "available": 700000000.0,
            "total": 16000000000.0,
            "reserve": 1000000000.0,
            "tasks": [{"run": "t1.1", "usage": 5000000000.0}],
        },
        "the machine has 700 MB of 16 GB of memory left, less than 1 GB (systemMemoryReserve): t1.1 5 GB",
    ),
    (
        "system:overload",
        {"cause": "cpu", "load": 30.4, "processors": 4.0, "tasks": []},
        "30 processes want to run, and the machine has 4 processors",
    ),
    (
        "system:overload",
        {"cause": "disk", "free": 100000000.0},
        "the disk of the state directory has 100 MB left",
    ),
    (
        "limit:concurrency",
        {"active": 12, "soft": 10},
        "12 tasks are active, more than 10 (softMaxConcurrent)",
    ),
    (
        "api:limited",
        {"why": "overload", "tasks": [{"run": "a"}, {"run": "b"}], "errors": ["overloaded_error"]},
        "the API does not serve 2 tasks (overloaded_error): a, b",
    ),
]


@pytest.mark.parametrize(("kind", "data", "words"), SAID, ids=[f"{row[0]}-{n}" for n, row in enumerate(SAID)])
def test_a_finding_is_said_with_its_numbers(kind: str, data: dict[str, Any], words: str) -> None:
    assert say(Finding(kind, Severity.WARNING, data)) == words


@pytest.mark.parametrize("kind", sorted({row[0] for row in SAID}))
def test_what_cleared_says_for_how_long_it_held(kind: str) -> None:
    change = Change(Step.CLEARED, Finding(kind, Severity.WARNING, {}), 372.0)
    assert say_cleared(change).endswith("; it was for 6 min 12 s")


TASK = Subject("t1", "t1.2", "build")
HIGH = Finding("task:high-memory", Severity.WARNING, {"usage": 2_500_000_000, "threshold": 2_000_000_000})


def test_an_event_has_the_fields_of_the_interface() -> None:
    stalled = Finding("task:stalled", Severity.WARNING, {**STALL, "why": "model", "lastActivity": 60.0})
    told = event(Change(Step.RAISED, stalled, 0.0, "t1.2"), TASK, 99.0)
    assert (told.type, told.severity, told.task_id, told.run_id, told.at) == (
        "task:stalled",
        Severity.WARNING,
        "t1",
        "t1.2",
        99.0,
    )
    assert told.message.startswith("build (t1) has been silent for 6 min 12 s")
    assert told.data == {
        "taskId": "t1",
        "stalledFor": 372_000,
        "lastActivity": "1970-01-01T00:01:00.000Z",
        "cpuPercent": 0.4,
        "why": "model",
    }
    assert json.loads(json.dumps(told.data)) == told.data


def test_only_what_works_is_offered() -> None:
    told = event(Change(Step.RAISED, HIGH, 0.0), TASK, 0.0, offered={"cancel", "snooze"})
    assert [item["action"] for item in told.suggestions] == ["cancel", "snooze"]


def test_a_question_is_answered_and_a_stopped_tree_resumed() -> None:
    def actions(why: str) -> list[str]:
        data = {**STALL, "why": why, "asks": "x", "stopped": 1, "processes": 1}
        change = Change(Step.RAISED, Finding("task:stalled", Severity.WARNING, data), 0.0)
        return [item["action"] for item in event(change, TASK, 0.0).suggestions]

    assert actions("permission") == ["allow", "deny"]
    assert actions("stopped")[0] == "resume"


def test_what_cleared_names_what_it_was_and_suggests_nothing() -> None:
    told = event(Change(Step.CLEARED, HIGH, 90.4), TASK, 0.0)
    assert told.type == "task:recovered"
    assert told.data == {"taskId": "t1", "of": "task:high-memory", "heldSeconds": 90}
    assert told.suggestions == ()


def test_what_gets_worse_says_so() -> None:
    assert event(Change(Step.WORSENED, HIGH, 9.0), TASK, 0.0).data["worse"] is True


def test_the_machine_speaks_for_itself_and_names_tasks_as_people_do() -> None:
    data = {"why": "overload", "tasks": [{"run": "t1.1"}, {"run": "t2.1"}], "errors": []}
    change = Change(Step.RAISED, Finding("api:limited", Severity.WARNING, data), 0.0)
    told = event(change, Subject(), 0.0, name_of={"t1.1": "build (t1)", "t2.1": "docs (t2)"}.__getitem__)
    assert told.message == "the API does not serve 2 tasks: build (t1), docs (t2)"
    assert told.task_id is None
    cleared = event(Change(Step.CLEARED, change.finding, 60.0, seq=7), Subject(), 0.0)
    assert cleared.type == "system:recovered"
    assert cleared.data == {"of": "api:limited", "heldSeconds": 60, "alertId": 7}


def test_of_many_tasks_with_one_cause_a_few_are_named_and_the_others_counted() -> None:
    data = {"why": "overload", "tasks": [{"run": f"t{n}.1"} for n in range(9)], "errors": []}
    said = say(Finding("api:limited", Severity.WARNING, data))
    assert said.endswith(": t0.1, t1.1, t2.1, t3.1, t4.1, and 4 more")
