"""What it costs to look at all processes of all tasks, once a second."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
from harness import WAIT_S, Row, spread

from claudine_mcp.host.forest import Root
from claudine_mcp.host.processes import identify
from claudine_mcp.host.sampling import TreeSampler
from claudine_mcp.host.system import SystemSampler
from claudine_mcp.supervisor.recording import Recorder

GROVE = (sys.executable, "-I", "-S", str(Path(__file__).with_name("grove.py")))
SIZES: tuple[tuple[int, int, float | None], ...] = ((20, 5, 1.0), (100, 5, 4.0), (1000, 3, None))
"""Tasks, processes of each, and the most per cent of a core that a look a second may take."""
REST_S = 0.5
SETTLING_TICKS = 3
ASKED = 20
"""Tasks that psutil is asked about: it takes as long for each, and there may be many."""


def measure(*, quick: bool) -> list[Row]:
    """Look at trees at work once a second, long enough for all that is read more rarely."""
    ticks = 12 if quick else 62
    rows: list[Row] = []
    for tasks, processes, target in SIZES:
        with grove(tasks, processes) as roots:
            used, seen = look(roots, ticks)
            by_psutil_ms = ask_psutil(roots)
        if seen != tasks * processes:
            raise AssertionError(f"{seen} processes were seen of {tasks * processes}")
        mean_ms = 1000 * sum(used) / len(used)
        what = f"{tasks:,} tasks of {processes} processes"
        rows += [
            Row(
                f"{what}: a look a second", mean_ms / 10, "% of a core", target, f"CPU a look: {spread(used)}"
            ),
            Row(
                "… with psutil, `children(recursive=True)` of each task",
                by_psutil_ms / 10,
                "% of a core",
                None,
                f"{by_psutil_ms / mean_ms:,.0f} times as much; CPU of {min(ASKED, tasks)} tasks, for all of them",
            ),
        ]
    return rows


@contextlib.contextmanager
def grove(tasks: int, processes: int) -> Iterator[dict[str, Root]]:
    """Have trees at work; give their roots by the name of a run."""
    command = [*GROVE, str(tasks), str(processes), str(REST_S)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            found = json.loads(process.stdout.readline())
            yield {
                f"task{number}.1": Root(identify(keeper), identify(main))
                for number, (keeper, main) in enumerate(found)
            }
        finally:
            process.stdin.close()
            process.wait(WAIT_S)


def look(roots: Mapping[str, Root], ticks: int) -> tuple[list[float], int]:
    """Look once a second at trees and machine, and record it; give the CPU of each look, and how many were seen."""
    used: list[float] = []
    with tempfile.TemporaryDirectory(prefix="claudine-bench-") as folder:
        trees, system = TreeSampler(), SystemSampler(Path(folder))
        recorder = Recorder(Path(folder), 1.0)
        try:
            began = time.monotonic()
            for number in range(ticks + SETTLING_TICKS):
                time.sleep(max(0.0, began + number - time.monotonic()))
                before = time.process_time()
                at = time.monotonic()
                samples = trees.sample(roots, {}, at)
                recorder.take(time.time(), samples, system.sample(at, trees.other_claude(at)))
                if number >= SETTLING_TICKS:
                    used.append(time.process_time() - before)
        finally:
            recorder.close()
            trees.close()
    return used, sum(sample.processes for sample in samples.values())


def ask_psutil(roots: Mapping[str, Root]) -> float:
    """Do as is usual with psutil: give the CPU, in ms, of one look at all tasks, from that at some of them."""
    asked = [root.main.pid for root in roots.values() if root.main is not None][:ASKED]
    before = time.process_time()
    for pid in asked:
        main = psutil.Process(pid)
        for process in (main, *main.children(recursive=True)):
            with process.oneshot():
                process.memory_info()
                process.cpu_times()
                process.num_threads()
    return 1000 * (time.process_time() - before) * len(roots) / len(asked)
