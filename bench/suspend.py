"""What it takes to stop a tree of processes where it stands."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil
from harness import Row, p95, spread

from claudine_mcp.host.forest import Root, trees
from claudine_mcp.host.processes import identify
from claudine_mcp.host.suspending import Resumer, Suspender

PROCESSES = 50
TARGET_MS = 50.0
TREE = (
    "import os, time\n"
    f"for n in range({PROCESSES - 1}):\n"
    "    if os.fork() == 0:\n"
    "        if n % 2: os.setsid()\n"
    "        while True: time.sleep(0.01)\n"
    "print('ready', flush=True)\n"
    "while True: time.sleep(0.01)\n"
)
"""Each of its processes works a little all the time; half of them in sessions of their own."""


def measure(*, quick: bool) -> list[Row]:
    """Suspend and resume the same tree, with psutil and as it is done here, in turn."""
    rounds = 5 if quick else 40
    ours: list[float] = []
    resumed: list[float] = []
    by_psutil: list[float] = []
    with tree() as main:
        root = {"bench.1": Root(None, identify(main))}
        for _ in range(rounds):
            ours.append(timed(lambda: stop(root)))
            assert_stopped(main)
            resumed.append(timed(lambda: go_on(root)))
            by_psutil.append(timed(lambda: ask_psutil(main)))
            go_on(root)
    theirs = f"{sum(by_psutil) / sum(ours):.1f} times as long as the first"
    return [
        Row(
            f"A tree of {PROCESSES} processes is stopped, verified",
            1000 * p95(ours),
            "ms",
            TARGET_MS,
            spread(ours),
        ),
        Row("… and goes on", 1000 * p95(resumed), "ms", None, spread(resumed)),
        Row(
            "psutil, `children(recursive=True)` and `suspend()`: once, not verified",
            1000 * p95(by_psutil),
            "ms",
            None,
            f"{spread(by_psutil)}; {theirs}",
        ),
    ]


@contextlib.contextmanager
def tree() -> Iterator[int]:
    """Have a tree at work; give the pid of its first process. Nothing of it is left afterwards."""
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", TREE], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        everyone = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        try:
            yield process.pid
        finally:
            for each in everyone:
                each.kill()


def timed(work: Callable[[], None]) -> float:
    """Give the seconds that something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def stop(root: dict[str, Root]) -> None:
    """Stop the tree, until nothing of it runs."""
    suspender = Suspender(lambda: trees(root)["bench.1"])
    while suspender.press().running:
        time.sleep(0.001)


def go_on(root: dict[str, Root]) -> None:
    """Let the tree go on, until nothing of it is stopped."""
    resumer = Resumer(lambda: trees(root)["bench.1"])
    while resumer.press().stopped:
        time.sleep(0.001)


def ask_psutil(main: int) -> None:
    """Do as is usual with psutil."""
    process = psutil.Process(main)
    for each in (process, *process.children(recursive=True)):
        each.suspend()


def assert_stopped(main: int) -> None:
    """See that all of them are, by another's word."""
    process = psutil.Process(main)
    everyone = [process, *process.children(recursive=True)]
    states = {each.status() for each in everyone}
    if len(everyone) != PROCESSES or states != {psutil.STATUS_STOPPED}:
        raise AssertionError(f"{len(everyone)} processes, {states}")
