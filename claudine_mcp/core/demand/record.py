"""What is known of one class of tasks, or of all classes below it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from claudine_mcp.core.demand.histogram import MEMORY, TIME, Histogram
from claudine_mcp.core.demand.moments import Moments
from claudine_mcp.core.demand.tuning import Tuning
from claudine_mcp.core.models import JSON


class Record:
    """How much memory the runs of a class took, and how long they took.

    Samples of one run are alike; so what counts as evidence is `runs`. A run counts for the part of it that was
    sampled, so that one that was too short to be looked at tells nothing of memory.

    Attributes:
        use: memory in bytes, weighted by the seconds that it was used for.
        memory: the same, as a histogram.
        ended, censored: how long runs took that came to their own end, and that were ended before.
        runs: how many were sampled, the older the less it counts; as of `seen_at`.
        short_bytes: what a run had that was short of memory, and more; as of `short_at`.
        seen_at: when something was last learnt, seconds since the epoch.
    """

    __slots__ = (
        "_ended_at",
        "_p90",
        "_sampled_s",
        "_tuning",
        "censored",
        "ended",
        "memory",
        "runs",
        "seen_at",
        "short_at",
        "short_bytes",
        "use",
    )

    def __init__(self, tuning: Tuning, stored: Mapping[str, Any] | None = None) -> None:
        stored = stored or {}
        half_life_s = tuning.half_life_s
        self._tuning = tuning
        self.use = Moments(half_life_s, stored.get("use"))
        self.memory = Histogram(MEMORY, half_life_s, stored.get("memory"))
        self.ended = Histogram(TIME, half_life_s, stored.get("ended"))
        self.censored = Histogram(TIME, half_life_s, stored.get("censored"))
        self.runs: float = stored.get("runs", 0.0)
        self.seen_at: float = stored.get("seenAt", 0.0)
        self.short_bytes: int = stored.get("shortBytes", 0)
        self.short_at: float = stored.get("shortAt", 0.0)
        self._ended_at: float = stored.get("endedAt", 0.0)
        self._sampled_s: float = stored.get("sampledSeconds", 0.0)
        self._p90: float | None = None

    def to_json(self) -> JSON:
        """Give what a record can be made of again."""
        return {
            "use": self.use.to_json(),
            "memory": self.memory.to_json(),
            "ended": self.ended.to_json(),
            "censored": self.censored.to_json(),
            "runs": self.runs,
            "seenAt": self.seen_at,
            "shortBytes": self.short_bytes,
            "shortAt": self.short_at,
            "endedAt": self._ended_at,
            "sampledSeconds": self._sampled_s,
        }

    def note_use(self, memory_bytes: float, seconds: float, at: float) -> None:
        """Take what a run used for some seconds."""
        if seconds <= 0:
            return
        self.use.add(max(0.0, memory_bytes), seconds, at)
        self.memory.add(max(0.0, memory_bytes), seconds, at)
        self._sampled_s += seconds
        self._p90 = None
        self.seen_at = max(self.seen_at, at)

    def note_run(self, ran_s: float, at: float, *, is_censored: bool) -> None:
        """Take the end of a run."""
        (self.censored if is_censored else self.ended).add(max(0.0, ran_s), 1.0, at)
        sampled = min(1.0, self._sampled_s / ran_s) if ran_s > 0 else float(self._sampled_s > 0)
        self._sampled_s = max(0.0, self._sampled_s - max(0.0, ran_s))
        kept = 2.0 ** -max(0.0, (at - self._ended_at) / self._tuning.half_life_s)
        self.runs = self.runs * kept + sampled
        self._ended_at = max(self._ended_at, at)
        self.seen_at = max(self.seen_at, at)

    def note_short(self, memory_bytes: float, at: float) -> None:
        """Take that a run had so much, and that it was not enough."""
        tuning = self._tuning
        more = max(memory_bytes + tuning.short_more_bytes, memory_bytes * tuning.short_factor)
        self.short_bytes = round(max(more, self.short_of(at)))
        self.short_at = max(self.short_at, at)
        self.seen_at = max(self.seen_at, at)

    def short_of(self, at: float) -> float:
        """Give what a run is given since others had too little: less and less, down to the usual."""
        kept = 2.0 ** -max(0.0, (at - self.short_at) / self._tuning.half_life_s)
        usual = min(self.use.mean, self.short_bytes)
        return usual + (self.short_bytes - usual) * kept

    def evidence(self, at: float) -> float:
        """Give how many runs what is known of memory is worth."""
        first = min(1.0, self._sampled_s / self._tuning.first_run_s)
        return max(self.runs, first) * self.freshness(at) if self.use.weight else 0.0

    def weight(self, at: float) -> float:
        """Give how many runs, of whatever kind and length, what is known is worth."""
        seen = max(self.runs, min(1.0, self._sampled_s / self._tuning.first_run_s))
        for runs in (self.ended, self.censored):
            seen = max(seen, sum(runs.weights.values()) * runs.fading(self.seen_at))
        return max(seen, float(self.short_bytes > 0)) * self.freshness(at)

    def freshness(self, at: float) -> float:
        """Give what is left, from 1 to 0, of what is known since nothing was learnt."""
        return 2.0 ** -max(0.0, (at - self.seen_at) / self._tuning.stale_half_life_s)

    @property
    def p90_bytes(self) -> float:
        """What the memory of a run stays below in nine cases of ten."""
        if self._p90 is None:
            self._p90 = self.memory.quantile(0.9) or 0.0
        return self._p90
