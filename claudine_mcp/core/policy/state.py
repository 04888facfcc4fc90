"""What the policy must remember from one tick to the next, and across a restart of the supervisor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

from claudine_mcp.core.models import JSON
from claudine_mcp.core.policy.model import Cause


class Phase(StrEnum):
    """What the policy has done to a task last, and whether that was seen to have happened."""

    NONE = "none"
    STOPPING = "stopping"
    STOPPED = "stopped"
    HIBERNATING = "hibernating"
    RESUMING = "resuming"


_HELD = frozenset({Phase.STOPPING, Phase.STOPPED, Phase.HIBERNATING})


@dataclass(slots=True)
class Record:
    """What is remembered of one task. Times are seconds of the monotonic clock.

    Attributes:
        phase: what was done last.
        cause: why it was stopped; None while it was not.
        over_since: since when it has been above its own limit.
        trials: how often it has gone on without there being room, or to come back below its limit.
        trial_since: since when it has been on trial; None: it is not.
        stopped_at: when it was.
        allowed: causes that the user has overruled by letting it go on.
        allowed_at: when.
        size_bytes: what it took when it was stopped.
        leak: by what it grew evenly then, bytes a second.
        is_asked: whether the user was asked what to do.
        is_kept: whether a checkpoint was made because it is deadlocked.
        is_awake: whether it could not be hibernated when that was tried.
        refused_at: when it was last seen to run on though it was to be stopped.
        load: the runnable processes that it was taken to account for when it was displaced.
        returned_at: when it was last let go on after it had been displaced.
    """

    phase: Phase = Phase.NONE
    cause: Cause | None = None
    over_since: float | None = None
    trials: int = 0
    trial_since: float | None = None
    stopped_at: float = 0.0
    allowed: list[Cause] = field(default_factory=list[Cause])
    allowed_at: float | None = None
    size_bytes: int = 0
    leak: float = 0.0
    is_asked: bool = False
    is_kept: bool = False
    is_awake: bool = False
    refused_at: float | None = None
    load: float = 0.0
    returned_at: float | None = None

    @property
    def is_going_on(self) -> bool:
        """Whether it was told to go on, and was not yet seen to."""
        return self.phase is Phase.RESUMING

    @property
    def is_held(self) -> bool:
        """Whether it is stopped, or about to be, because of the machine's memory."""
        return self.cause is Cause.MACHINE and self.phase in _HELD

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        values: JSON = dict(stored)
        values["phase"] = Phase(stored["phase"])
        values["cause"] = None if stored["cause"] is None else Cause(stored["cause"])
        values["allowed"] = [Cause(each) for each in stored["allowed"]]
        return cls(**values)


@dataclass(slots=True)
class Displacing:
    """What is remembered of displacing. Times are seconds of the monotonic clock.

    Attributes:
        pressed_since: since when a task has waited for what less important ones take.
        acted_at: when something was displaced last.
        room_since: since when there has been room for one that was.
        returned_at: when one of them went on last.
        dwell_s: how long there must be room now; None: as long as usual.
    """

    pressed_since: float | None = None
    acted_at: float | None = None
    room_since: float | None = None
    returned_at: float | None = None
    dwell_s: float | None = None


@dataclass(slots=True)
class State:
    """What the policy remembers. Times are seconds of the monotonic clock.

    Attributes:
        short_since: since when available memory has been below the reserve; None: it is not.
        acted_at: when something was stopped last.
        resumed_at: when something went on last; None: memory was short again soon after it.
        let_go_on_at: when something went on last that was stopped for the machine's memory.
        dwell_s: how long there must be room now; None: as long as usual.
        room_since: since when there has been room for what comes next.
        stuck_since: since when nothing more can be done.
        is_asked: whether the user was asked what to do about the machine.
        displacing: what concerns priorities.
        records: by task.
    """

    short_since: float | None = None
    acted_at: float | None = None
    resumed_at: float | None = None
    let_go_on_at: float | None = None
    dwell_s: float | None = None
    room_since: float | None = None
    stuck_since: float | None = None
    is_asked: bool = False
    displacing: Displacing = field(default_factory=Displacing)
    records: dict[str, Record] = field(default_factory=dict[str, Record])

    def copy(self) -> State:
        """Give one that can be changed without this one."""
        records = {
            task_id: replace(record, allowed=[*record.allowed]) for task_id, record in self.records.items()
        }
        return replace(self, records=records, displacing=replace(self.displacing))

    def at_ease(self) -> State:
        """Give what is left to remember when protective mode has nothing to do: what concerns priorities."""
        kept = {
            task_id: record
            for task_id, record in self.copy().records.items()
            if record.cause is Cause.PRIORITY
            or Cause.PRIORITY in record.allowed
            or record.returned_at is not None
            or record.refused_at is not None
        }
        return State(displacing=replace(self.displacing), records=kept)

    @property
    def is_short_of_memory(self) -> bool:
        """Whether nothing should be started: memory is below the reserve, or something was stopped because of it."""
        return self.short_since is not None or any(record.is_held for record in self.records.values())

    def record(self, task_id: str) -> Record:
        """Give what is remembered of a task, a new one if nothing is."""
        return self.records.setdefault(task_id, Record())

    def to_json(self) -> JSON:
        """All of it, to be stored together with what was decided."""
        records = {task_id: asdict(record) for task_id, record in self.records.items() if record != Record()}
        return {**asdict(replace(self, records={})), "records": records}

    @classmethod
    def of(cls, stored: Mapping[str, Any] | None) -> Self:
        """Go on from what `to_json` gave; None: from nothing."""
        if stored is None:
            return cls()
        values: JSON = dict(stored)
        values["displacing"] = Displacing(**stored.get("displacing", {}))
        values["records"] = {task_id: Record.of(item) for task_id, item in stored["records"].items()}
        return cls(**values)
