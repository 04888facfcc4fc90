"""What every kind of task can say about itself; one module a kind, all run by one contract suite."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from claudine_mcp.core.evidence import ExitRecord, Judgement
from claudine_mcp.core.models import Task


@dataclass(frozen=True, slots=True)
class Launch:
    """What to execute. `env` is added to the submitter's environment; `stdin` is a file, None for nothing."""

    argv: list[str]
    env: dict[str, str]
    stdin: Path | None = None
    merge_streams: bool = False


class Workload(Protocol):
    """A kind of task."""

    def launch(self, task: Task, directory: Path) -> Launch:
        """Say what to execute for a run of the task, whose directory is given."""
        ...

    def judge(self, record: ExitRecord, run: Path, *, stop_reason: str | None) -> Judgement:
        """Say how a run ended, from how its process exited and from what it left in its run directory."""
        ...
