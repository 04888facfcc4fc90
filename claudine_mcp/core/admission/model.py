"""What admission is given, and what it decides."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from claudine_mcp.core.demand import Need
from claudine_mcp.core.eta import Eta
from claudine_mcp.core.models import JSON, Dependency, Kind, Priority
from claudine_mcp.core.states import Outcome

USUAL_AGEING_S = 600.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """What admission needs to know of a queued task.

    Attributes:
        queued_at: seconds since the epoch.
        hold: the rule that held it when it was last looked at.
        need: its memory; None: nobody knows, and no rule about memory holds it.
        preferred: what it would like to have: tried first, and gives way to `need`.
        lasts: how long its run is expected to take; None: nobody knows.
        is_stopped: it has processes, which are suspended; `need` is what it would take besides what they hold.
    """

    id: str
    seq: int
    priority: Priority
    queued_at: float
    not_before: float | None = None
    depends_on: tuple[Dependency, ...] = ()
    hold: JSON | None = None
    session: str | None = None
    kind: Kind = Kind.COMMAND
    need: Need | None = None
    preferred: Need | None = None
    lasts: Eta | None = None
    is_stopped: bool = False

    @property
    def starts_claude(self) -> bool:
        """Whether a Claude Code is started for it."""
        return self.kind is Kind.CLAUDE and not self.is_stopped


@dataclass(frozen=True, slots=True)
class Active:
    """A task that has processes, or is about to.

    Attributes:
        need: what it was expected to need, by all that is known now.
        memory_bytes: what its tree uses now (PSS); None: it was not measured yet.
        is_suspended: it keeps its memory, and takes neither slot nor processor.
        ends: how much longer it is expected to run; None: nobody knows.
        admitted_at: seconds since the epoch; None: before everything that is queued.
    """

    id: str
    priority: Priority = Priority.P1
    kind: Kind = Kind.COMMAND
    need: Need | None = None
    memory_bytes: int | None = None
    is_suspended: bool = False
    ends: Eta | None = None
    admitted_at: float | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine, or the container that we live in, at this moment.

    Attributes:
        reserve_bytes: what is to stay available (`limits.systemMemoryReserve`).
        load: runnable processes, mean of a minute.
        processors: whose load that is.
        cpu_pressure, memory_pressure: per cent of the last 10 s in which some waited for a processor, and in which all
            waited for memory; None where the kernel does not tell.
        disk_free_bytes, disk_total_bytes: of the file system of the state directory; None: not looked at.
        files_left: descriptors that the system still has to give; None: not looked at.
        other_claude: Claude Code processes that are not ours; what they use is not available, and they may grow.
    """

    total_bytes: int
    available_bytes: int
    reserve_bytes: int
    load: float = 0.0
    processors: float = 1.0
    cpu_pressure: float | None = None
    memory_pressure: float | None = None
    disk_free_bytes: int | None = None
    disk_total_bytes: int | None = None
    files_left: int | None = None
    other_claude: int = 0


@dataclass(frozen=True, slots=True)
class Caps:
    """How many tasks may be active at once. The soft cap yields to P0, the hard cap to nothing.

    Attributes:
        soft: in force now; it counts tasks that are not suspended.
        hard: it counts every task with processes.
        configured: `limits.softMaxConcurrent`, from which the soft cap moves; None: it is that.
    """

    soft: int
    hard: int
    configured: int | None = None


class MemoryHold(NamedTuple):
    """What holds the queue while protective mode is short of memory.

    Attributes:
        but_for: the tasks that it lets go on.
        least: priority of the most important task that waits to go on, where nothing but that holds the queue: what
            is more important than that comes before it. None: it holds everything.
    """

    hold: JSON
    but_for: Collection[str] = ()
    least: Priority | None = None

    def applies_to(self, task: Waiting) -> bool:
        """Whether it holds a task."""
        comes_before = self.least is not None and task.priority < self.least
        return not (comes_before or task.id in self.but_for)


@dataclass(frozen=True, slots=True)
class Reservation:
    """Memory and slots that are kept free.

    Attributes:
        task_id: for whom; None: for nobody of the queue, until it is released.
        until: seconds since the epoch; None: until it is released, or its task has started.
    """

    id: str
    memory_bytes: int
    slots: int = 0
    task_id: str | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Starts:
    """The bucket of tokens from which starts of Claude Code are taken: each costs about 0.7 s of a processor.

    Attributes:
        burst: how many may start at once.
        spacing_s: until there is another token.
        recent: when the last ones were started, seconds since the epoch.
    """

    burst: int
    spacing_s: float
    recent: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that admission decides by.

    Attributes:
        waiting: all queued tasks.
        active: all tasks with processes.
        outcomes: of the tasks that others depend on: None while not ended; absent if it was removed.
        now: seconds since the epoch.
        machine: None: it was not looked at, and no rule about it holds anything.
        n_sigma: standard deviations of the summed demand that are allowed for.
        ageing_s: of waiting after which a task counts as one priority higher; None: it never does.
        max_load: load a processor above which nothing more is started.
        starts: of Claude Code; None: they are not spaced.
        busy_sessions: sessions that a run is in, each with its task: two runs would branch it, and one branch would be
            lost.
        claude_hold: what holds every Claude Code, `until` a time and `since` another; None: nothing does.
        memory: what holds everything while memory is short; None: it is not.
        paused: since when and why the queue is paused (`since`, `reason`); None: it is not.
        reservations: in force.
        displaced: tasks that were stopped for more important ones, and stand in line to go on; those that are
            suspended are among the active ones, too.
    """

    waiting: Sequence[Waiting]
    active: Sequence[Active]
    caps: Caps
    now: float
    outcomes: Mapping[str, Outcome | None] = field(default_factory=dict[str, "Outcome | None"])
    machine: Machine | None = None
    n_sigma: float = 3.0
    ageing_s: float | None = USUAL_AGEING_S
    max_load: float | None = None
    starts: Starts | None = None
    busy_sessions: Mapping[str, str] = field(default_factory=dict[str, str])
    claude_hold: JSON | None = None
    memory: MemoryHold | None = None
    paused: JSON | None = None
    reservations: Sequence[Reservation] = ()
    displaced: Sequence[Waiting] = ()


@dataclass(slots=True)
class Decisions:
    """What admission decided.

    Attributes:
        admit: ids to start, in this order.
        preferred: of these, those that get what they would like to have.
        skip: ids that can never start, with the reason.
        hold: the rule that holds each of the others, with its numbers; see `describe_hold`.
        go_on: ids of displaced tasks that there is room for; it is kept for them.
        look_again_at: when something comes due by itself, None if nothing does.
    """

    admit: list[str] = field(default_factory=list[str])
    preferred: list[str] = field(default_factory=list[str])
    skip: dict[str, str] = field(default_factory=dict[str, str])
    hold: dict[str, JSON] = field(default_factory=dict[str, JSON])
    go_on: list[str] = field(default_factory=list[str])
    look_again_at: float | None = None
