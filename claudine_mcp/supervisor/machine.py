"""The machine as admission sees it."""

from __future__ import annotations

from pathlib import Path

import anyio.to_thread

from claudine_mcp.core.admission import Machine
from claudine_mcp.core.samples import OtherClaude
from claudine_mcp.host.system import SystemSampler, files_left
from claudine_mcp.supervisor.complaints import Complaints
from claudine_mcp.supervisor.context import Context, Tick


class MachineView:
    """Gives the machine as it is.

    Args:
        ctx: the supervisor's surroundings.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._sampler = SystemSampler(ctx.state_dir)
        self._other_claude = OtherClaude()
        self._complaints = Complaints(ctx.mono)

    async def judge(self, tick: Tick) -> None:
        """Take what one look has shown of Claude Code that is not ours."""
        self._other_claude = tick.system.other_claude

    async def now(self) -> Machine | None:
        """Measure it; None: the disk of the state directory is out of reach, which is told.

        What a tick has seen may be as old as an interval: a task that has ended since would be taken for load.
        """
        at = self._ctx.mono()
        try:
            seen = await anyio.to_thread.run_sync(self._sampler.sample, at, self._other_claude)
        except OSError as error:
            self._complaints.tell("looking at the machine before a start failed", error)
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
