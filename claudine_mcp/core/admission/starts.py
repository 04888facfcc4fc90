"""How fast Claude Code may be started: a bucket of tokens, one for each start."""

from __future__ import annotations

from claudine_mcp.core.admission.model import Starts


class Bucket:
    """Knows when the next start has its token.

    The bucket is kept as the one moment at which it will be full again (the generic cell rate algorithm of ATM), which
    the times of the last starts give: so it is the same after a restart.

    Args:
        starts: how many, how fast, and the last ones; those of the last `burst` spacings are enough.
        now: seconds since the epoch; a start that was later, by a clock that was set back, was now.
    """

    def __init__(self, starts: Starts, now: float) -> None:
        self._starts = starts
        self._now = now
        self._full_at = now
        full_at = float("-inf")
        for at in sorted(starts.recent):
            full_at = max(full_at, min(at, now)) + starts.spacing_s
        self._full_at = max(full_at, now)

    @property
    def next_at(self) -> float:
        """When the next one may start, seconds since the epoch; not before now."""
        return max(self._now, self._full_at - (self._starts.burst - 1) * self._starts.spacing_s)

    def take(self) -> None:
        """Take a token for a start now."""
        self._full_at += self._starts.spacing_s
