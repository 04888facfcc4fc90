"""What was sampled: kept in memory for some minutes, and summed up on disk."""

from __future__ import annotations

import logging
import math
from array import array
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from claudine_mcp.core.samples import SystemSample, TreeSample
from claudine_mcp.core.series import MACHINE_METRICS, TASK_METRICS, Row, Values, row_of
from claudine_mcp.registry.metrics import MACHINE, SPAN_S, Latest, MetricsError, MetricsStore

log = logging.getLogger(__name__)

RAW_S: Final = 600.0
"""How long each sample is kept in memory."""
MOST_RAW: Final = 6000
"""Samples of one subject, however short the interval."""
MOST_SUBJECTS: Final = 100
"""So many are kept at most while nothing can be written; of more, those go that are over."""


class Raw:
    """The last measurements of one subject: 8 bytes each.

    Args:
        width: how many metrics there are.
        interval_s: between two measurements, about.
    """

    def __init__(self, width: int, interval_s: float) -> None:
        self._record = width + 1
        self._capacity = max(SPAN_S, min(MOST_RAW, math.ceil(RAW_S / interval_s)))
        self._numbers = array("d")
        self._count = 0
        self._stored = 0

    def add(self, at: float, values: Values) -> None:
        """Take a measurement; one that is too old makes room."""
        numbers = array("d", [at, *(math.nan if value is None else value for value in values)])
        place = self._count % self._capacity * self._record
        self._numbers[place : place + self._record] = numbers
        self._count += 1

    def last(self, count: int) -> list[tuple[float, Values]]:
        """Give the newest measurements with their times, oldest first; fewer if there are fewer."""
        first = max(0, self._count - self._capacity, self._count - count)
        return [self._at(number) for number in range(first, self._count)]

    def unstored(self, until: float | None) -> tuple[list[Row], int]:
        """Sum up what is not stored, by stretches of `SPAN_S`; that of `until` is not over, and stays.

        Returns:
            The rows, and what `store` is to be told when they are stored.
        """
        found = self.last(self._count - self._stored)
        whole = [item for item in found if until is None or _stretch(item[0]) != _stretch(until)]
        rows = [
            row_of(at, SPAN_S, [values for _, values in group])
            for at, group in groupby(whole, lambda item: _stretch(item[0]))
        ]
        return rows, self._count - (len(found) - len(whole))

    def store(self, until: int) -> None:
        """Note that what `unstored` gave is stored."""
        self._stored = until

    def _at(self, number: int) -> tuple[float, Values]:
        place = number % self._capacity * self._record
        at, *values = self._numbers[place : place + self._record]
        return at, tuple(None if math.isnan(value) else value for value in values)


def _stretch(at: float) -> float:
    return at // SPAN_S * SPAN_S


class Recorder:
    """Takes the samples of each tick, and writes them down all at once, every `SPAN_S`. Blocks.

    Args:
        directory: the state directory.
        interval_s: between two ticks.
    """

    def __init__(self, directory: Path, interval_s: float) -> None:
        self._store = MetricsStore(directory)
        self._interval_s = interval_s
        self._raw: dict[str, Raw] = {}
        self._before: dict[str, TreeSample] = {}
        self._last: dict[str, tuple[float, TreeSample, float | None]] = {}
        self._machine: tuple[float, SystemSample] | None = None
        self._stretch: float | None = None
        self._failed: set[str] = set()

    def take(self, wall: float, samples: Mapping[str, TreeSample], system: SystemSample) -> None:
        """Keep the samples of one tick, which was at `wall`, seconds since the epoch."""
        self._tried("kept", lambda: self._take(wall, samples, system))

    def _take(self, wall: float, samples: Mapping[str, TreeSample], system: SystemSample) -> None:
        for run, sample in samples.items():
            percent = cpu_percent(self._before.get(run), sample)
            self._keep(run, wall, task_values(sample, percent))
            self._last[run] = wall, sample, percent
        self._keep(MACHINE, wall, machine_values(system))
        self._machine = wall, system
        over = self._raw.keys() - samples.keys() - {MACHINE}
        self._before = dict(samples)
        if self._stretch != _stretch(wall):
            self._stretch = _stretch(wall)
            self._write(wall, over)

    def recent(self, run: str, count: int) -> list[tuple[float, Values]]:
        """Give the newest measurements of a run (`TASK_METRICS`) with their times, oldest first."""
        raw = self._raw.get(run)
        return [] if raw is None else raw.last(count)

    def tidy(self, wall: float, kept_s: float, known: Collection[str]) -> None:
        """Make hours of what is old, and remove what is older, or of tasks that are not known any more."""
        self._tried("tidied", lambda: self._store.tidy(wall, kept_s, known))

    def rest(self, wall: float) -> None:
        """Write down all that is left of runs: there are none any more."""
        over = self._raw.keys() - {MACHINE}
        if over:
            self._before = {}
            self._write(wall, over)

    def close(self) -> None:
        """Write down what is left, and let go of the file."""
        if self._raw:
            self._write(None, list(self._raw))
        self._store.close()

    def _keep(self, subject: str, wall: float, values: Values) -> None:
        raw = self._raw.get(subject)
        if raw is None:
            raw = self._raw[subject] = Raw(len(values), self._interval_s)
        raw.add(wall, values)

    def _write(self, wall: float | None, over: Collection[str]) -> None:
        found = {
            subject: raw.unstored(None if subject in over else wall) for subject, raw in self._raw.items()
        }
        tasks = [(subject, row) for subject, (rows, _) in found.items() if subject != MACHINE for row in rows]
        machine = found[MACHINE][0] if MACHINE in found else []
        latest = [
            (run, Latest(at, task_json(sample, percent))) for run, (at, sample, percent) in self._last.items()
        ]
        if self._machine is not None:
            latest.append((MACHINE, Latest(self._machine[0], asdict(self._machine[1]))))
        is_stored = self._tried("written", lambda: self._store.write(tasks, machine, latest))
        if is_stored:
            self._last = {}
            for subject, (_, until) in found.items():
                self._raw[subject].store(until)
        for subject in over:
            if is_stored or len(self._raw) > MOST_SUBJECTS:
                del self._raw[subject]
                self._last.pop(subject, None)

    def _tried(self, what: str, work: Callable[[], None]) -> bool:
        """Do without the series, rather than without what is sampled, whatever fails; it is told once."""
        try:
            work()
        except Exception as error:
            if what not in self._failed:
                known = isinstance(error, MetricsError)
                log.warning("the series cannot be %s: %s", what, error, exc_info=None if known else error)
            self._failed.add(what)
            return False
        self._failed.discard(what)
        return True


def cpu_percent(before: TreeSample | None, sample: TreeSample) -> float | None:
    """Give the per cent of a processor that were used between two samples."""
    # The counter falls when the processes had to be found anew.
    if before is None or sample.at <= before.at or sample.cpu_s < before.cpu_s:
        return None
    return 100 * (sample.cpu_s - before.cpu_s) / (sample.at - before.at)


def task_values(sample: TreeSample, percent: float | None) -> Values:
    """Give what is recorded of a sample, in the order of `TASK_METRICS`."""
    return tuple(percent if name == "cpu_percent" else getattr(sample, name) for name in TASK_METRICS)


def task_json(sample: TreeSample, percent: float | None) -> dict[str, Any]:
    """Give a sample as it is shown while it is the last one; times by their age. What threads wait for is no number."""
    known = asdict(sample)
    del known["at"], known["pss_at"], known["wait_channels"]
    pss_age_s = None if sample.pss_at is None else round(sample.at - sample.pss_at, 1)
    return known | {"cpu_percent": percent, "pss_age_s": pss_age_s}


def machine_values(system: SystemSample) -> Values:
    """Give what is recorded of a sample, in the order of `MACHINE_METRICS`."""
    pressure = system.pressure
    known = {
        "available_bytes": system.available_bytes,
        "swap_used_bytes": system.swap_used_bytes,
        "load": system.load,
        "cpu_pressure": None if pressure is None else pressure.cpu_some,
        "memory_pressure": None if pressure is None else pressure.memory_some,
        "io_pressure": None if pressure is None else pressure.io_some,
        "disk_free_bytes": system.disk_free_bytes,
    }
    return tuple(known[name] for name in MACHINE_METRICS)
