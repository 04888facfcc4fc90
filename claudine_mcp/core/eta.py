"""When something will be over: from how fast it advances, or from how long its like has taken. Pure.

An estimate always is two numbers, the time that it takes in one case of two and in nine of ten; or the reason why
there is none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, NamedTuple

from claudine_mcp.core.models import JSON
from claudine_mcp.core.units import human_duration

ALPHA: Final = 0.3
"""Weight of the last step in the means, as in tqdm."""
LEAST_STEPS: Final = 3
"""So many steps must have been seen before their pace tells anything."""
LEAST_RUNS: Final = 3
"""So many earlier runs must have taken longer than this one has so far."""

_STEP_SHARE: Final = (
    0.02  # of the time so far: so the memory of the means grows with the run, to an eighth of it
)
_SPREAD_ALPHA: Final = 0.1  # a spread needs a longer memory than a mean
_MEMORY_STEPS: Final = (2 - ALPHA) / ALPHA  # how many steps an exponential mean is worth
_P90: Final = 1.2816  # of the normal distribution
_LEAST_SPREAD, _MOST_SPREAD = 0.15, 2.0  # of the logarithm
_HALF, _TENTH = 0.5, 0.1


class Eta(NamedTuple):
    """Seconds that are left: `p50_s` in one case of two, `p90_s` in nine of ten."""

    p50_s: float
    p90_s: float


class Unknown(NamedTuple):
    """Why there is no estimate."""

    because: str


class PastRun(NamedTuple):
    """How long a run took. `is_censored`: it was ended before it was over, and would have taken longer."""

    seconds: float
    is_censored: bool = False


class Pace:
    """How fast something advances.

    The rate is EMA(dn) / EMA(dt), without bias, with a weight of 0.3 for the last step [tqdm]. What may become of it
    is taken to be lognormal, with a variance that is the sum of: that of the steps' own rates, once for the steps
    that the means are worth and once for those to come; the square of how far the rate now is from that of the
    whole run, since what has changed may change again; and a least one. With few steps it is wider, about as
    Student's t is. (Simulated with steady, noisy, drifting and switching rates: nine of ten fell below p90 in
    0.75 to 1 of the cases, except where a rate went on falling, with 0.6.)

    Times are seconds of a clock that stands while the task is suspended.

    Args:
        stored: what `to_json` gave.
    """

    def __init__(self, stored: Mapping[str, Any] | None = None) -> None:
        stored = stored or {}
        self._start: list[float] | None = stored.get("start")
        self._last: list[float] | None = stored.get("last")
        self._done = Mean(ALPHA, *stored.get("done", ()))
        self._time = Mean(ALPHA, *stored.get("time", ()))
        self._log = Mean(_SPREAD_ALPHA, *stored.get("log", ()))
        self._square = Mean(_SPREAD_ALPHA, *stored.get("square", ()))

    def to_json(self) -> JSON:
        """Give all of it."""
        means = {"done": self._done, "time": self._time, "log": self._log, "square": self._square}
        stored = {name: [mean.total, mean.steps] for name, mean in means.items()}
        return {"start": self._start, "last": self._last, **stored}

    def advance(self, done: float, at: float) -> None:
        """Take how much is complete. Less than before is another beginning."""
        if self._start is None or self._last is None or done < self._last[0]:
            self._begin(done, at)
            return
        step, took_s = done - self._last[0], at - self._last[1]
        if step <= 0 or took_s <= 0 or took_s < _STEP_SHARE * (at - self._start[1]):
            return
        logarithm = math.log(took_s) - math.log(step)  # the quotient itself may be too small for a number
        self._done.add(step)
        self._time.add(took_s)
        self._log.add(logarithm)
        self._square.add(logarithm**2)
        self._last = [done, at]

    def _begin(self, done: float, at: float) -> None:
        self._start = self._last = [done, at]
        self._done, self._time = Mean(ALPHA), Mean(ALPHA)
        self._log, self._square = Mean(_SPREAD_ALPHA), Mean(_SPREAD_ALPHA)

    def eta(self, total: float, at: float) -> Eta | Unknown:
        """Give when `total` will be complete."""
        steps = self._done.steps
        if self._start is None or self._last is None or steps < LEAST_STEPS:
            how = {0: "not advanced", 1: "advanced only once"}.get(steps, f"advanced only {steps} times")
            return Unknown(f"it has {how} since its progress was first seen")
        idle_s = max(at - self._last[1], 0.0)
        step, step_s = self._done.value, self._time.value
        if idle_s > step_s:  # it should have advanced by now; each second that it does not counts
            step, step_s = self._done.value_with(0.0), self._time.value_with(idle_s)
        left = max(total - self._last[0], 0.0)
        p50_s = max(left * step_s / step - min(idle_s, step_s), 0.0)
        so_far = (at - self._start[1]) / (self._last[0] - self._start[0])
        drift = math.log(step_s / step / so_far)
        variance = max(self._square.value - self._log.value**2, 0.0) * (1 + 2 / (steps - 1))
        to_come = max(left / step, 1.0)
        variance *= 1 / min(steps, _MEMORY_STEPS) + 1 / to_come
        spread = math.sqrt(variance + drift**2 + _LEAST_SPREAD**2) * (1 + 1 / (steps - 1))
        return Eta(p50_s, p50_s * math.exp(_P90 * min(spread, _MOST_SPREAD)))


@dataclass(slots=True)
class Mean:
    """An exponential mean without the bias towards its beginning."""

    alpha: float
    total: float = 0.0
    steps: int = 0

    def add(self, value: float) -> None:
        """Take a value."""
        self.total = self._next(value)
        self.steps += 1

    @property
    def value(self) -> float:
        """The mean; at least one value was taken."""
        return self.total / (1 - (1 - self.alpha) ** self.steps)

    def value_with(self, value: float) -> float:
        """Give what the mean would be after another value."""
        return self._next(value) / (1 - (1 - self.alpha) ** (self.steps + 1))

    def _next(self, value: float) -> float:
        return self.alpha * value + (1 - self.alpha) * self.total


def from_history(runs: Sequence[PastRun], age_s: float, like: str) -> Eta | Unknown:
    """Give how much longer a run takes that has taken `age_s`, by how long its like took.

    These are quantiles of (D - age | D > age), D by the estimator of Kaplan and Meier: a run that was ended early
    counts as one that takes longer than that.

    Args:
        runs: those of the same class.
        age_s: how long this one has run, without the time in which it was suspended.
        like: what they are called in a reason, for example "make test".
    """
    over = [run.seconds for run in runs if not run.is_censored]
    if len(over) < LEAST_RUNS:
        return Unknown(
            f"{len(over)} earlier {'run' if len(over) == 1 else 'runs'} of {like} came to an end, and it takes "
            f"{LEAST_RUNS} to tell"
        )
    longer = sum(seconds > age_s for seconds in over)
    if longer < LEAST_RUNS:
        longest = human_duration(max(over))
        return Unknown(
            f"it has already taken longer than {len(over) - longer} of the {len(over)} earlier runs of {like}, "
            f"of which the longest took {longest}"
        )
    half = _quantile(runs, age_s, _HALF)
    tenth = _quantile(runs, age_s, _TENTH)
    if half is None or tenth is None:
        return Unknown(f"too many of the earlier runs of {like} were ended before they were over")
    return Eta(half - age_s, tenth - age_s)


def _quantile(runs: Sequence[PastRun], age_s: float, left: float) -> float | None:
    """Give the time by which only a share of `left` of those that reached `age_s` still runs; None: nobody knows."""
    at_risk = [run for run in runs if run.seconds > age_s]
    remaining, share = len(at_risk), 1.0
    for seconds, group in groupby(sorted(at_risk), key=lambda run: run.seconds):
        ended = list(group)
        share *= 1 - sum(not run.is_censored for run in ended) / remaining
        remaining -= len(ended)
        if share <= left + 1e-9:
            return seconds
    return None
