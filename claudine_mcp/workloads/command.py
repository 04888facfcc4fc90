"""A command: a string for the shell, or a program with its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from claudine_mcp.core.evidence import ExitRecord, Judgement, judge_exit
from claudine_mcp.core.models import Run, Task
from claudine_mcp.workloads.base import Follower, Launch

SHELL = "/bin/sh"


class CommandWorkload:
    """Runs what RunCommand was given, and believes its exit status."""

    def launch(self, task: Task, runs: list[Run], folder: Path, run: Path) -> Launch:
        """See `Workload`."""
        command: str | list[str] = task.spec["command"]
        argv = [SHELL, "-c", command] if isinstance(command, str) else list(command)
        return Launch(argv, merge_streams=bool(task.spec.get("mergeStreams")))

    def follower(self, task: Task, run: Path, state: Mapping[str, Any] | None) -> Follower | None:
        """See `Workload`."""
        return None

    def judge(self, record: ExitRecord, follower: Follower | None, *, stop_reason: str | None) -> Judgement:
        """See `Workload`."""
        return judge_exit(record, stop_reason=stop_reason)
