"""Days as the machine's user counts them: in its time zone."""

from __future__ import annotations

import time


def day_of(at: float) -> str:
    """Give the day of a moment (seconds since the epoch), as `YYYY-MM-DD`."""
    return time.strftime("%Y-%m-%d", time.localtime(at))


def end_of_day(at: float) -> float:
    """Give when the day of a moment ends; a day may have 23 hours, or 25."""
    today = time.localtime(at)
    return time.mktime((today.tm_year, today.tm_mon, today.tm_mday + 1, 0, 0, 0, 0, 0, -1))
