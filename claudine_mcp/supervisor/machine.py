"""The machine as admission sees it: from the last look at everything, or from one of its own while nothing runs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import anyio.to_thread

from claudine_mcp.core.admission import Machine
from claudine_mcp.core.samples import OtherClaude, SystemSample
from claudine_mcp.host.system import SystemSampler, files_left
from claudine_mcp.supervisor.context import Context, Tick

OLD_AFTER_TICKS: Final = 2.0
"""A look that is older shows a machine that may have changed: there are no ticks while nothing runs."""


class MachineView:
    """Gives the machine as it is.

    Args:
        ctx: the supervisor's surroundings.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._sampler = SystemSampler(ctx.state_dir)
        self._seen: SystemSample | None = None
        self._other_claude = OtherClaude()

    async def judge(self, tick: Tick) -> None:
        """Keep what one look has shown."""
        self._seen = tick.system
        self._other_claude = tick.system.other_claude

    async def now(self) -> Machine | None:
        """Give it; None: it cannot be measured, since the disk of the state directory is out of reach."""
        seen, at = self._seen, self._ctx.mono()
        interval_s = self._ctx.settings.monitoring.sample_interval / 1000
        if seen is None or at - seen.at > OLD_AFTER_TICKS * interval_s:
            try:
                seen = await anyio.to_thread.run_sync(self._sampler.sample, at, self._other_claude)
            except OSError:
                return None
        pressure = seen.pressure
        return Machine(
            total_bytes=seen.total_bytes,
            available_bytes=seen.available_bytes,
            reserve_bytes=self._ctx.settings.limits.reserve_bytes(seen.total_bytes),
            load=seen.load,
            processors=seen.cpus or seen.processors,
            cpu_pressure=None if pressure is None else pressure.cpu_some,
            memory_pressure=None if pressure is None else pressure.memory_full,
            disk_free_bytes=seen.disk_free_bytes,
            disk_total_bytes=seen.disk_total_bytes,
            files_left=files_left(Path("/proc/sys/fs/file-nr")),
            other_claude=seen.other_claude.processes,
        )
