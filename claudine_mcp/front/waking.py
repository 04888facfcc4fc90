"""Waking a session that is idle: what it should know becomes a line of its monitor."""

from __future__ import annotations

import anyio

from claudine_mcp.core.pointers import pointer
from claudine_mcp.front.following import newest_event
from claudine_mcp.front.front import Front
from claudine_mcp.front.monitor_file import MonitorFile
from claudine_mcp.front.news import News
from claudine_mcp.registry.bell import listen

LINE_EVERY_S = 2.0
"""Claude Code takes so many lines of a monitor, and drops others."""
SETTLE_S = 0.1
"""What one cause brings comes in one line."""
LOOK_EVERY_S = 10.0
"""For snoozes that are over, a call that was given up, a monitor that came late."""


async def keep_woken(front: Front, news: News, file: MonitorFile) -> None:
    """Tell the monitor of all that is news. Does not return.

    Raises:
        ClaudineError: the registry cannot be used.
        OSError: the file cannot be written.
    """
    looked, was_rung, was_read = -1, True, False
    with listen(front.db.bell) as listener:
        while True:
            cursor = await newest_event(front)
            # The bell rings for much that is no event.
            if (cursor != looked or not was_rung) and file.is_read():
                if not was_read:
                    file.keep_cursor(news.settled)
                    was_read = True
                if await _tell(front, news, file):
                    await anyio.sleep(LINE_EVERY_S)
                    continue
            looked = cursor
            was_rung = await listener.wait(LOOK_EVERY_S)
            await anyio.sleep(SETTLE_S)


async def _tell(front: Front, news: News, file: MonitorFile) -> bool:
    """Write one line about all that is news; False: nothing is."""
    async with front.telling:
        events = await news.untold(waking=True)
        if events:
            file.append(pointer(events))
            await news.told(events)
            file.keep_cursor(news.settled)
    return bool(events)
