"""What every part of a supervisor works with."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio

from claudine_mcp.core.admission import MemoryHold
from claudine_mcp.core.config import Settings
from claudine_mcp.core.demand import Demand
from claudine_mcp.core.models import Run, Task
from claudine_mcp.core.samples import SystemSample, TreeSample
from claudine_mcp.registry.database import Database

if TYPE_CHECKING:
    from claudine_mcp.supervisor.observation import ObservedRun


def _ignore(_step: str) -> None:
    """Nobody wants to know."""


def _learn_nothing(_task: Task, _end: RunEnd) -> None:
    """Nobody learns."""


def _watch_nothing(_path: Path) -> None:
    """The clock finds it."""


async def _weigh_nothing(_run_ids: Collection[str]) -> Mapping[str, TreeSample]:
    """Nobody looks."""
    return {}


class RunEnd(NamedTuple):
    """How a run that had begun has ended.

    Attributes:
        ran_s: for how long it had run, suspended time apart.
        is_censored: whether it was ended before it was done.
        is_short_of_memory: whether it was killed, or put to rest, for its memory.
    """

    ran_s: float
    is_censored: bool
    is_short_of_memory: bool = False


class Stream(NamedTuple):
    """One output stream of a run."""

    run_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Tick:
    """What one look at everything has shown.

    Attributes:
        runs: a sample of each run that has begun, by run id.
        printed: bytes of each output stream.
    """

    runs: Mapping[str, TreeSample]
    system: SystemSample
    printed: Mapping[Stream, int]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Runs of which the next look should show what is too dear to be read each time."""

    weight: Collection[str] = ()
    wait_channels: Collection[str] = ()


@dataclass
class Context:
    """One supervisor's surroundings.

    Attributes:
        db: the registry, with this supervisor's epoch.
        state_dir: where everything lies.
        keeper: the copy of the keeper that runs are started with.
        settings: in force now.
        children: keepers that this process started and has not reaped, by pid.
        statuses: wait statuses of reaped processes that were not keepers, by pid.
        observed: the runs that may have processes, by run id.
        over: runs that have ended, and their directories, since they were last looked at.
        ran_s: for how long each run has run, suspended time and the machine's sleep apart; of those that are watched.
        demand: what tasks are expected to need, and how long they take.
        memory: bytes that the tree of each run uses, by run id, as the last look has shown it.
        run_ended: told of each end of a run, once it is committed.
        wanted: what the next look should show besides.
        memory_hold: what holds the queue because protective mode is short of memory; None: nothing does.
        is_pressed: whether a task waits for what less important ones may take.
        admission_due: whether something has changed that queued tasks may have waited for.
        worktree_locks: one for each task whose worktree is being made or removed, by task id.
        ended: tasks whose run has just ended, until its last checkpoint is begun.
        refs_due: whether checkpoints may have gone whose refs are still there.
        watch: has the supervisor woken when this file grows.
        weigh: samples some runs now, with their true memory.
        trace: told the name of each step that a crash may come after; tests crash there.
    """

    db: Database
    state_dir: Path
    keeper: Path
    settings: Settings
    children: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict[int, "subprocess.Popen[bytes]"])
    statuses: dict[int, int] = field(default_factory=dict[int, int])
    observed: dict[str, ObservedRun] = field(default_factory=dict[str, "ObservedRun"])
    over: list[tuple[Run, Path]] = field(default_factory=list[tuple[Run, Path]])
    demand: Demand = field(default_factory=Demand)
    memory: Mapping[str, int] = field(default_factory=dict[str, int])
    run_ended: Callable[[Task, RunEnd], None] = _learn_nothing
    wanted: Wanted = Wanted()
    ran_s: Mapping[str, float] = field(default_factory=dict[str, float])
    memory_hold: MemoryHold | None = None
    is_pressed: bool = False
    admission_due: bool = True
    worktree_locks: dict[str, anyio.Lock] = field(default_factory=dict[str, anyio.Lock])
    ended: list[str] = field(default_factory=list[str])
    refs_due: bool = False
    watch: Callable[[Path], None] = _watch_nothing
    weigh: Callable[[Collection[str]], Awaitable[Mapping[str, TreeSample]]] = _weigh_nothing
    trace: Callable[[str], None] = _ignore

    @staticmethod
    def wall() -> float:
        """Seconds since the epoch."""
        return time.time()

    @staticmethod
    def mono() -> float:
        """Seconds on a clock that nobody sets, and that stands while the machine sleeps."""
        return time.monotonic()
