"""What it costs to follow delegated runs that have a lot to say."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path

import psutil
from harness import CLAUDINE, Home, Row, connected, cpu_s, home, until

TASKS = 20
PROGRAM = Path(__file__).with_name("chatty_claude.py")
RECORDING = Path(__file__).parent.parent / "tests" / "data" / "claude-stream" / "todo-list.jsonl"


def measure(*, quick: bool) -> list[Row]:
    """Delegate to twenty programs that replay a recording, and look at the clocks twice."""
    settle_s, watch_s = (5, 20) if quick else (15, 60)
    with home() as place:
        place.configure({"claude": {"command": str(posing(place))}, "limits": {"softMaxConcurrent": TASKS}})
        with connected(CLAUDINE, place.env) as client, connected(CLAUDINE, place.env) as waiter:
            ids = [
                client.call("DelegateTask", prompt="talk", cwd=str(place.folder))["taskId"]
                for _ in range(TASKS)
            ]
            until(lambda: place.rows("SELECT count(*) FROM tasks WHERE state = 'running'") == [(TASKS,)])
            waiter.begin_call("WaitForEvents", types=["task:ended"])
            time.sleep(settle_s)
            pids = (place.supervisor(), client.pid, waiter.pid)
            before, said, began = [cpu_s(pid) for pid in pids], lines(place, ids), time.perf_counter()
            time.sleep(watch_s)
            passed = time.perf_counter() - began
            used = [100 * (cpu_s(pid) - was) / passed for pid, was in zip(pids, before, strict=True)]
            rate = (lines(place, ids) - said) / passed
            rss = psutil.Process(pids[0]).memory_info().rss / 1e6
    over = f"over {passed:.0f} s, {TASKS} runs that print {rate:.0f} lines a second together"
    return [
        Row("supervisor, CPU", used[0], "% of a core", 2, over),
        Row("supervisor, RSS", rss, "MB"),
        Row("server, CPU", used[1], "% of a core", None, over),
        Row("server with a client in WaitForEvents, CPU", used[2], "% of a core", None, over),
    ]


def posing(place: Home) -> Path:
    """Make a program that can be configured as `claude.command`; give its path."""
    program = place.folder / "claude"
    words = [sys.executable, "-I", "-S", str(PROGRAM), str(RECORDING)]
    program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
    program.chmod(0o700)
    return program


def lines(place: Home, ids: list[str]) -> int:
    """Count what the runs have printed."""
    return sum(place.output(task_id).count("\n") for task_id in ids)
