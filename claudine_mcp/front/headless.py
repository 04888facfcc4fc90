"""A plain `claude -p`: it ends with its turn, so that nothing can tell it of its tasks later. It is made to wait."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence

from claudine_mcp.core.alerts import is_alert
from claudine_mcp.core.models import Task
from claudine_mcp.core.pointers import notice, one_line
from claudine_mcp.core.units import human_duration
from claudine_mcp.front.clients import caller_of
from claudine_mcp.front.front import LOOK_EVERY_S, Front
from claudine_mcp.front.news import News, of_own_tasks
from claudine_mcp.registry.bell import listen
from claudine_mcp.registry.submitted import going_on

GOES_ON_AT_MOST = 8
"""How often in a row Claude Code lets a hook keep a turn from ending; it complains of the next."""
EARLY_AT_MOST = 6
"""How often for a warning while tasks run; what is left of the eight is for their end."""
NAMED = 5
INTERACTIVE = "cli"
"""CLAUDE_CODE_ENTRYPOINT of a terminal's; that of `claude -p` is "sdk-cli"."""


def ends_with_its_turn(env: Mapping[str, str], claude_pid: int) -> bool:
    """Whether a Claude Code leaves when it has answered: nobody can give it another prompt.

    Args:
        env: what it gave its server.
        claude_pid: of it.
    """
    is_interactive = env.get("CLAUDE_CODE_ENTRYPOINT", INTERACTIVE) == INTERACTIVE
    return not is_interactive and takes_one_prompt(_argv_of(claude_pid))


def takes_one_prompt(argv: Sequence[str]) -> bool:
    """Whether a command line is that of a run with one prompt; not with a program that goes on speaking to it."""
    streams = ("--input-format", "stream-json") in itertools.pairwise(argv)
    return bool(argv) and not streams and "--input-format=stream-json" not in argv


def _argv_of(pid: int) -> list[str]:
    """Give the command line of a process, empty if it cannot be read."""
    import psutil  # noqa: PLC0415 - needed at the end of a `claude -p` only

    try:
        return psutil.Process(pid).cmdline()
    except (psutil.Error, OSError):
        return []


class Waiting:
    """Keeps the turn of a `claude -p` from ending while tasks that it delegated go on.

    Args:
        front: the caller's side of the state directory.
        news: of the caller.
    """

    def __init__(self, front: Front, news: News) -> None:
        self._front = front
        self._news = news
        self._times = 0
        self._until = 0.0
        self._given_up = False

    async def wait(self, limit_s: float, *, again: bool) -> str | None:
        """Wait for the tasks' ends, or for a warning; give what the turn is to go on with, None: it may end.

        Args:
            limit_s: for how long at most, counted from the first time that the turn would have ended.
            again: the turn went on before because of this.
        """
        if not again or not self._until:  # a hook of somebody else may have made the turn go on
            self._times, self._until, self._given_up = 0, time.monotonic() + limit_s, False
        if self._times >= GOES_ON_AT_MOST or self._given_up:
            return None
        with listen(self._front.db.bell) as listener:
            while True:
                left_s = self._until - time.monotonic()
                told = await self._tell(limit_s, left_s)
                if told is not None:
                    self._times += 1
                    return told or None
                await listener.wait(min(LOOK_EVERY_S, max(left_s, 0)))

    async def _tell(self, limit_s: float, left_s: float) -> str | None:
        """Give what there is to say now, "" if the turn may end, None if there is something to wait for."""
        is_over = left_s <= 0
        async with self._front.db.read() as tx:
            running = await going_on(tx, caller_of(self._front).session, time.time() + left_s)
        async with self._front.telling:
            events = await of_own_tasks(self._front, await self._news.untold())
            is_early = self._times < EARLY_AT_MOST and any(is_alert(event) for event in events)
            if running and not is_over and not is_early:
                return None
            await self._news.told(events)
        self._given_up = is_over
        happened = notice(events) if events else ""
        return "\n".join(filter(None, [happened, _left(running, limit_s, is_over=is_over)]))


def _left(running: Sequence[Task], limit_s: float, *, is_over: bool) -> str:
    if not running:
        return ""
    named = ", ".join(f"{one_line(task.name)} ({task.id})" for task in running[:NAMED])
    more = f" and {len(running) - NAMED} more" if len(running) > NAMED else ""
    if is_over:
        waited = human_duration(limit_s)
        return (
            f"Not ended after {waited} (notifications.stopWait): {named}{more}. This session waits no longer, and they "
            "go on without it: say so in your last words, with their ids."
        )
    return (
        f"Not ended yet: {named}{more}. Do what is needed now and end your turn: this session waits for them."
    )
