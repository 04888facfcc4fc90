"""What fails again and again is logged so that it is seen, and does not fill the disk."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Final, NamedTuple

log = logging.getLogger(__name__)

REPEAT_S: Final = 60.0
"""The same error is told again no more often than that, in one line."""
MOST_KNOWN: Final = 100

Error = tuple[str, str, str]


class _Told(NamedTuple):
    at: float
    again: int


class Complaints:
    """Logs errors: one that is new with its traceback, then that it goes on.

    Args:
        clock: seconds, of a clock that nobody sets.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._told: dict[Error, _Told] = {}

    def tell(self, what: str, error: Exception) -> None:
        """Log an error, unless the same was logged less than `REPEAT_S` ago. The same: raised at the same line."""
        where = traceback.extract_tb(error.__traceback__)[-1:]
        key = what, type(error).__name__, "".join(f"{frame.filename}:{frame.lineno}" for frame in where)
        told, now = self._told.get(key), self._clock()
        if told is None:
            if len(self._told) >= MOST_KNOWN:
                del self._told[next(iter(self._told))]
            self._told[key] = _Told(now, 0)
            log.error("%s", what, exc_info=error)
        elif now - told.at < REPEAT_S:
            self._told[key] = told._replace(again=told.again + 1)
        else:
            self._told[key] = _Told(now, 0)
            times = f"{told.again + 1} more times"
            log.error("%s %s, the last with %s: %s", what, times, type(error).__name__, error)
