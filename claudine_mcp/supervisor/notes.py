"""What the output of all runs tells: read as it comes, and written down together, once a second."""

from __future__ import annotations

from collections.abc import Mapping

from claudine_mcp.core.errors import TaskNotFound
from claudine_mcp.core.models import Run
from claudine_mcp.core.progress.model import Progress
from claudine_mcp.host.days import day_of
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.events import add_event
from claudine_mcp.registry.spending import note_costs
from claudine_mcp.registry.tasks import get_task, store_seen
from claudine_mcp.supervisor import announce
from claudine_mcp.supervisor.context import Context
from claudine_mcp.supervisor.watcher import Watcher

WRITE_EVERY_S = 1.0
"""One transaction a second costs what one does; one a run and second, with twenty runs, a tenth of a core."""


class Notes:
    """Reads what runs print, and keeps in the registry what that tells.

    Args:
        ctx: the supervisor's surroundings.
        watchers: the runs that are followed, by run id.
    """

    def __init__(self, ctx: Context, watchers: Mapping[str, Watcher]) -> None:
        self._ctx = ctx
        self._watchers = watchers
        self._written_at = ctx.mono() - WRITE_EVERY_S

    def read(self) -> None:
        """Read what was printed, and wake the watchers to which that gives something to do."""
        for watcher in self._watchers.values():
            if watcher.read_output():
                watcher.wake.set()

    def due_in_s(self) -> float | None:
        """Give in how many seconds something is to be written; None if nothing is."""
        if not any(watcher.may_have_news() for watcher in self._watchers.values()):
            return None
        return max(0.0, self._written_at + WRITE_EVERY_S - self._ctx.mono())

    async def write(self) -> None:
        """Write down what is new, if it is time."""
        if self.due_in_s() != 0:
            return
        self._written_at = self._ctx.mono()
        async with self._ctx.db.write() as tx:
            # Taken inside: what a run's end has written meanwhile must not be followed by what was before.
            told = [(each, news) for each in self._watchers.values() if (news := each.news()) is not None]
            if told:
                await store_seen(tx, [(each.run, news.shown, news.state) for each, news in told])
                costs = [(each.run, news.shown) for each, news in told]
                await note_costs(tx, costs, day_of(self._ctx.wall()))
            for each, news in told:
                if news.progress is not None:
                    await self._announce(tx, each.run, news.progress)
        for each, news in told:
            each.keep(news)

    async def _announce(self, tx: Transaction, run: Run, progress: Progress) -> None:
        try:
            task = await get_task(tx, run.task_id)
        except TaskNotFound:
            return  # its watcher will see that, too
        await add_event(tx, announce.progress(task, run, progress, self._ctx.wall()))
