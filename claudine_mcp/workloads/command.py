"""A command: a string for the shell, or a program with its arguments."""

from __future__ import annotations

from pathlib import Path

from claudine_mcp.core.evidence import ExitRecord, Judgement, judge_exit
from claudine_mcp.core.models import Task
from claudine_mcp.workloads.base import Launch

SHELL = "/bin/sh"


class CommandWorkload:
    """Runs what RunCommand was given, and believes its exit status."""

    def launch(self, task: Task, directory: Path) -> Launch:
        """See `Workload`."""
        command: str | list[str] = task.spec["command"]
        argv = [SHELL, "-c", command] if isinstance(command, str) else list(command)
        return Launch(argv, env={}, merge_streams=bool(task.spec.get("mergeStreams")))

    def judge(self, record: ExitRecord, run: Path, *, stop_reason: str | None) -> Judgement:
        """See `Workload`."""
        return judge_exit(record, stop_reason=stop_reason)
