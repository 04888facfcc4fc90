"""What it costs to have tasks that do nothing."""

from __future__ import annotations

import time

import psutil
from harness import CLAUDINE, Row, connected, cpu_s, home, pss_bytes, spread, until

TASKS = 20


def measure(*, quick: bool) -> list[Row]:
    """Run twenty sleeping tasks, let everything settle, and look at the clocks twice."""
    settings = {"limits": {"softMaxConcurrent": TASKS}}
    settle_s, watch_s = (5, 15) if quick else (15, 60)
    with (
        home(settings) as place,
        connected(CLAUDINE, place.env) as client,
        connected(CLAUDINE, place.env) as waiter,
    ):
        for _ in range(TASKS):
            client.call("RunCommand", command=["sleep", "600"])
        until(lambda: place.rows("SELECT count(*) FROM tasks WHERE state = 'running'") == [(TASKS,)])
        supervisor, keepers = place.supervisor(), place.keepers()
        waiter.begin_call("WaitForEvents", types=["task:ended"])
        time.sleep(settle_s)
        pids = (supervisor, client.pid, waiter.pid, *keepers)
        before, began = [cpu_s(pid) for pid in pids], time.perf_counter()
        time.sleep(watch_s)
        passed = time.perf_counter() - began
        used = [100 * (cpu_s(pid) - was) / passed for pid, was in zip(pids, before, strict=True)]
        shares = [pss_bytes(pid) / 1e6 for pid in keepers]
        rss = [psutil.Process(pid).memory_info().rss / 1e6 for pid in (supervisor, client.pid)]
    over = f"over {passed:.0f} s, {TASKS} tasks of `sleep 600`"
    return [
        Row("supervisor, CPU", used[0], "% of a core", 1, over),
        Row("supervisor, RSS", rss[0], "MB", 50),
        Row("server, CPU", used[1], "% of a core", 0.1, over),
        Row("server with a client in WaitForEvents, CPU", used[2], "% of a core", None, over),
        Row("server, RSS", rss[1], "MB"),
        Row("keeper, PSS (the largest)", max(shares), "MB", 6, spread(shares, "MB")),
        Row("all keepers, CPU", sum(used[3:]), "% of a core", None, over),
    ]
