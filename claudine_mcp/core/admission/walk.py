"""Which queued task may start now, and by which rule the others wait. Pure: data in, decisions out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from operator import itemgetter
from typing import Final

from claudine_mcp.core.admission.backfill import Backfill, Claim, Ending, first_to_end
from claudine_mcp.core.admission.claims import Claims, Kept
from claudine_mcp.core.admission.line import order
from claudine_mcp.core.admission.model import Active, Decisions, Machine, Situation, Waiting
from claudine_mcp.core.admission.room import Room, load_of
from claudine_mcp.core.admission.slots import Slots
from claudine_mcp.core.admission.starts import Bucket
from claudine_mcp.core.demand import Need
from claudine_mcp.core.disk import FREE_BYTES, least_free_bytes
from claudine_mcp.core.models import JSON
from claudine_mcp.core.requeue import spread_s
from claudine_mcp.core.states import Outcome

CPU_PRESSURE: Final = 50.0
"""Per cent of the last 10 s in which some process waited for a processor: with less, a high load is of the past, since
a load is a mean over a minute and pressure one over ten seconds."""
LEAST_FILES: Final = 1000
"""Descriptors that the system must have left: what `limits.maxFileDescriptors` lets one process have unless set."""
UNKNOWN: Final = Need(0.0, 0.0, 0.0)
"""What a task counts as of which nobody knows what it needs."""


def decide(situation: Situation) -> Decisions:
    """Decide about every queued task.

    The tasks are asked in the order of `order`. The first rule that holds a task is the one that it hears of.
    """
    return _Walk(situation).take()


class _Walk:
    """One walk along the queue. What is admitted on the way counts for those behind it."""

    def __init__(self, situation: Situation) -> None:
        self._situation = situation
        self._decisions = Decisions()
        self._displaced = {task.id for task in situation.displaced}
        self._busy_sessions = dict(situation.busy_sessions)
        by_id = {task.id: task for task in situation.waiting}
        active = {task.id for task in situation.active}
        self._claims = Claims(situation.reservations, by_id, active, situation.now)
        self._slots = Slots(situation.caps, situation.active)
        self._bucket = None if situation.starts is None else Bucket(situation.starts, situation.now)
        self._endings = [_ending(task) for task in situation.active]
        machine = situation.machine
        self._room = None if machine is None else Room(machine, situation.active, situation.n_sigma)
        self._cpu_hold = None if machine is None else _cpu_hold(machine, situation.max_load)
        self._system_hold = None if machine is None else _files_hold(machine) or _disk_hold(machine)
        self._backfill: Backfill | None = None
        self._ends: list[JSON | None] | None = None
        self._capped = 0

    def take(self) -> Decisions:
        now, ageing_s, decisions = self._situation.now, self._situation.ageing_s, self._decisions
        line = sorted(
            (
                (order(task, now, ageing_s), task)
                for task in (*self._situation.waiting, *self._situation.displaced)
            ),
            key=itemgetter(0),
        )
        for (its_rank, _, _), task in line:
            failed, pending = _dependencies(task, self._situation.outcomes)
            if failed is not None:
                decisions.skip[task.id] = failed
                continue
            hold = self._not_yet(task, pending) or self._no_room(task, its_rank)
            if hold is not None and task.id not in self._displaced:
                decisions.hold[task.id] = hold
        if self._claims.end_at is not None and decisions.hold:
            self._look_again(self._claims.end_at)
        return decisions

    def _look_again(self, at: float) -> None:
        self._decisions.look_again_at = min(at, self._decisions.look_again_at or at)

    # -- not its turn, however much room there is ---------------------------------------------------------

    def _not_yet(self, task: Waiting, pending: list[str]) -> JSON | None:
        situation, now = self._situation, self._situation.now
        if situation.paused is not None:
            return {"rule": "paused", **situation.paused}
        if pending:
            return {"rule": "dependency", "taskIds": pending}
        if task.not_before is not None and task.not_before > now:
            self._look_again(task.not_before)
            return _until(task, task.not_before)
        memory = situation.memory
        hold = self._claude_hold(task)
        if hold is None and memory is not None and memory.applies_to(task):
            hold = memory.hold
        session = None if task.is_stopped else task.session
        if hold is None and session is not None and session in self._busy_sessions:
            hold = {"rule": "session", "taskIds": [self._busy_sessions[session]]}
        return hold

    def _claude_hold(self, task: Waiting) -> JSON | None:
        hold = self._situation.claude_hold
        if hold is None or not task.starts_claude:
            return None
        until = _own_time(task, hold)
        if self._situation.now >= until:
            return None
        self._look_again(until)
        return {**hold, "until": until}

    # -- room ---------------------------------------------------------------------------------------------

    def _no_room(self, task: Waiting, its_rank: int) -> JSON | None:
        """Give what is lacking for a task to start; None: it starts.

        One task may always run: where none does, the first one in line is held neither by processors nor by memory.
        """
        is_alone = not self._slots.busy
        kept = self._claims.kept_from(task.id)
        hold = self._slots.hold(task, its_rank, kept)
        if hold is not None and not (
            is_alone and hold["rule"] == "reserved" and self._claims.serves(task.id)
        ):
            return self._with_next_slot(hold)
        if self._bucket is not None and task.starts_claude:
            until = self._bucket.next_at
            if until > self._situation.now:
                self._look_again(until)
                return {"rule": "starts", "until": until}
        if self._cpu_hold is not None and not is_alone:
            return self._cpu_hold
        most_busy = self._slots.most_busy(task, its_rank) - kept.slots
        claim, hold = self._offer(task, kept, most_busy, is_alone=is_alone)
        if hold is not None:
            return self._with_promise(hold, task, claim)
        self._admit(task, claim)
        return None

    def _offer(
        self, task: Waiting, kept: Kept, most_busy: int, *, is_alone: bool
    ) -> tuple[Claim, JSON | None]:
        """Try what the task would like to have, then what it needs; give that, and what is lacking for it."""
        if task.preferred is not None and self._room is not None:
            claim = self._claim(task, task.preferred, kept, most_busy)
            if self._lacks(task, claim, kept, is_alone=False) is None:
                self._decisions.preferred.append(task.id)
                return claim, None
        claim = self._claim(task, task.need or UNKNOWN, kept, most_busy)
        return claim, self._lacks(task, claim, kept, is_alone=is_alone)

    def _lacks(self, task: Waiting, claim: Claim, kept: Kept, *, is_alone: bool) -> JSON | None:
        room, need, is_known = self._room, claim.need, task.need is not None
        if room is None:
            return None
        if is_known and not is_alone and not room.fits(need):
            return room.hold(need)
        if self._system_hold is not None:
            return self._system_hold
        is_entitled = is_alone and self._claims.serves(task.id)
        if is_known and kept.memory_bytes and not is_entitled and not room.fits(need, kept.memory_bytes):
            return {"rule": "reserved", "reservationIds": list(kept.ids), "bytes": kept.memory_bytes}
        return None if is_alone or self._backfill is None else self._backfill.hold(claim)

    def _claim(self, task: Waiting, need: Need, kept: Kept, most_busy: int) -> Claim:
        lasts_s = math.inf if task.lasts is None else task.lasts.p90_s
        limit_bytes = math.inf if self._room is None else self._room.limit_bytes - kept.memory_bytes
        return Claim(need, lasts_s, limit_bytes, most_busy)

    def _with_promise(self, hold: JSON, task: Waiting, claim: Claim) -> JSON:
        """Keep room for one that memory holds, if it is among the first; name whose end lets it start."""
        room, backfill = self._room, self._backfill
        if room is None or hold["rule"] not in {"memory", "available"}:
            return hold
        if backfill is None:
            situation = self._situation
            backfill = self._backfill = Backfill(
                self._endings, room.n_sigma, room.foreign_variance, situation.now, situation.ageing_s
            )
        if not backfill.may_promise:
            return hold
        return _with_next(hold, backfill.promise(task, claim))

    def _with_next_slot(self, hold: JSON) -> JSON:
        """Name whose end is expected to give a slot: each that is held by a cap takes the next one."""
        if hold["rule"] in {"reserved", "displaced"}:
            return hold
        if self._ends is None:
            self._ends = [item.as_next() for item in first_to_end(self._endings)]
        place: int = hold["active"] - hold["cap"] + self._capped
        self._capped += 1
        return _with_next(hold, self._ends[place] if place < len(self._ends) else None)

    def _admit(self, task: Waiting, claim: Claim) -> None:
        need = claim.need
        is_displaced = task.id in self._displaced
        (self._decisions.go_on if is_displaced else self._decisions.admit).append(task.id)
        if task.session is not None:
            self._busy_sessions[task.session] = task.id
        self._slots.take(task, is_displaced=is_displaced)
        self._claims.start(task.id)
        if self._bucket is not None and task.starts_claude:
            self._bucket.take()
        if self._room is not None and task.need is not None:
            self._room.take(need)
        now, variance = self._situation.now, need.deviation_bytes**2
        self._endings.append(Ending(task.id, need.mean_bytes, variance, task.lasts, admitted_at=now))
        if self._backfill is not None:
            self._backfill.take(claim)


def _with_next(hold: JSON, found: JSON | None) -> JSON:
    return hold if found is None else {**hold, "next": found}


def _ending(task: Active) -> Ending:
    mean, variance = load_of(task)
    return Ending(task.id, mean, variance, task.ends, task.is_suspended, task.admitted_at)


def _cpu_hold(machine: Machine, max_load: float | None) -> JSON | None:
    """Give what holds everything while processors are short: many want one, and now, not a minute ago."""
    if max_load is None or machine.load <= max_load * machine.processors:
        return None
    if machine.cpu_pressure is not None and machine.cpu_pressure < CPU_PRESSURE:
        return None
    hold: JSON = {
        "rule": "cpu",
        "load": round(machine.load, 2),
        "processors": machine.processors,
        "maxLoad": max_load,
    }
    return hold if machine.cpu_pressure is None else {**hold, "pressure": round(machine.cpu_pressure, 1)}


def _files_hold(machine: Machine) -> JSON | None:
    if machine.files_left is None or machine.files_left >= LEAST_FILES:
        return None
    return {"rule": "files", "left": machine.files_left, "least": LEAST_FILES}


def _disk_hold(machine: Machine) -> JSON | None:
    """Give what holds everything while the disk of the state directory is full, as `system:overload` has it."""
    free, total = machine.disk_free_bytes, machine.disk_total_bytes
    if free is None:
        return None
    least = FREE_BYTES if total is None else least_free_bytes(total)
    return None if free >= least else {"rule": "disk", "freeBytes": free, "leastBytes": least}


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
