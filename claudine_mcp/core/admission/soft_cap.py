"""The soft cap moves: up by one while more is wanted and the machine is calm, down to half when it is critical."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from claudine_mcp.core.admission.model import Machine

STEP_S: Final = 30.0
"""Between two steps, up or down."""
CALM_RESERVES: Final = 2.0
"""Times the reserve that must be available for the cap to rise: as for a task that was suspended to go on."""
CALM_PRESSURE: Final = 10.0
CRITICAL_PRESSURE: Final = 60.0
"""Per cent of the last 10 s in which all waited for memory [systemd-oomd]."""
BUSY_PRESSURE: Final = 50.0
"""Per cent of the last 10 s in which some waited for a processor: more tasks would only wait for each other."""


@dataclass(frozen=True, slots=True)
class SoftCap:
    """Where the cap stands.

    Attributes:
        cap: as many tasks may be active.
        moved_at: when it was moved last, seconds since the epoch; None: it stands where it was configured.
    """

    cap: int
    moved_at: float | None = None


def is_critical(machine: Machine) -> bool:
    """Whether less should run: the reserve is used, or everything waits for memory."""
    is_short = machine.available_bytes < machine.reserve_bytes
    return is_short or (machine.memory_pressure or 0.0) >= CRITICAL_PRESSURE


def is_calm(machine: Machine) -> bool:
    """Whether one more may run than was configured."""
    has_memory = machine.available_bytes >= CALM_RESERVES * machine.reserve_bytes
    if machine.cpu_pressure is None:
        has_processor = machine.load < machine.processors
    else:
        has_processor = machine.cpu_pressure < BUSY_PRESSURE
    return has_memory and has_processor and (machine.memory_pressure or 0.0) < CALM_PRESSURE


def moved(
    before: SoftCap | None,
    machine: Machine | None,
    now: float,
    *,
    configured: int,
    hard: int,
    is_wanted: bool,
) -> SoftCap:
    """Give the cap as it is from now on; it changes by one step at most, and not twice within `STEP_S`.

    Args:
        before: as it was; None: it has not moved yet.
        machine: None: not looked at; then the cap stays.
        now: seconds since the epoch.
        configured: `limits.softMaxConcurrent`.
        hard: `limits.hardMaxConcurrent`.
        is_wanted: whether a task waits for nothing but this cap.
    """
    if before is None:
        before = SoftCap(configured)
    held = replace(before, cap=max(1, min(before.cap, hard)))
    if held.cap > configured and not is_wanted:
        held = SoftCap(configured)
    if machine is None or (held.moved_at is not None and 0 <= now - held.moved_at < STEP_S):
        return held
    if is_critical(machine):
        return SoftCap(max(1, held.cap // 2), now)
    if held.cap < configured:
        return SoftCap(held.cap + 1, now) if held.cap + 1 < configured else SoftCap(configured)
    if not is_wanted or held.cap >= hard:
        return held
    if held.moved_at is None:
        return replace(held, moved_at=now)  # it must have been wanted for a while
    return SoftCap(held.cap + 1, now) if is_calm(machine) else held
