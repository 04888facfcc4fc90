"""Conservative backfill: who does not fit is promised a time, and those behind may start if they do not delay it."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from claudine_mcp.core.admission.model import USUAL_AGEING_S, Waiting
from claudine_mcp.core.admission.room import Load
from claudine_mcp.core.demand import Need
from claudine_mcp.core.eta import Eta
from claudine_mcp.core.models import JSON

PROMISES: Final = 4
"""So many tasks that do not fit are promised a time. With one (EASY) the second could be passed over for ever by what
fits beside the first; with all of them a decision about a long queue would take seconds."""
EXAMINED: Final = 100
"""So many tasks behind them are looked at; the others wait for those."""
_SOON_S: Final = 0.001  # what should have ended by now has not


class Ending(NamedTuple):
    """What an active task takes, and when that is over.

    Attributes:
        ends: None: nobody knows.
        admitted_at: seconds since the epoch; None: before everything that is queued.
    """

    task_id: str
    mean: float
    variance: float
    ends: Eta | None = None
    is_suspended: bool = False
    admitted_at: float | None = None

    def as_next(self) -> JSON | None:
        """Give when it ends, as a hold names it; None: nobody knows."""
        if self.ends is None or self.is_suspended:
            return None
        return {
            "taskId": self.task_id,
            "p50Seconds": round(self.ends.p50_s),
            "p90Seconds": round(self.ends.p90_s),
        }


def first_to_end(endings: Iterable[Ending]) -> list[Ending]:
    """Give those whose end is known, in the order in which they will have ended (p90)."""
    known = [(item.ends.p90_s, item) for item in endings if item.ends is not None and not item.is_suspended]
    return [item for _, item in sorted(known, key=lambda pair: (pair[0], pair[1].task_id))]


class Claim(NamedTuple):
    """What a task would take of the profile.

    Attributes:
        lasts_s: for how long; infinite where nobody knows.
        limit_bytes: for all demand together, what is reserved for others taken off.
        most_busy: tasks that may be active together with it.
    """

    need: Need
    lasts_s: float
    limit_bytes: float
    most_busy: int


class Promise(NamedTuple):
    """A task in front, and when it will start: from then on its room is taken."""

    task_id: str
    begins_s: float
    ends_s: float


class Profile:
    """The demand from now on, in steps: it falls where tasks are expected to have ended, and rises by promises.

    A suspended task, and one of which nobody knows the end, never ends here.

    Args:
        endings: all active tasks.
        n_sigma: standard deviations that are allowed for.
        foreign: variance of what is not ours.
    """

    def __init__(self, endings: Sequence[Ending], n_sigma: float, foreign: float) -> None:
        self._n_sigma = n_sigma
        mean = sum(item.mean for item in endings)
        variance = foreign + sum(item.variance for item in endings)
        busy = sum(not item.is_suspended for item in endings)
        self._at, self._mean, self._variance, self._busy = [0.0], [mean], [variance], [busy]
        self._ended: list[Ending | None] = [None]
        for item in first_to_end(endings):
            mean, variance, busy = mean - item.mean, max(0.0, variance - item.variance), busy - 1
            step = self._split(max(_SOON_S, item.ends.p90_s if item.ends is not None else 0.0))
            self._mean[step], self._variance[step], self._busy[step] = mean, variance, busy
            self._ended[step] = item

    def _fits(self, step: int, claim: Claim) -> bool:
        if self._busy[step] >= claim.most_busy:
            return False
        demand = self._mean[step] + claim.need.mean_bytes
        variance = self._variance[step] + claim.need.deviation_bytes**2
        return demand + self._n_sigma * math.sqrt(variance) <= claim.limit_bytes

    def violated_at(self, claim: Claim) -> float | None:
        """Give when a task that started now would first be too much; None: it never would."""
        for step, at in enumerate(self._at):
            if at >= claim.lasts_s and step:
                return None
            if not self._fits(step, claim):
                return at
        return None

    def first_place(self, claim: Claim) -> tuple[float, Ending | None] | None:
        """Give when a task can start and stay, and whose end that is; None: nobody knows.

        Where nothing else runs it can, whatever it needs.
        """
        start: int | None = None
        last = len(self._at) - 1
        for step in range(last + 1):
            if not (self._busy[step] == 0 or self._fits(step, claim)):
                start = None
                continue
            start = step if start is None else start
            if step == last or self._at[step + 1] >= self._at[start] + claim.lasts_s:
                return self._at[start], self._ended[start]
        return None

    def take(self, claim: Claim, begins_s: float) -> None:
        """Count a task from then on, for as long as it is expected to take."""
        first = self._split(begins_s)
        last = len(self._at) if math.isinf(claim.lasts_s) else self._split(begins_s + claim.lasts_s)
        for step in range(first, last):
            self._mean[step] += claim.need.mean_bytes
            self._variance[step] += claim.need.deviation_bytes**2
            self._busy[step] += 1

    def _split(self, at: float) -> int:
        """Let a step begin at a time; give it."""
        step = bisect_left(self._at, at)
        if step == len(self._at) or self._at[step] != at:
            self._mean.insert(step, self._mean[step - 1])
            self._variance.insert(step, self._variance[step - 1])
            self._busy.insert(step, self._busy[step - 1])
            self._at.insert(step, at)
            self._ended.insert(step, None)
        return step


class _Kept:
    """Room for a task of which nobody knows when it can start.

    What had started before it came may take what it takes. But it must fit together with all that came after it: then
    it starts, at the latest, when the others have ended.
    """

    def __init__(self, task: Waiting, claim: Claim, endings: Sequence[Ending], n_sigma: float) -> None:
        self.task_id = task.id
        self._n_sigma = n_sigma
        self._load = Load(claim.need.mean_bytes, claim.need.deviation_bytes**2)
        self._busy = 1
        for item in endings:
            is_later = item.admitted_at is not None and item.admitted_at >= task.queued_at
            if item.is_suspended or is_later:
                self._load.add(item.mean, item.variance)
                self._busy += not item.is_suspended

    def fits(self, claim: Claim) -> bool:
        together = Load(
            self._load.mean + claim.need.mean_bytes, self._load.variance + claim.need.deviation_bytes**2
        )
        return self._busy < claim.most_busy and together.at(self._n_sigma) <= claim.limit_bytes

    def take(self, claim: Claim) -> None:
        self._load.add(claim.need.mean_bytes, claim.need.deviation_bytes**2)
        self._busy += 1


class Backfill:
    """The promises to those in front, and whether someone behind would break one.

    Args:
        endings: all that runs, what was admitted a moment ago included.
        n_sigma: standard deviations that are allowed for.
        foreign: variance of what is not ours.
        now: seconds since the epoch.
        patience_s: so long a task of which nobody knows when it can start is passed by what fits; after that room is
            kept for it.
    """

    def __init__(
        self,
        endings: Sequence[Ending],
        n_sigma: float,
        foreign: float,
        now: float,
        patience_s: float | None = None,
    ) -> None:
        self._endings = endings
        self._n_sigma = n_sigma
        self._now = now
        self._patience_s = patience_s or USUAL_AGEING_S
        self._profile = Profile(endings, n_sigma, foreign)
        self._promises: list[Promise] = []
        self._kept: list[_Kept] = []
        self._made = 0
        self._examined = 0

    @property
    def may_promise(self) -> bool:
        """Whether another one can be promised a time."""
        return self._made < PROMISES

    def promise(self, task: Waiting, claim: Claim) -> JSON | None:
        """Keep room for a task that does not fit; give whose end is expected to let it start, as a hold names it."""
        self._made += 1
        place = self._profile.first_place(claim)
        if place is not None:
            begins_s, ended = place
            self._profile.take(claim, begins_s)
            self._promises.append(Promise(task.id, begins_s, begins_s + claim.lasts_s))
            return None if ended is None else ended.as_next()
        since = task.queued_at if task.not_before is None else max(task.queued_at, task.not_before)
        if self._now - since >= self._patience_s:
            self._kept.append(_Kept(task, claim, self._endings, self._n_sigma))
        return None

    def hold(self, claim: Claim) -> JSON | None:
        """Give the rule by which a task that fits now must not start; None: it delays nobody."""
        if not (self._promises or self._kept):
            return None
        self._examined += 1
        if self._examined > EXAMINED:
            in_front = [item.task_id for item in (*self._promises, *self._kept)]
            return {"rule": "backfill", "taskId": in_front[0], "isBehind": True}
        for kept in self._kept:
            if not kept.fits(claim):
                return {"rule": "backfill", "taskId": kept.task_id}
        at = self._profile.violated_at(claim)
        if at is None or not self._promises:
            return None
        delayed = next((item for item in self._promises if item.begins_s <= at < item.ends_s), None)
        delayed = delayed or self._promises[0]
        return {"rule": "backfill", "taskId": delayed.task_id, "at": round(self._now + delayed.begins_s)}

    def take(self, claim: Claim) -> None:
        """Count a task that starts now."""
        self._profile.take(claim, 0.0)
        for kept in self._kept:
            kept.take(claim)
