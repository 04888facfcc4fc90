"""Processes of tasks: those that outlived their task, and those that no task is known for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from claudine_mcp.core.states import ACTIVE
from claudine_mcp.front.health.findings import Finding, ok, plural, warning
from claudine_mcp.host.processes import MARKER
from claudine_mcp.registry.inspection import Inspection

PLACE = "CLAUDINE_PROGRESS"
"""A file in the run directory: it tells which state directory a process belongs to."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A process of a run of this state directory. `run` is `TASK.N`; `is_keeper`: it only keeps others."""

    pid: int
    run: str
    is_keeper: bool


def look_at_processes(directory: Path, found: Inspection | None) -> list[Finding]:
    """Find processes of this state directory that should not be there any more."""
    return judge_processes(seen_processes(directory), found or Inspection())


def seen_processes(directory: Path) -> list[Seen]:
    """Give the processes that belong to runs of a state directory."""
    import psutil  # noqa: PLC0415 - start-up time

    seen: list[Seen] = []
    for process in psutil.process_iter():
        try:
            run = run_of(process.cmdline(), {}, directory)
            is_keeper = run is not None
            run = run or run_of([], process.environ(), directory)
        except (psutil.Error, OSError):
            continue
        if run is not None:
            seen.append(Seen(process.pid, run, is_keeper))
    return seen


def run_of(command: list[str], env: dict[str, str], directory: Path) -> str | None:
    """Give the run of a keeper by its command line, or of a process by its environment; None if it has none here.

    Processes of other state directories carry the same marker, and are nobody's business here.
    """
    keepers, tasks = directory / "keepers", directory / "tasks"
    for program, argument in pairwise(command):
        if Path(program).parent == keepers and Path(argument).is_relative_to(tasks):
            folder = Path(argument)
            return f"{folder.parent.name}.{folder.name}"
    if MARKER in env and Path(env.get(PLACE, "/")).is_relative_to(tasks):
        return env[MARKER]
    return None


def judge_processes(seen: Iterable[Seen], found: Inspection) -> list[Finding]:
    """Judge processes of runs by what the registry knows of these."""
    by_run: defaultdict[str, list[Seen]] = defaultdict(list)
    for process in seen:
        by_run[process.run].append(process)
    findings: list[Finding] = []
    alive = 0
    for run, processes in sorted(by_run.items()):
        task_id, _, number = run.rpartition(".")
        task = found.tasks.get(task_id)
        others = [process for process in processes if not process.is_keeper]
        count = plural(
            len(others) or len(processes), "process" if others else "keeper", "processes" if others else None
        )
        pids = " ".join(str(process.pid) for process in others or processes)
        if task is None or run not in found.runs:
            what = f"{count} of run {run}, which the registry does not know (pid {pids})"
            findings.append(warning("leftovers", what, f"End what is no longer wanted: kill {pids}"))
        elif task.state not in ACTIVE or number != str(task.run):
            what = f"{count} of task {task_id} outlived its run {number} (pid {pids})"
            findings.append(warning("leftovers", what, f"`claudine-mcp cancel {task_id}` ends them."))
        else:
            alive += len(others)
    return findings or [ok("leftovers", f"none; {plural(alive, 'process', 'processes')} of running tasks")]
