"""What a tool call takes, beside one of the bare SDK and with a large registry."""

from __future__ import annotations

import json
import random
import sqlite3
import statistics
import time
from collections.abc import Callable
from contextlib import closing

from harness import BARE, CLAUDINE, Client, Home, Row, connected, home, p95, spread

MANY = 10_000
HOUR_S = 3600.0


def measure(*, quick: bool) -> list[Row]:
    """Call tools of both servers in turn, then with many tasks, then with many that wait."""
    rounds = 60 if quick else 400
    rows: list[Row] = []
    with home() as place, connected(BARE, place.env) as bare, connected(CLAUDINE, place.env) as ours:
        task_id = ours.call("RunCommand", command=["true"], wait=True)["taskId"]
        plain, status = in_turn(
            rounds, lambda: bare.call("ping", text="x"), lambda: ours.call("TaskStatus", taskId=task_id)
        )
        more = 1000 * (statistics.median(status) - statistics.median(plain))
        note = f"{spread(status)}; bare {spread(plain)}"
        rows.append(Row("TaskStatus p50, more than a bare tool", more, "ms", 2, note))
    with home() as place, connected(CLAUDINE, place.env) as ours:
        ids = fill(place, ours, MANY)
        rows += large(ours, ids, rounds)
    with home() as place, connected(CLAUDINE, place.env) as ours:
        ids = fill(place, ours, MANY, queued=True)
        rows.append(p95_row(f"TaskStatus p95 of one of {MANY:,} queued tasks", one_of(ours, ids), rounds, 20))
        rows.append(p95_row("… without an id", lambda: ours.call("TaskStatus"), rounds, 20))
    return rows


def large(ours: Client, ids: list[str], rounds: int) -> list[Row]:
    """Look at a registry with many ended tasks."""
    return [
        p95_row(f"TaskStatus p95, {MANY:,} tasks", one_of(ours, ids), rounds, 20),
        p95_row(f"ListTasks p95, {MANY:,} tasks, a page of 50", lambda: ours.call("ListTasks"), rounds, 20),
        p95_row(
            "… by a label that one in 1,000 has",
            lambda: ours.call("ListTasks", filter={"label": "rare"}),
            rounds,
            20,
        ),
        p95_row(
            "… by a text that none has",
            lambda: ours.call("ListTasks", filter={"text": "nowhere"}),
            rounds,
            20,
        ),
        p95_row("… that run (none)", lambda: ours.call("ListTasks", filter={"state": "running"}), rounds, 20),
        p95_row("… a page of 500", lambda: ours.call("ListTasks", limit=500), rounds // 4),
        p95_row("TaskStatus p95 without an id", lambda: ours.call("TaskStatus"), rounds, 20),
    ]


def one_of(ours: Client, ids: list[str]) -> Callable[[], object]:
    """Give what asks for the status of any of these tasks."""
    chance = random.Random(1)
    return lambda: ours.call("TaskStatus", taskId=chance.choice(ids))


def in_turn(rounds: int, *calls: Callable[[], object]) -> list[list[float]]:
    """Time each of the calls, one after the other, `rounds` times; give the seconds of each."""
    times: list[list[float]] = [[] for _ in calls]
    for number in range(-10, rounds):
        for call, seconds in zip(calls, times, strict=True):
            began = time.perf_counter()
            call()
            if number >= 0:
                seconds.append(time.perf_counter() - began)
    return times


def p95_row(what: str, call: Callable[[], object], rounds: int, target: float | None = None) -> Row:
    """Time a call."""
    (seconds,) = in_turn(rounds, call)
    return Row(what, 1000 * p95(seconds), "ms", target, spread(seconds))


def fill(place: Home, ours: Client, count: int, *, queued: bool = False) -> list[str]:
    """Put tasks into the registry that are over, or that wait for a time that does not come; give their ids."""
    ours.call("ListTasks")
    ids = [f"bench{number:05d}" for number in range(count)]
    now = time.time()
    common = (
        "command",
        "/",
        json.dumps({"command": "make -j4 test", "umask": 18}),
        json.dumps({"by": "bench"}),
        1,
    )
    with closing(sqlite3.connect(place.registry)) as connection:
        for number, task_id in enumerate(ids):
            at = now - HOUR_S - count + number
            labels = ["nightly", "rare"] if number % 1000 == 0 else ["nightly"]
            state = (
                ("queued", None, None, None, now + HOUR_S)
                if queued
                else ("ended", "succeeded", 0, at + 60, None)
            )
            connection.execute(
                "INSERT INTO tasks (kind, cwd, spec, submitter, priority, id, name, labels, created_at, queued_at,"
                " state, outcome, exit_code, ended_at, not_before, started_at, run)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *common,
                    task_id,
                    f"build {number}",
                    json.dumps(labels),
                    at,
                    at,
                    *state,
                    None if queued else at,
                    int(not queued),
                ),
            )
            if not queued:
                connection.execute(
                    "INSERT INTO runs (task_id, n, admitted_at, started_at, exited_at, gone_at, outcome)"
                    " VALUES (?, 1, ?, ?, ?, ?, 'succeeded')",
                    (task_id, at, at, at + 60, at + 60),
                )
            connection.execute(
                "INSERT INTO events (at, type, severity, task_id, message) VALUES (?, 'task:queued', 0, ?, 'x')",
                (at, task_id),
            )
        connection.commit()
    return ids
