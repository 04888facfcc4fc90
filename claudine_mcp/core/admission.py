"""Which queued task may start now, and by which rule the others wait. Pure: data in, decisions out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from claudine_mcp.core.models import JSON, Dependency, Kind, Priority
from claudine_mcp.core.requeue import spread_s
from claudine_mcp.core.states import Outcome
from claudine_mcp.core.units import human_size


@dataclass(frozen=True, slots=True)
class Waiting:
    """What admission needs to know of a queued task."""

    id: str
    seq: int
    priority: Priority
    queued_at: float
    not_before: float | None = None
    depends_on: tuple[Dependency, ...] = ()
    hold: JSON | None = None
    session: str | None = None
    kind: Kind = Kind.COMMAND


@dataclass(frozen=True, slots=True)
class Caps:
    """How many tasks may be active at once. The soft cap yields to P0, the hard cap to nothing."""

    soft: int
    hard: int


class MemoryHold(NamedTuple):
    """What holds the queue while protective mode is short of memory, and the tasks that it lets go on."""

    hold: JSON
    but_for: Collection[str] = ()


@dataclass(slots=True)
class Decisions:
    """What admission decided.

    Attributes:
        admit: ids to start, in this order.
        skip: ids that can never start, with the reason.
        hold: the rule that holds each of the others, with its numbers; see `describe_hold`.
        look_again_at: when a `notBefore` comes due, None if none does.
    """

    admit: list[str] = field(default_factory=list[str])
    skip: dict[str, str] = field(default_factory=dict[str, str])
    hold: dict[str, JSON] = field(default_factory=dict[str, JSON])
    look_again_at: float | None = None


def order(task: Waiting) -> tuple[int, float, int]:
    """The order in which tasks start: priority, then how long they wait, then arrival."""
    return (task.priority, task.queued_at, task.seq)


def decide(
    waiting: Sequence[Waiting],
    active: int,
    caps: Caps,
    outcomes: Mapping[str, Outcome | None],
    now: float,
    *,
    busy_sessions: Mapping[str, str] = MappingProxyType({}),
    claude_hold: JSON | None = None,
    memory: MemoryHold | None = None,
) -> Decisions:
    """Decide about every queued task.

    Args:
        waiting: all queued tasks.
        active: how many tasks have processes now, or are about to.
        caps: how many may.
        outcomes: of the tasks that others depend on: None while not ended; absent if it was removed.
        now: seconds since the epoch.
        busy_sessions: sessions that a run is in, each with its task: two runs would branch it, and one
            branch would be lost.
        memory: what holds everything while memory is short; None: it is not.
        claude_hold: what holds every Claude Code, `until` a time and `since` another; None: nothing does.
    """
    busy = dict(busy_sessions)
    decisions = Decisions()
    for task in sorted(waiting, key=order):
        failed, pending = _dependencies(task, outcomes)
        if failed is not None:
            decisions.skip[task.id] = failed
        elif pending:
            decisions.hold[task.id] = {"rule": "dependency", "taskIds": pending}
        elif task.not_before is not None and task.not_before > now:
            decisions.hold[task.id] = _until(task, task.not_before)
            decisions.look_again_at = min(task.not_before, decisions.look_again_at or task.not_before)
        elif (
            task.kind is Kind.CLAUDE
            and claude_hold is not None
            and now < (until := _own_time(task, claude_hold))
        ):
            decisions.hold[task.id] = {**claude_hold, "until": until}
            decisions.look_again_at = min(until, decisions.look_again_at or until)
        elif memory is not None and task.id not in memory.but_for:
            decisions.hold[task.id] = memory.hold
        elif task.session is not None and task.session in busy:
            decisions.hold[task.id] = {"rule": "session", "taskIds": [busy[task.session]]}
        elif active < caps.soft or (task.priority is Priority.P0 and active < caps.hard):
            decisions.admit.append(task.id)
            if task.session is not None:
                busy[task.session] = task.id
            active += 1
        else:
            rule = "hardCap" if active >= caps.hard else "softCap"
            decisions.hold[task.id] = {"rule": rule, "cap": caps.hard if rule == "hardCap" else caps.soft}
    return decisions


def _until(task: Waiting, not_before: float) -> JSON:
    """Give the hold of a task that has its own time: to be started then, or to go on by itself."""
    hold = task.hold
    is_requeued = hold is not None and hold["rule"] == "requeued" and hold["until"] == not_before
    return hold if hold is not None and is_requeued else {"rule": "notBefore", "until": not_before}


def _own_time(task: Waiting, hold: JSON) -> float:
    """Give when a task may start that has waited for the same moment as others: not all at once."""
    until: float = hold["until"]
    return until + spread_s(task.id, 0, until - hold["since"])


def _dependencies(task: Waiting, outcomes: Mapping[str, Outcome | None]) -> tuple[str | None, list[str]]:
    """Give why a task can never start (or None), and what it still waits for."""
    pending: list[str] = []
    for dependency in task.depends_on:
        if dependency.task_id not in outcomes:
            return f"task {dependency.task_id}, which it depends on, was removed", []
        outcome = outcomes[dependency.task_id]
        if outcome is None:
            pending.append(dependency.task_id)
        elif dependency.on == "success" and outcome is not Outcome.SUCCEEDED:
            return f"task {dependency.task_id}, which it depends on, ended as {outcome}", []
    return None, pending


def is_in_line(hold: JSON | None) -> bool:
    """Whether a task waits for nothing but its turn; `hold` as for `describe_hold`."""
    return hold is None or hold["rule"] in {"softCap", "hardCap"}


def describe_hold(hold: JSON | None) -> str:
    """Say in words what holds a task; `hold` is what `decide` gave, None before it was looked at."""
    if hold is None:
        return "it was just queued; the supervisor has not looked at it yet"
    return _WORDS[hold["rule"]](hold)


def _say_dependency(hold: JSON) -> str:
    ids: list[str] = hold["taskIds"]
    return f"waits for {'task' if len(ids) == 1 else 'tasks'} {', '.join(ids)} to end"


def _say_cap(hold: JSON) -> str:
    name = "limits.hardMaxConcurrent" if hold["rule"] == "hardCap" else "limits.softMaxConcurrent"
    return f"{hold['cap']} tasks are active, which is as many as may be ({name})"


def _say_protective(hold: JSON) -> str:
    return (
        f"protective mode starts nothing while memory is short: {human_size(hold['available'])} were available, "
        f"{human_size(hold['reserve'])} are to be kept (limits.systemMemoryReserve)"
    )


def _say_budget(hold: JSON) -> str:
    return (
        f"spent {hold['spent']:.2f} of {hold['budget']:.2f} USD today; goes on at 00:00, or when "
        "scheduling.dailyBudgetUsd is raised"
    )


_WORDS: Mapping[str, Callable[[JSON], str]] = MappingProxyType(
    {
        "dependency": _say_dependency,
        "session": lambda hold: (
            f"waits for task {hold['taskIds'][0]}, which is in the same Claude Code session"
        ),
        "notBefore": lambda _: "waits for its time (notBefore)",
        "requeued": lambda hold: f"goes on by itself: {hold['why']}",
        "apiLimited": lambda hold: f"the quota of Claude Code is gone: {hold['why']}",
        "dailyBudget": _say_budget,
        "protective": _say_protective,
        "softCap": _say_cap,
        "hardCap": _say_cap,
    }
)
