"""The user's own program (`notifications.command`), told of what a person should know.

It is run once for each event, one at a time, with the event as JSON on its standard input. The cursor is stored
after each: a supervisor that dies in between has the next one tell the same event again, and none is left out.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable

import anyio

from claudine_mcp.core.alerts import is_notable
from claudine_mcp.core.errors import LeaseLost, RegistryError
from claudine_mcp.core.models import Event
from claudine_mcp.core.payload import event_payload
from claudine_mcp.registry.ballast import Ballast, is_full
from claudine_mcp.registry.events import events_after, last_seq
from claudine_mcp.registry.notified import forget_notified, notified, set_notified
from claudine_mcp.supervisor.context import Context

log = logging.getLogger(__name__)

PAGE = 200
AGAIN_AFTER_S = 5.0
"""When what could not be told, or noted, is tried again."""
LOOK_EVERY_S = 0.05
"""How often a program that runs is looked at."""
TOLD_BYTES = 400


class Notifier:
    """Runs the program.

    Args:
        ctx: the supervisor's surroundings.
        ballast: given up when the disk is found full.
        reap: takes the status of children that have ended.

    Attributes:
        is_busy: whether there is something that it has yet to tell.
    """

    def __init__(self, ctx: Context, ballast: Ballast, reap: Callable[[], None]) -> None:
        self._ctx = ctx
        self._ballast = ballast
        self._reap = reap
        self._news = anyio.Event()
        self._newest = -1
        self._told = 0
        self._has_forgotten = False
        self.is_busy = False

    async def look(self) -> None:
        """Have it look at what has happened, if anything has. Costs nothing where no program is configured."""
        if self._ctx.settings.notifications.command is None:
            await self._forget()
            return
        self._has_forgotten = False
        async with self._ctx.db.read() as tx:
            newest = await last_seq(tx)
        if newest != self._newest:
            self._newest = newest
            self.is_busy = True
            self._news.set()

    async def _forget(self) -> None:
        """Without a program nothing is told; and what happens until there is one is past."""
        if self._has_forgotten:
            return
        async with self._ctx.db.read() as tx:
            is_known = await notified(tx) is not None
        if is_known:
            async with self._ctx.db.write() as tx:
                await forget_notified(tx)
        self._has_forgotten, self._told = True, 0

    async def run(self) -> None:
        """Tell what happens. Does not return."""
        while True:
            await self._news.wait()
            self._news = anyio.Event()
            try:
                await self._tell()
            except LeaseLost:
                raise
            except (OSError, RegistryError) as error:
                if is_full(error):
                    self._ballast.release()
                log.error("notifications.command: %s", error)  # noqa: TRY400 - the text says it all
                self._newest = -1  # what was not told is looked for again
                await anyio.sleep(AGAIN_AFTER_S)
            self.is_busy = self._news.is_set()

    async def _tell(self) -> None:
        async with self._ctx.db.read() as tx:
            cursor = await notified(tx)
            newest = await last_seq(tx)
        if cursor is None:  # it is new: the past is not told
            await self._store(newest)
            return
        cursor = max(cursor, self._told)  # also what could not be noted
        while cursor < newest:
            async with self._ctx.db.read() as tx:
                events = await events_after(tx, cursor, limit=PAGE)
            for event in events:
                if is_notable(event):
                    await self._run_program(event)
                    self._told = event.seq
                    await self._store(event.seq)
            cursor = events[-1].seq if events else newest

    async def _store(self, cursor: int) -> None:
        async with self._ctx.db.write() as tx:
            await set_notified(tx, cursor)

    async def _run_program(self, event: Event) -> None:
        settings = self._ctx.settings.notifications
        if settings.command is None:
            return
        with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as said:
            told.write(json.dumps(event_payload(event), ensure_ascii=False).encode())
            told.seek(0)
            try:
                process = subprocess.Popen(  # noqa: ASYNC220 - reaped with all other children
                    settings.command, stdin=told, stdout=said, stderr=said, cwd="/", start_new_session=True
                )
            except OSError as error:
                log.error("notifications.command cannot be started: %s", error)  # noqa: TRY400
                return
            self._ctx.children[process.pid] = process
            with anyio.move_on_after(settings.command_timeout / 1000) as limit:
                await self._ended(process)
            if limit.cancelled_caught:
                os.killpg(process.pid, signal.SIGKILL)
                with anyio.CancelScope(shield=True):
                    await self._ended(process)
                log.error("notifications.command took longer than notifications.commandTimeout and was ended")
            elif process.returncode:
                said.seek(0)
                words = said.read(TOLD_BYTES).decode("utf-8", "replace").strip()
                log.error("notifications.command ended with %d: %s", process.returncode, words)

    async def _ended(self, process: subprocess.Popen[bytes]) -> None:
        while process.returncode is None:
            self._reap()
            if process.returncode is None:
                await anyio.sleep(LOOK_EVERY_S)
