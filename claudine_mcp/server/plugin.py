"""What a server does for the plugin that started it: its monitor is told what happens, its hooks are answered.

The two tools are hidden from the model (`ui.visibility`); hooks of type `mcp_tool` call them. Their answers are the
JSON that Claude Code takes from a hook, as text.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import anyio
from mcp.server import MCPServer
from pydantic import Field

from claudine_mcp.core.errors import ClaudineError
from claudine_mcp.server.session import AGAIN_AFTER_S, STAND_BY_AFTER_S, Session, told_to_the_model

if TYPE_CHECKING:
    from claudine_mcp.front.headless import Waiting
    from claudine_mcp.front.monitor_file import MonitorFile
    from claudine_mcp.front.news import News

log = logging.getLogger(__name__)

MONITOR_DIR = "CLAUDINE_MONITOR_DIR"
"""Set by the plugin: where its monitors have their files."""
HIDDEN = {"ui": {"visibility": ["app"]}}
NOTHING = "{}"


class Plugin:
    """The plugin's side of a server.

    Args:
        session: what its tools work with.
        env: the environment that Claude Code gave this server.
    """

    def __init__(self, session: Session, env: Mapping[str, str]) -> None:
        self._session = session
        self._env = env
        self._news: News | None = None
        self._file: MonitorFile | None = None
        self._waiting: Waiting | None = None
        self._opening = anyio.Lock()

    async def keep_woken(self) -> None:
        """Tell the monitor what happens, for as long as this client lives."""
        await anyio.sleep(STAND_BY_AFTER_S)
        while True:
            try:
                from claudine_mcp.front.waking import keep_woken  # noqa: PLC0415 - start-up time

                news, file = await self._open()
                await keep_woken(await self._session.front(), news, file)
            except (ClaudineError, OSError) as error:
                log.warning("the monitor cannot be told: %s", error)
                await anyio.sleep(AGAIN_AFTER_S)

    async def tell(self, event: str, agent_id: str) -> str:
        """Give a hook what is news. A subagent has other things to do; its session is told."""
        if agent_id:
            return NOTHING
        from claudine_mcp.core.pointers import notice  # noqa: PLC0415 - start-up time

        news, _ = await self._open()
        async with (await self._session.front()).telling:
            events = await news.untold()
            await news.told(events)
        return _context(event, notice(events)) if events else NOTHING

    async def hold(self, *, again: bool) -> str:
        """Let a turn end, or go on with what has become of the tasks; a plain `claude -p` waits for them first."""
        from claudine_mcp.front.headless import Waiting, ends_with_its_turn  # noqa: PLC0415 - start-up time

        if not ends_with_its_turn(self._env, os.getppid()):
            return NOTHING
        front = await self._session.front()
        limit_s = (await front.settings()).settings.notifications.stop_wait / 1000
        if not limit_s:
            return NOTHING
        if self._waiting is None:
            news, _ = await self._open()
            self._waiting = Waiting(front, news)
        told = await self._waiting.wait(limit_s, again=again)
        return NOTHING if told is None else _context("Stop", told)

    async def _open(self) -> tuple[News, MonitorFile]:
        from claudine_mcp.front.monitor_file import MonitorFile  # noqa: PLC0415 - start-up time
        from claudine_mcp.front.news import News  # noqa: PLC0415

        async with self._opening:
            front = await self._session.front()
            if self._file is None:
                self._file = MonitorFile(Path(self._env[MONITOR_DIR]), os.getppid())
            if self._news is None:
                kept = self._file.cursor()
                cursor = self._session.began if kept is None else kept
                self._news = News(front, cursor, self._session.calls.fates)
        return self._news, self._file


def _context(event: str, text: str) -> str:
    return json.dumps({"hookSpecificOutput": {"hookEventName": event, "additionalContext": text}})


def register(server: MCPServer[Session], plugin: Plugin) -> None:
    """Add the tools that hooks call."""

    async def TellSession(  # noqa: N802 - the interface's spelling
        event: Annotated[Literal["UserPromptSubmit", "PostToolBatch"], Field(description="the hook's event")],
        agentId: Annotated[str, Field(description="of the subagent that it is in; empty: in none")] = "",
    ) -> str:
        """For the plugin's hooks: what the session should know now."""
        return await plugin.tell(event, agentId)

    async def HoldSession(  # noqa: N802
        goesOn: Annotated[Literal["true", "false"], Field(description="whether a hook made the turn go on")],
    ) -> str:
        """For the plugin's hooks: at the end of a plain `claude -p`, wait for the tasks that it delegated."""
        return await plugin.hold(again=goesOn == "true")

    for tool in (TellSession, HoldSession):
        server.add_tool(told_to_the_model(tool), meta=HIDDEN, structured_output=False)
