"""Signs of life: that a run has printed something, told now and then, and never what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from claudine_mcp.registry.events import add_event
from claudine_mcp.supervisor import announce
from claudine_mcp.supervisor.context import Context, Stream, Tick

EVERY_S: Final = 10.0
"""A task's signs of life are told no more often than that."""


class Heartbeat:
    """Tells that runs print.

    Args:
        ctx: the supervisor's surroundings.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._told: Mapping[Stream, int] = {}
        self._told_at: dict[str, float] = {}

    async def judge(self, tick: Tick) -> None:
        """Tell of the streams that have grown since that was told last."""
        now = self._ctx.mono()
        told = {
            stream: self._told.get(stream, self._old(stream, size)) for stream, size in tick.printed.items()
        }
        self._told_at = {run: at for run, at in self._told_at.items() if run in tick.runs}
        grown: dict[str, dict[str, int]] = {}
        for stream, size in tick.printed.items():
            is_due = now - self._told_at.get(stream.run_id, -EVERY_S) >= EVERY_S
            if size > told[stream] and is_due and stream.run_id in tick.runs:
                grown.setdefault(stream.run_id, {})[stream.name] = size - told[stream]
                told[stream] = size
        if not grown:
            self._told = told
            return
        async with self._ctx.db.write() as tx:
            for run_id, more in grown.items():
                await add_event(tx, announce.active(run_id, more, self._ctx.wall()))
        self._told = told
        self._told_at |= dict.fromkeys(grown, now)

    def _old(self, stream: Stream, size: int) -> int:
        """Give how much of a stream that is new here is no news: all of it in runs older than this supervisor."""
        run = self._ctx.observed.get(stream.run_id)
        return size if run is None or run.launched is None else 0
