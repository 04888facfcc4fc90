"""The machine as admission sees it: looked at when it is needed, off the loop's thread."""

from __future__ import annotations

from typing import Final

import anyio.to_thread

from claudine_mcp.core.admission import Machine
from claudine_mcp.core.samples import OtherClaude, SystemSample
from claudine_mcp.host.system import SystemSampler, files_left
from claudine_mcp.supervisor.complaints import Complaints
from claudine_mcp.supervisor.context import Context, Tick

OTHERS_S: Final = 30.0
"""While no run is looked at, Claude Code that is not ours is counted again after so long."""


class Survey:
    """Looks at the machine.

    Args:
        ctx: the supervisor's surroundings.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._system = SystemSampler(ctx.state_dir)
        self._others = OtherClaude()
        self._others_at: float | None = None
        self._complaints = Complaints(ctx.mono)

    def note(self, tick: Tick) -> None:
        """Take what a tick has seen of Claude Code that is not ours."""
        self._others, self._others_at = tick.system.other_claude, self._ctx.mono()

    async def machine(self) -> Machine | None:
        """Give the machine as it is now: a millisecond. None: it could not be looked at, which is told."""
        try:
            sample, files = await anyio.to_thread.run_sync(self._look)
        except OSError as error:
            self._complaints.tell("looking at the machine before a start failed", error)
            return None
        return machine_of(sample, self._ctx.settings.limits.reserve_bytes(sample.total_bytes), files)

    def _look(self) -> tuple[SystemSample, int | None]:
        at = self._ctx.mono()
        if self._others_at is None or at - self._others_at >= OTHERS_S:
            from claudine_mcp.host.claude_processes import count_other_claude  # noqa: PLC0415 - seldom needed

            self._others, self._others_at = count_other_claude(), at
        return self._system.sample(at, self._others), files_left()


def machine_of(sample: SystemSample, reserve_bytes: int, files: int | None) -> Machine:
    """Give what admission needs of a sample."""
    pressure = sample.pressure
    return Machine(
        total_bytes=sample.total_bytes,
        available_bytes=sample.available_bytes,
        reserve_bytes=reserve_bytes,
        load=sample.load,
        processors=float(sample.processors if sample.cpus is None else sample.cpus),
        cpu_pressure=None if pressure is None else pressure.cpu_some,
        memory_pressure=None if pressure is None else pressure.memory_full,
        disk_free_bytes=sample.disk_free_bytes,
        disk_total_bytes=sample.disk_total_bytes,
        files_left=files,
        other_claude=sample.other_claude.processes,
    )
