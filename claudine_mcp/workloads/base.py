"""What every kind of task can say about itself; one module a kind, all run by one contract suite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from claudine_mcp.core.activity import Activity
from claudine_mcp.core.evidence import ExitRecord, Judgement
from claudine_mcp.core.models import JSON, Run, Task
from claudine_mcp.core.progress.model import Progress


@dataclass(frozen=True, slots=True)
class Launch:
    """What to execute.

    Attributes:
        argv: program and arguments.
        env: added to the submitter's environment.
        stdin: the name of the file among `files` that the program reads, None for nothing.
        files: what is to be written into the run directory before the start, by name.
        inbox: whether its standard input stays open after that, for messages.
        merge_streams: whether stderr goes where stdout goes.
    """

    argv: list[str]
    env: dict[str, str] = field(default_factory=dict[str, str])
    stdin: str | None = None
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    inbox: bool = False
    merge_streams: bool = False


class Fate(Enum):
    """What has become of a message that has arrived."""

    WAITING = "waiting"
    READ = "read"
    LOST = "lost"


class Follower(Protocol):
    """Understands what a run prints, while it prints it."""

    @property
    def offset(self) -> int:
        """Where in the output a follower that is given this one's state must begin."""
        ...

    def feed(self, data: bytes, at: float) -> None:
        """Take what was appended to its standard output; `at` in seconds since the epoch."""
        ...

    def finish(self) -> None:
        """Say that nothing more will come."""
        ...

    def seen(self) -> JSON:
        """Give what a person wants to know of it."""
        ...

    def state(self) -> JSON:
        """Give all that another follower needs to go on from `offset`."""
        ...

    def progress(self) -> Progress | None:
        """Say how far it is, None if it does not tell."""
        ...

    def judge(self, record: ExitRecord, *, stop_reason: str | None) -> Judgement:
        """Say how the run ended, after `finish`."""
        ...

    def fate_of(self, identifier: str) -> Fate | None:
        """Say what has become of a message that was written to its input; None: it has not arrived."""
        ...

    def takes_messages(self) -> bool:
        """Whether it has read what it was started with, so that messages come after that."""
        ...

    def activity(self, permission: str) -> Activity:
        """Give what the run is doing; `permission`: what it asks to be allowed, which its output does not tell."""
        ...

    def wants_end_of_input(self) -> bool:
        """Whether it waits for a message, and has nothing more to do without one."""
        ...


class Workload(Protocol):
    """A kind of task."""

    def launch(self, task: Task, runs: list[Run], folder: Path, run: Path) -> Launch:
        """Say what to execute for a run of a task.

        Args:
            task: the task.
            runs: the runs before this one.
            folder: the task's directory.
            run: the run's own directory.
        """
        ...

    def follower(self, task: Task, run: Path, state: Mapping[str, Any] | None) -> Follower | None:
        """Give what understands the output of a run, going on from an earlier state; None: nothing does.

        What a follower is given is all that the run prints. Where there is none, nobody reads more of it than its
        end, for what it may say of progress.
        """
        ...

    def judge(self, record: ExitRecord, follower: Follower | None, *, stop_reason: str | None) -> Judgement:
        """Say how a run ended, from how its process exited and from what it printed, which was read to its end."""
        ...
