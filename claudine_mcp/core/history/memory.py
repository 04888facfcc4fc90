"""How much memory a run takes at this moment, from a sum that is too high and a true number that is old."""

from __future__ import annotations

from typing import Final

from claudine_mcp.core.samples import TreeSample

FRESH_S: Final = 6.0
STALE_S: Final = 90.0
"""PSS is read every 30 s: if it is older than this, it is not read at all."""
GREW: Final = 1.02
"""By what RSS may have grown since PSS was read for that to be still good."""


class Memory:
    """The memory of one run.

    Attributes:
        now_bytes: the best estimate there is: PSS as it was read, and what RSS has grown by since.
        is_sure: whether this is more than an upper bound. Pages that a fork shares count twice in RSS.
    """

    __slots__ = ("_pss_at", "_rss_at_pss", "_unread_s", "is_sure", "now_bytes")

    def __init__(self) -> None:
        self.now_bytes = 0
        self.is_sure = False
        self._pss_at: float | None = None
        self._rss_at_pss = 0
        self._unread_s = 0.0

    def fold(self, sample: TreeSample, passed_s: float) -> None:
        """Take a sample, `passed_s` after the one before."""
        rss, pss, pss_at = sample.rss_bytes, sample.pss_bytes, sample.pss_at
        if pss is None or pss_at is None:
            self._unread_s += passed_s
            self.now_bytes = rss
            self.is_sure = sample.processes <= 1 or self._unread_s > STALE_S
            return
        if pss_at != self._pss_at:
            self._pss_at, self._rss_at_pss = pss_at, rss
        grown = max(0, rss - self._rss_at_pss)
        self.now_bytes = min(rss, pss + grown)
        age_s = sample.at - pss_at
        self.is_sure = (
            sample.processes <= 1 or age_s < FRESH_S or age_s > STALE_S or rss <= self._rss_at_pss * GREW
        )
