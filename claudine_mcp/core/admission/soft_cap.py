"""The soft cap, which moves: up while more is wanted and the machine is calm, down at once when memory is short."""

from __future__ import annotations

from typing import Final, NamedTuple

from claudine_mcp.core.admission.model import Machine

STEP_S: Final = 30.0
"""Between two steps: long enough for what the last one let start to show what it takes."""
CALM: Final = 1.25
"""Times the reserve that must be available for another step up: as much as `system:overload` wants to be over."""
BLOCKED_PER_CENT: Final = 10.0
"""Of the last 10 s in which everything waited for memory: a sixth of that at which systemd-oomd ends programs. With
half of it the machine is calm."""


class SoftCap(NamedTuple):
    """How many tasks may be active at once now.

    Attributes:
        cap: as many.
        configured: `limits.softMaxConcurrent`, from which it moves.
        stepped_at: when it was last moved, seconds since the epoch.
        why: in words; nothing while it is what was configured.
        wanted_since: from when on a task has waited for it, seconds since the epoch; None: none does.
    """

    cap: int
    configured: int
    stepped_at: float = 0.0
    why: str = ""
    wanted_since: float | None = None

    def moved(
        self, machine: Machine | None, configured: int, hard: int, now: float, *, is_wanted: bool
    ) -> SoftCap:
        """Give the cap after a look.

        It is raised by one, up to the hard cap, when a task has waited for it for 30 s and the machine is calm, and
        again after each 30 s; halved, not below one, while memory is short, again after each 30 s; and what was
        configured when nobody needs more. This is AIMD (additive increase, multiplicative decrease).

        Args:
            machine: as it is; None: nobody looked, and the cap is what was configured.
            configured: `limits.softMaxConcurrent`.
            hard: `limits.hardMaxConcurrent`.
            now: seconds since the epoch.
            is_wanted: whether a task waits for this cap.
        """
        usual = SoftCap(configured, configured, self.stepped_at)
        if machine is None or configured != self.configured:
            return usual
        since = None if not is_wanted else now if self.wanted_since is None else min(self.wanted_since, now)
        same = self._replace(cap=min(self.cap, hard), wanted_since=since)
        has_settled = not 0 <= now - self.stepped_at < STEP_S
        if _is_short(machine):
            lower = SoftCap(max(1, same.cap // 2), configured, now, "memory is short", since)
            return lower if has_settled and same.cap > 1 else same
        if since is None:
            return usual if has_settled or same.cap > configured else same
        if not has_settled or now - since < STEP_S or same.cap >= hard or not _is_calm(machine):
            return same
        why = "tasks wait and the machine is calm" if same.cap >= configured else "memory was short"
        return SoftCap(same.cap + 1, configured, now, "" if same.cap + 1 == configured else why, since)


def _is_short(machine: Machine) -> bool:
    pressure = machine.memory_pressure or 0.0
    return machine.available_bytes < machine.reserve_bytes or pressure >= BLOCKED_PER_CENT


def _is_calm(machine: Machine) -> bool:
    pressure = machine.memory_pressure or 0.0
    return machine.available_bytes >= CALM * machine.reserve_bytes and 2 * pressure < BLOCKED_PER_CENT
