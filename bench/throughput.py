"""How soon a task runs, how soon its end is known, and how many get through."""

from __future__ import annotations

import time
from typing import Any

from calls import fill
from harness import CLAUDINE, Client, Home, Row, connected, home, p95, spread, until

STAMP = ["date", "+%s.%N"]
AT_ONCE = 50
STAMP_LAST = "sleep 0.3; date +%s.%N"


def measure(*, quick: bool) -> list[Row]:
    """Submit and wait."""
    rounds = 6 if quick else 40
    rows: list[Row] = []
    with home() as place, connected(CLAUDINE, place.env) as client:
        client.call("RunCommand", command=["true"], wait=True)
        latencies = [to_running(place, client) for _ in range(rounds)]
        rows.append(
            Row(
                "submit → process running p95, supervisor up",
                1000 * p95(latencies),
                "ms",
                100,
                spread(latencies),
            )
        )
        delays = [exit_to_answer(place, client) for _ in range(rounds)]
        rows.append(Row("exit → WaitForEvents returns p95", 1000 * p95(delays), "ms", 100, spread(delays)))
        fill(place, client, 500, queued=True)
        latencies = [to_running(place, client) for _ in range(rounds)]
        rows.append(
            Row(
                "submit → process running p95, 500 queued",
                1000 * p95(latencies),
                "ms",
                None,
                spread(latencies),
            )
        )
    latencies = [from_nothing() for _ in range(3 if quick else 20)]
    rows.append(Row("submit → process running p95, from nothing", p95(latencies), "s", 1, spread(latencies)))
    rows.append(many(60 if quick else 500, waiting=False))
    rows.append(many(60 if quick else 500, waiting=True))
    return rows


def to_running(place: Home, client: Client) -> float:
    """Give the seconds from the call to the first act of the task, by the task's own clock."""
    asked = time.time()
    task_id = client.call("RunCommand", command=STAMP)["taskId"]
    client.call("WaitForEvents", taskIds=[task_id], until="ended")
    return float(place.output(task_id)) - asked


def exit_to_answer(place: Home, client: Client) -> float:
    """Give the seconds from the last act of a task to the answer of whoever waits for its end."""
    task_id = client.call("RunCommand", command=STAMP_LAST)["taskId"]
    client.call("WaitForEvents", taskIds=[task_id], until="ended")
    answered = time.time()
    return answered - float(place.output(task_id))


def from_nothing() -> float:
    """Give the seconds to the first act of the first task in a directory that does not exist yet."""
    with home() as place, connected(CLAUDINE, place.env) as client:
        return to_running(place, client)


def many(count: int, *, waiting: bool) -> Row:
    """Submit many tasks that do nothing, as fast as they are taken, until the last has ended."""
    with home() as place, connected(CLAUDINE, place.env) as client:
        client.call("ListTasks")
        began = time.perf_counter()
        ids: list[str] = []
        while len(ids) < count:
            calls = [
                client.begin_call("RunCommand", command=["true"])
                for _ in range(min(AT_ONCE, count - len(ids)))
            ]
            ids += [client.called(call)["taskId"] for call in calls]
        submitted = time.perf_counter() - began
        if waiting:
            waited: dict[str, Any] = {"cursor": 0, "tasks": []}
            while any(task["state"] != "ended" for task in waited["tasks"]) or not waited["tasks"]:
                waited = client.call("WaitForEvents", taskIds=ids, until="allEnded", after=waited["cursor"])
        else:
            until(lambda: place.rows("SELECT count(*) FROM tasks WHERE state = 'ended'") == [(count,)], 0.25)
        seconds = time.perf_counter() - began
        (bad,) = place.rows("SELECT count(*) FROM tasks WHERE outcome IS NOT 'succeeded'")[0]
    what = f"{count} tasks of `true` through" + (", WaitForEvents for all" if waiting else "")
    note = f"{count / seconds:.0f} a second; submitted within {submitted:.1f} s; {bad} did not succeed"
    return Row(what, seconds, "s", None if waiting else 60, note)
