"""What the policy is given, and what it decides."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from claudine_mcp.core.fields import Level
from claudine_mcp.core.models import JSON, Priority

MINUTE_S = 60.0


class Action(StrEnum):
    """What can be decided. None of them ends a task: `hibernate` is only for tasks whose submitter consented."""

    SUSPEND = "suspend"
    RESUME = "resume"
    TRIAL = "trial"
    HIBERNATE = "hibernate"
    CHECKPOINT = "checkpoint"
    ASK = "ask"
    SETTLED = "settled"


class Cause(StrEnum):
    """Why something is decided.

    Attributes:
        MACHINE: the machine's memory is short, or runs out.
        LIMIT: the task is above its own `criticalMemory`.
        OVERDUE: the task has run for its timeout.
        DEADLOCK: nothing moves in the task any more.
        ROOM: there is room for what was stopped.
        ALONE: nothing else of ours runs.
        PRIORITY: a more important task waits for what this one takes, or waits no longer.
    """

    MACHINE = "machine"
    LIMIT = "limit"
    OVERDUE = "overdue"
    DEADLOCK = "deadlock"
    ROOM = "room"
    ALONE = "alone"
    PRIORITY = "priority"


class Condition(StrEnum):
    """How a task stands. MOVING: on the way from one to another, or with a command that is not yet carried out."""

    RUNNING = "running"
    SUSPENDED = "suspended"
    HIBERNATED = "hibernated"
    MOVING = "moving"


@dataclass(frozen=True, slots=True)
class Standing:
    """A task, as the policy sees it.

    Attributes:
        level: only at `protective` anything is done to it on account of memory; for a more important one P2 is stopped
            at `active`, too.
        stopped_by: of one that does not run: "user", "policy" or "other"; "" where it runs.
        displaced_for: the task for which it was stopped; "" if it was stopped for another reason, or runs.
        cpu: processors that it uses.
        memory_bytes: of its tree (PSS); of a hibernated one 0.
        growth: bytes a second over its last minute.
        leak: bytes a second by which it grows evenly; 0 where it does not.
        request_bytes: what it may take without a warning (`maxMemoryPerTask`).
        critical_bytes: its `criticalMemory`.
        may_hibernate: whether its submitter consented (`canCheckpoint`).
        is_overdue: whether it is to be suspended because its time is over.
        is_deadlocked: whether it was found to be.
    """

    task_id: str
    priority: Priority = Priority.P1
    level: Level = Level.PROTECTIVE
    condition: Condition = Condition.RUNNING
    stopped_by: str = ""
    displaced_for: str = ""
    cpu: float = 0.0
    memory_bytes: int = 0
    growth: float = 0.0
    leak: float = 0.0
    request_bytes: int = 2 * 10**9
    critical_bytes: int = 4 * 10**9
    may_hibernate: bool = False
    is_overdue: bool = False
    is_deadlocked: bool = False

    @property
    def is_running(self) -> bool:
        """Whether it makes progress, as far as we are concerned."""
        return self.condition is Condition.RUNNING

    @property
    def is_over_request(self) -> bool:
        """Whether it takes more than it may."""
        return self.memory_bytes > min(self.request_bytes, self.critical_bytes)


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine at this moment.

    Attributes:
        reserve_bytes: available memory below which it is critical (`systemMemoryReserve`).
        exhausted_in_s: when available memory is used up at the pace of the last minute; None: it is not.
    """

    available_bytes: int
    reserve_bytes: int
    exhausted_in_s: float | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast, and how far. The sources of the numbers are in `docs/protecting.md`.

    Attributes:
        dwell_s: how long a threshold must be passed.
        exhausted_in_s: memory that will be used up sooner is short now.
        between_s: between two interventions.
        resume_dwell_s: how long there must be room before something goes on.
        longest_dwell_s: what back-off makes of that at the most.
        relapse_s: memory that is short so soon after something went on is short because of it.
        trial_s: how long a task may try to come back below its limit.
        trials: how often.
        leak_s: a task whose even growth alone would use up what is available so soon exhausts the machine.
        room: times the reserve that must be available for something to go on.
        well: times the reserve at which the machine is no longer short.
        load_s: between two displacements for processors, since a load is a mean of so long.
    """

    dwell_s: float = 5.0
    exhausted_in_s: float = 120.0
    between_s: float = 15.0
    resume_dwell_s: float = 60.0
    longest_dwell_s: float = 1800.0
    relapse_s: float = 300.0
    trial_s: float = 60.0
    trials: int = 3
    leak_s: float = 120.0
    room: float = 2.0
    well: float = 1.25
    load_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Decision:
    """One thing to be done.

    Attributes:
        task_id: of the task it is about; None: it is about the machine.
        data: the numbers behind it.
    """

    action: Action
    cause: Cause
    task_id: str | None = None
    data: JSON = field(default_factory=dict[str, Any])
