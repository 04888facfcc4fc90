"""Where the lines are for one run and for the machine: the settings, as the rules want them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from claudine_mcp.core.config import Settings
from claudine_mcp.core.fields import Level
from claudine_mcp.core.history.run import STEP_S

MISSED: Final = 3
"""Samples that may be missing before one says that nobody looked."""


@dataclass(frozen=True, slots=True)
class RunLimits:
    """The limits of one run; made anew when settings change.

    Attributes:
        stall_s: silence after which it is stalled.
        max_memory_bytes: above it a warning is given.
        critical_memory_bytes: above it is critical.
        max_fds: open descriptors of one of its processes.
        max_disk_rate: bytes a second that it may write for minutes on end.
        timeout_s: unsuspended time that it may take; None for any.
        still_s: how long nothing at all may move.
        repeats: how often the same tool calls may come in a row.
        level: how severe what is found may be.
    """

    stall_s: float = 300.0
    max_memory_bytes: int = 2 * 10**9
    critical_memory_bytes: int = 4 * 10**9
    max_fds: int = 1000
    max_disk_rate: int = 10**8
    timeout_s: float | None = None
    still_s: float = 60.0
    repeats: int = 10
    level: Level = Level.ACTIVE

    @classmethod
    def of(
        cls, settings: Settings, own: Mapping[str, Any] | None = None, *, timeout_ms: int | None = None
    ) -> RunLimits:
        """Give the limits of a run.

        Args:
            settings: in force for all.
            own: what is set for its task alone, by dotted key ("monitoring.stallThreshold"), as settings hold it.
            timeout_ms: its task's.
        """
        values = {**settings.flat(), **(own or {})}
        timeout_ms = values["limits.defaultTimeout"] if timeout_ms is None else timeout_ms
        return cls(
            stall_s=values["monitoring.stallThreshold"] / 1000,
            max_memory_bytes=values["limits.maxMemoryPerTask"],
            critical_memory_bytes=values["limits.criticalMemory"],
            max_fds=values["limits.maxFileDescriptors"],
            max_disk_rate=values["limits.maxDiskRate"],
            timeout_s=None if timeout_ms is None else timeout_ms / 1000,
            still_s=values["monitoring.deadlockThreshold"] / 1000,
            repeats=values["monitoring.repeatThreshold"],
            level=Level(values["monitoring.level"]),
        )


@dataclass(frozen=True, slots=True)
class MachineLimits:
    """The limits of the machine.

    Attributes:
        reserve_bytes: available memory below which it is short.
        soft_max_concurrent: running tasks above which a warning is given.
        step_s: the time between two samples above which nobody looked.
        level: how severe what is found may be.
    """

    reserve_bytes: int = 10**9
    soft_max_concurrent: int = 10
    step_s: float = STEP_S
    level: Level = Level.ACTIVE

    @classmethod
    def of(cls, settings: Settings, total_bytes: int) -> MachineLimits:
        """Give those of a machine with so much memory."""
        limits = settings.limits
        step_s = max(STEP_S, MISSED * settings.monitoring.sample_interval / 1000)
        return cls(
            limits.reserve_bytes(total_bytes),
            limits.soft_max_concurrent,
            step_s,
            settings.monitoring.level,
        )
