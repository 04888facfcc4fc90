"""When a task whose run the API has failed goes on by itself. Pure; what is random is made of the task's id."""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

FIRST_S: Final = 10.0
FACTOR: Final = 4.0
LONGEST_S: Final = 1800.0
"""Full jitter: somewhere between now and 10 s, 40 s, 160 s … half an hour [AWS, Exponential Backoff And Jitter]."""
AT_LEAST_S: Final = 1.0

SPREAD: Final = 0.1
SPREAD_LEAST_S: Final = 2.0
SPREAD_MOST_S: Final = 60.0
"""After a time that is the same for all: over a tenth of the wait, between these."""

LATEST_S: Final = 8 * 86_400.0
"""The longest limit is a week. A reset that is said to be later is not believed."""


class Passing(NamedTuple):
    """A failure that may pass without anybody doing anything.

    Attributes:
        cause: `overloaded`, `server_error`, `rate_limited` or `network`.
        resets_at: when it passes, in seconds since the epoch; None if nobody has said.
    """

    cause: str
    resets_at: float | None = None


def is_quota(passing: Passing, now: float) -> bool:
    """Whether a failure is that of a quota that is gone for everyone until a time that is known."""
    return passing.cause == "rate_limited" and _is_believed(passing.resets_at, now)


def resume_at(task_id: str, resumes: int, passing: Passing, now: float) -> float:
    """Give when a task is to go on, in seconds since the epoch.

    Args:
        task_id: which.
        resumes: how often it has gone on by itself before.
        passing: why its run has failed.
        now: seconds since the epoch.
    """
    if passing.resets_at is not None and _is_believed(passing.resets_at, now):
        return passing.resets_at + spread_s(task_id, resumes, passing.resets_at - now)
    longest_s = min(LONGEST_S, FIRST_S * FACTOR ** min(resumes, 10))
    return now + max(AT_LEAST_S, longest_s * fraction(task_id, resumes))


def spread_s(task_id: str, n: int, wait_s: float) -> float:
    """Give how much later than all others a task starts that has waited `wait_s` for the same moment as they."""
    return fraction(task_id, n) * min(SPREAD_MOST_S, max(SPREAD_LEAST_S, SPREAD * wait_s))


def fraction(task_id: str, n: int) -> float:
    """Give a number from 0 to less than 1 that is the same each time, and another for each task and `n`."""
    digest = hashlib.sha256(f"{task_id}.{n}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _is_believed(resets_at: float | None, now: float) -> bool:
    return resets_at is not None and now < resets_at <= now + LATEST_S
