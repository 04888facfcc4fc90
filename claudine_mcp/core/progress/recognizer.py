"""What a task's output says of its progress, from as much of its end as one cares to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from claudine_mcp.core.models import JSON
from claudine_mcp.core.progress.counter import Counter
from claudine_mcp.core.progress.formats import MAY_BE
from claudine_mcp.core.progress.lines import Pieces, Told
from claudine_mcp.core.progress.model import OUTPUT, TERMINAL, Progress, percentage
from claudine_mcp.core.progress.reading import Reading, phase_in, readings
from claudine_mcp.core.terminal import render_line

VERSION: Final = 1
"""Of the stored form. One of another version is not used, and counters are found anew."""
MAX_COUNTERS: Final = 16
SEVERAL: Final = 2
"""After so many counters that are complete, another is one of a row whose length nobody knows."""

_GLOBAL_MARGIN: Final = 0.02  # of the whole, by which a count over all steps may be outside the present one
_RECENT: Final = 100  # readings; a counter that was not among them was given up
_NO_PROGRESS, _INDETERMINATE = 0, 3  # of OSC 9;4


class Recognizer:
    """Reads the streams of one run.

    Args:
        stored: what `to_json` gave to an earlier one; None for a run from its beginning.
    """

    def __init__(self, stored: Mapping[str, Any] | None = None) -> None:
        self._pieces: dict[str, Pieces] = {}
        self._counters: dict[tuple[str, str], Counter] = {}
        self._order = 0
        self._phase: str | None = None
        self._told: float | None = None
        if stored is not None and stored.get("version") == VERSION:
            counters = [Counter(**item) for item in stored["counters"]]
            self._counters = {(item.source, item.name): item for item in counters}
            self._order, self._phase, self._told = stored["order"], stored["phase"], stored["told"]

    def to_json(self) -> JSON:
        """Give what is known, some kB at most; not what stands on unfinished lines."""
        counters = [asdict(counter) for counter in self._counters.values()]
        return {
            "version": VERSION,
            "counters": counters,
            "order": self._order,
            "phase": self._phase,
            "told": self._told,
        }

    def feed(self, stream: str, data: bytes, at: float, *, after_gap: bool = False) -> None:
        """Take what was appended to a stream.

        Args:
            stream: which.
            data: its bytes, torn anywhere.
            at: when it was read, in seconds of a clock that nobody sets.
            after_gap: whether something before it was left out.
        """
        pieces = self._pieces.setdefault(stream, Pieces())
        for piece in pieces.feed(data, after_gap=after_gap):
            if isinstance(piece, Told):
                self._hear(piece)
            else:
                self._read(piece, at)

    def unread_bytes(self, stream: str) -> int | None:
        """Give how much of a stream another reader would have to be fed again, for an unfinished line.

        None if there is a gap in that line, which the other reader must be told of as well.
        """
        return self._pieces[stream].unread_bytes if stream in self._pieces else 0

    def rest(self, at: float) -> None:
        """Read unfinished lines, too: nothing has been appended for a while, so what they say is said."""
        for pieces in self._pieces.values():
            self._read(pieces.unfinished(), at)

    def _hear(self, told: Told) -> None:
        if told.state == _NO_PROGRESS:
            self._told = None
        elif told.state != _INDETERMINATE and told.percent is not None and told.percent <= 100:  # noqa: PLR2004
            self._told = float(told.percent)

    def _read(self, piece: bytes, at: float) -> None:
        if not MAY_BE.search(piece):
            return
        line = render_line(piece)
        for reading in readings(line):
            self._order += 1
            self._count(reading, at)
        self._phase = phase_in(line) or self._phase

    def _count(self, reading: Reading, at: float) -> None:
        key = reading.format.source, reading.name
        counter = self._counters.get(key)
        if counter is None:
            self._counters[key] = Counter.of(reading, at, self._order)
            if len(self._counters) > MAX_COUNTERS:
                self._forget_one()
            return
        restarts = counter.restarts
        counter.read(reading, at, self._order)
        if not (counter.is_steps or counter.is_own):
            self._see_whose(counter, has_begun_anew=counter.restarts > restarts)

    def _see_whose(self, counter: Counter, *, has_begun_anew: bool) -> None:
        """See whether a counter within steps counts each of them, or goes on from one to the next."""
        steps = self._steps()
        if has_begun_anew:
            counter.is_own = True
        elif counter.advanced == self._order and steps is not None and counter.first < steps.advanced:
            low, high = steps.done / steps.total, steps.value / steps.total
            counter.is_own = not low - _GLOBAL_MARGIN <= counter.share <= high + _GLOBAL_MARGIN

    def _forget_one(self) -> None:
        """Forget the counter that was read longest ago, of those that are not believed if there are any."""
        oldest = min(
            self._counters, key=lambda key: (self._counters[key].is_believed, self._counters[key].last)
        )
        del self._counters[oldest]

    # -- what follows from the counters -----------------------------------------------------------------

    def progress(self) -> Progress | None:
        """Give how far the run is, as far as its output says so; None if it says nothing."""
        if self._told is not None:
            return Progress(TERMINAL, self._told, phase=self._phase, is_of_phase=self._told >= 100)  # noqa: PLR2004
        believed = [counter for counter in self._counters.values() if counter.is_believed]
        if not believed:
            return None if self._phase is None else Progress(OUTPUT, phase=self._phase)
        steps = self._steps()
        if steps is not None:
            inner = _inner(steps, believed)
            if not _is_over(steps, inner):
                return self._nested(steps, inner, believed)
            believed = [counter for counter in believed if not counter.is_steps]
        outer = _outer(believed)
        if outer is None:
            return self._alone(believed)
        return self._nested(outer, _inner(outer, believed), believed)

    def _steps(self) -> Counter | None:
        """Give the outermost count of steps: the one that has begun anew least often, and was read last of those."""
        found = [item for item in self._counters.values() if item.is_steps and item.is_believed]
        return max(found, key=lambda item: (-item.restarts, item.last), default=None)

    def _nested(self, outer: Counter, inner: Counter | None, believed: list[Counter]) -> Progress:
        """Give how far a count is whose steps have a progress of their own."""
        if inner is not None and outer.is_steps and inner.is_own is False:
            return self._of(inner, inner.done, inner.total, outer.phase)
        done, total = outer.done, outer.total
        if outer.is_shared:
            parts = [item for item in believed if item.source == outer.source]
            done, total = sum(item.done for item in parts), sum(item.total for item in parts)
        if inner is not None:
            done += inner.share
        return self._of(outer, done, total, outer.phase or (None if inner is None else inner.phase))

    def _alone(self, believed: list[Counter]) -> Progress:
        """Give how far the count is that matters, of several that are not within each other."""
        still_open = [item for item in believed if not item.is_complete]
        if not still_open:
            last = max(believed, key=lambda item: item.last)
            return self._of(last, last.done, last.total, last.phase)
        newest = max(item.last for item in still_open)
        recent = [item for item in still_open if item.last > newest - _RECENT]
        least = min(item.needs for item in recent)
        source = max((item for item in recent if item.needs == least), key=lambda item: item.last).source
        # Of several side by side, the one that has most before it: all of them must end.
        slowest = min((item for item in recent if item.source == source), key=lambda item: item.share)
        complete = sum(item.is_complete and not item.restarts for item in believed)
        return self._of(slowest, slowest.done, slowest.total, slowest.phase, is_of_phase=complete >= SEVERAL)

    def _of(
        self, counter: Counter, done: float, total: float, phase: str | None, *, is_of_phase: bool = False
    ) -> Progress:
        percent = percentage(done, total)
        is_over = percent >= 100  # noqa: PLR2004 - what it counted is complete, and the run goes on
        return Progress(
            counter.source,
            percent,
            done=None if counter.is_percent else round(min(done, total), 3),
            total=None if counter.is_percent else total,
            phase=phase or self._phase,
            is_of_phase=is_of_phase or is_over or counter.is_part or counter.restarts > 0,
        )


def _outer(believed: list[Counter]) -> Counter | None:
    """Give the counter that grows each time when another begins anew: that one counts what it counts."""
    for inner in sorted(believed, key=lambda item: -item.last):
        for outer in believed:
            has_grown = outer.advanced >= inner.began_before > outer.first
            if inner.restarts and has_grown and not (outer.restarts or outer.is_complete):
                return outer
    return None


def _inner(outer: Counter, believed: list[Counter]) -> Counter | None:
    """Give the counter of what the present step or item of another does."""
    found = [
        item for item in believed if item is not outer and not item.is_steps and item.last > outer.advanced
    ]
    return max(found, key=lambda item: item.last, default=None)


def _is_over(steps: Counter, inner: Counter | None) -> bool:
    """Whether a counter that came after the last step is something else, rather than what that step does."""
    if inner is None or steps.value < steps.total:
        return False
    return inner.first > steps.advanced and inner.first > steps.last
