"""What tasks are expected to need and for how long, by what is known of their classes. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

from claudine_mcp.core.classes import TaskClass, class_with_key
from claudine_mcp.core.demand.durations import Durations
from claudine_mcp.core.demand.histogram import TIME, Histogram
from claudine_mcp.core.demand.need import Need
from claudine_mcp.core.demand.record import Record
from claudine_mcp.core.demand.tuning import USUAL, Tuning
from claudine_mcp.core.models import JSON

_P90: Final = 1.2816  # of the normal distribution
_BEFORE_THE_FIRST: Final = 0.25
"""Of a run: a class without one is twice as unsure of itself as one with its first."""
_OVERFULL: Final = 1.2
_DURATIONS_FOR_S: Final = 600.0  # what is made of durations stays good for so long


class Demand:
    """Everything that is known of all classes.

    A class is weighed with its parent by the number of its runs, and so on up to what is taken of a kind before
    anything has run. A place, or a kind, counts for no more than it has classes: a hundred runs of one command tell
    as much of another one as a single run does.

    What is averaged are quantiles: means and deviations in proportion. Were variances averaged, a small task with few
    runs would wait for memory as its largest neighbour does.

    Args:
        stored: what `changed` gave, by class key.
        tuning: constants.
    """

    def __init__(self, stored: Mapping[str, JSON] | None = None, tuning: Tuning = USUAL) -> None:
        self._tuning = tuning
        self._records: dict[str, Record] = {}
        self._classes: dict[str, int] = {}  # of a place or a kind, how many there are in it
        for key, state in (stored or {}).items():
            self._add(key, Record(tuning, state))
        self._changed: set[str] = set()
        self._durations: dict[str, tuple[float, Durations | None]] = {}

    @property
    def records(self) -> Mapping[str, Record]:
        """What is known of each class, by its key."""
        return self._records

    def need(self, of: TaskClass, at: float) -> Need:
        """Give what a task of a class is expected to need; `at` in seconds since the epoch."""
        prior = self._tuning.prior[of.kind]
        mean, deviation = prior
        p90 = mean + _P90 * deviation
        unlearnt = 1.0
        own = self._records.get(of.key)
        runs = 0.0 if own is None else own.evidence(at)
        for key in reversed((of.key, *of.parents)):
            record = self._records.get(key)
            if record is None or (known := record.evidence(at)) <= 0:
                continue
            known = min(known, self._classes.get(key, known))
            weight = known / (known + self._tuning.parent_runs)
            unlearnt *= 1 - weight
            mean += weight * (record.use.mean - mean)
            deviation += weight * (record.use.deviation - deviation)
            p90 += weight * (record.p90_bytes - p90)
        spread = self._tuning.run_spread / math.sqrt(runs + _BEFORE_THE_FIRST)
        deviation = math.hypot(deviation, (1 - unlearnt) * spread * mean)
        need = Need(mean, deviation, p90, self._basis(of, own, runs))
        return need if own is None else need.at_least(own.short_of(at))

    def durations(self, of: TaskClass, at: float) -> Durations | None:
        """Give how long runs of a class take; None: none that is like it in anything has come to its own end."""
        known = self._durations.get(of.key)
        if known is None or not 0 <= at - known[0] < _DURATIONS_FOR_S:
            known = (at, self._make_durations(of, at))
            self._durations[of.key] = known
        return known[1]

    def _make_durations(self, of: TaskClass, at: float) -> Durations | None:
        ended: dict[int, float] = {}
        censored: dict[int, float] = {}
        for key in reversed((of.key, *of.parents)):
            record = self._records.get(key)
            if record is None:
                continue
            total = sum(ended.values()) + sum(censored.values())
            share = self._tuning.parent_durations / total if total else 0.0
            fresh = record.freshness(at)
            ended = _sum(ended, share, record.ended, fresh * record.ended.fading(record.seen_at))
            censored = _sum(censored, share, record.censored, fresh * record.censored.fading(record.seen_at))
        return Durations(TIME, ended, censored) if ended else None

    def note_use(self, of: TaskClass, memory_bytes: int, seconds: float, at: float) -> None:
        """Take that a run of a class used so much for so long, just before `at`."""
        for key in (of.key, *of.parents):
            self._record(key).note_use(memory_bytes, seconds, at)

    def note_run(self, of: TaskClass, ran_s: float, at: float, *, is_censored: bool) -> None:
        """Take that a run of a class is over; `is_censored`: it was ended before it was done."""
        for key in (of.key, *of.parents):
            self._record(key).note_run(ran_s, at, is_censored=is_censored)
        self._durations.clear()

    def note_short(self, of: TaskClass, memory_bytes: int, at: float) -> None:
        """Take that a run had so much and was killed, or hibernated, for want of more. Its class alone learns it."""
        self._record(of.key).note_short(memory_bytes, at)

    def changed(self) -> dict[str, JSON]:
        """Give the state of every class that has changed since this was last asked."""
        found = {key: self._records[key].to_json() for key in sorted(self._changed) if key in self._records}
        self._changed.clear()
        return found

    @property
    def has_changed(self) -> bool:
        """Whether `changed` would give anything."""
        return bool(self._changed)

    def unsaved(self, keys: Iterable[str]) -> None:
        """Take back that these have been asked for: they could not be stored."""
        self._changed.update(key for key in keys if key in self._records)

    @property
    def is_full(self) -> bool:
        """Whether there are so many classes that the oldest should go."""
        return len(self._records) > self._tuning.most_classes * _OVERFULL

    def expired(self, at: float) -> list[str]:
        """Give the classes of which next to nothing is known any more, and the oldest of those that are too many."""
        weights = {key: record.weight(at) for key, record in self._records.items()}
        old = [key for key, weight in weights.items() if weight < self._tuning.least_weight]
        kept = sorted((key for key in weights if key not in set(old)), key=self._age, reverse=True)
        return old + kept[self._tuning.most_classes :]

    def _age(self, key: str) -> tuple[float, int]:
        """The order in which classes are kept: a wide one as long as the last of those in it."""
        return (self._records[key].seen_at, -len(key))

    def forget(self, key: str) -> None:
        """Forget what is known of a class."""
        if self._records.pop(key, None) is not None:
            for wider in _wider(key):
                self._classes[wider] -= 1
        self._changed.discard(key)
        self._durations.clear()

    def _record(self, key: str) -> Record:
        self._changed.add(key)
        record = self._records.get(key)
        if record is None:
            record = Record(self._tuning)
            self._add(key, record)
        return record

    def _add(self, key: str, record: Record) -> None:
        self._records[key] = record
        for wider in _wider(key):
            self._classes[wider] = self._classes.get(wider, 0) + 1

    def _basis(self, of: TaskClass, own: Record | None, runs: float) -> str:
        if own is not None and runs > 0:
            count = max(1, round(runs))
            return f"{count} recent {'run' if count == 1 else 'runs'} of {of.title}"
        return f"no earlier run of {of.title} is known"


def _sum(
    weights: Mapping[int, float], factor: float, more: Histogram, more_factor: float
) -> dict[int, float]:
    found = {index: weight * factor for index, weight in weights.items()}
    for index, weight in more.weights.items():
        found[index] = found.get(index, 0.0) + weight * more_factor
    return found


def _wider(key: str) -> tuple[str, ...]:
    """Give the place and the kind that the class with a key is counted in; those are in none."""
    of = class_with_key(key)
    return of.parents[-2:] if of.words and not of.labels else ()
