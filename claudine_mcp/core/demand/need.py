"""What one task is expected to need of the machine's memory."""

from __future__ import annotations

from typing import NamedTuple


class Need(NamedTuple):
    """The memory of a task's tree (PSS), as its class lets expect.

    Attributes:
        mean_bytes: of its use over time.
        deviation_bytes: standard deviation of the same.
        p90_bytes: below which it stays in nine cases of ten.
        basis: where that is from, to be put into a sentence: "12 recent runs of make test",
            "no earlier run of make test is known".
    """

    mean_bytes: float
    deviation_bytes: float
    p90_bytes: float
    basis: str = ""

    def at_least(self, floor_bytes: float) -> Need:
        """Give the need of a task that has said that it needs at least so much."""
        if self.mean_bytes >= floor_bytes:
            return self
        return self._replace(mean_bytes=floor_bytes, p90_bytes=max(floor_bytes, self.p90_bytes))

    def besides(self, held_bytes: float) -> Need:
        """Give what a task needs that holds so much already.

        Half of the p90 must be there for a start; what is held is all there.
        """
        return self._replace(
            mean_bytes=max(0.0, self.mean_bytes - held_bytes),
            p90_bytes=max(0.0, self.p90_bytes - 2 * held_bytes),
        )
