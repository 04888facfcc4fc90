"""All events of a state directory, heard as they come, for tests that follow many tasks at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import NoReturn

import anyio

from claudine_mcp.core.models import Event
from claudine_mcp.front.front import Front
from claudine_mcp.registry.events import events_after

LOOK_EVERY_S = 0.5


class Hearing:
    """Reads new events again and again.

    Attributes:
        told: the events of each task, oldest first; under None, those of no task.
    """

    def __init__(self, front: Front) -> None:
        self.told: defaultdict[str | None, list[Event]] = defaultdict(list)
        self._front = front
        self._looked = anyio.Event()
        self._last_seq = 0

    async def look(self) -> None:
        """Read what is new."""
        async with self._front.db.read() as tx:
            events = await events_after(tx, self._last_seq, limit=10_000)
        for event in events:
            self.told[event.task_id].append(event)
            self._last_seq = event.seq or self._last_seq
        self._looked.set()
        self._looked = anyio.Event()

    async def listen(self) -> NoReturn:
        """Read what is new, for ever."""
        while True:
            await self.look()
            await anyio.sleep(LOOK_EVERY_S)

    async def until(self, condition: Callable[[], bool], within_s: float) -> None:
        """Wait, while another listens, until something was told; or not for longer than this."""
        with anyio.move_on_after(within_s):
            while not condition():
                await self._looked.wait()
