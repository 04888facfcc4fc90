"""The tick: all runs and the machine are looked at, what was seen is recorded, and handed to whoever judges it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final

import anyio
import anyio.to_thread

from claudine_mcp.core.errors import LeaseLost
from claudine_mcp.core.samples import TreeSample
from claudine_mcp.host.forest import Root
from claudine_mcp.host.sampling import TreeSampler
from claudine_mcp.host.system import SystemSampler
from claudine_mcp.registry.ballast import Ballast, is_full
from claudine_mcp.registry.tasks import existing_ids
from claudine_mcp.supervisor.complaints import Complaints
from claudine_mcp.supervisor.context import Context, Tick
from claudine_mcp.supervisor.log_limits import LogLimits
from claudine_mcp.supervisor.recording import Recorder
from claudine_mcp.supervisor.watcher import Watcher

TIDY_EVERY_S: Final = 3600.0
HURRY_S: Final = 0.1
"""Between two looks at a stream that grows fast."""
AGAIN_AFTER_S: Final = 5.0

Judge = Callable[[Tick], Awaitable[None]]
"""Is called once a tick with what was seen; not while there is nothing to be seen. If it fails, others go on."""
Rest = Callable[[], Awaitable[None]]
"""Is called once a tick while there is no run."""


class Sampler:
    """Looks at all runs once a tick, for as long as there are any. It looks in a thread: nobody waits for it.

    Args:
        ctx: the supervisor's surroundings.
        watchers: the runs that are followed, by run id.
        ballast: given up when the disk is found full.
        judges: what is done about what was seen, in this order.
        rests: what is done while there is no run, in this order.
    """

    def __init__(
        self,
        ctx: Context,
        watchers: Mapping[str, Watcher],
        ballast: Ballast,
        judges: Sequence[Judge] = (),
        rests: Sequence[Rest] = (),
    ) -> None:
        self._ctx = ctx
        self._ballast = ballast
        self._judges = judges
        self._rests = rests
        self._logs = LogLimits(ctx, watchers)
        self._system = SystemSampler(ctx.state_dir)
        self._recorder = Recorder(ctx.state_dir, self._interval_s())
        self._trees: TreeSampler | None = None
        self._looking = anyio.Lock()
        self._tidy_at = ctx.mono()
        self._complaints = Complaints(ctx.mono)

    async def keep_sampling(self) -> None:
        """Make a tick every `monitoring.sampleInterval`, for ever; one that fails is logged, and others follow.

        Raises:
            LeaseLost: another supervisor has taken over.
        """
        while True:
            due_at = self._ctx.mono() + self._interval_s()
            try:
                await self.tick()
                while self._logs.is_hurried and self._ctx.mono() + HURRY_S < due_at:
                    await anyio.sleep(HURRY_S)
                    await self._limit_logs()
            except LeaseLost:
                raise
            except Exception as error:  # noqa: BLE001 - it is told of
                self._complain("a tick failed", error)
                due_at += AGAIN_AFTER_S
            await anyio.sleep(max(0.0, due_at - self._ctx.mono()))

    async def tick(self) -> None:
        """Look at everything once."""
        try:
            seen = await self._look(record=True)
        finally:
            await self._by_itself("limiting output failed", self._logs.enforce())
        if seen is None:
            if not self._ctx.observed:
                for rest in self._rests:
                    await self._by_itself("a rest failed", rest())
            return
        for judge in self._judges:
            await self._by_itself("a judge failed", judge(seen))
        if self._ctx.mono() >= self._tidy_at:
            self._tidy_at = self._ctx.mono() + TIDY_EVERY_S
            await self._by_itself("tidying the series failed", self._tidy())

    async def _by_itself(self, what: str, work: Awaitable[None]) -> None:
        """Do a part of a tick that no other part depends on; if it fails, that is told."""
        try:
            await work
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 - it is told of
            self._complain(what, error)

    def _complain(self, what: str, error: Exception) -> None:
        if is_full(error):
            self._ballast.release()
        self._complaints.tell(what, error)

    async def weigh(self, run_ids: Collection[str]) -> dict[str, TreeSample]:
        """Sample some runs now, with their true memory (PSS): before something is done because of it."""
        seen = await self._look(weigh=run_ids)
        return {} if seen is None else {run: sample for run, sample in seen.runs.items() if run in run_ids}

    def close(self) -> None:
        """Write down what is left, and let go of everything."""
        self._rest()
        self._recorder.close()

    async def _look(self, *, weigh: Collection[str] = (), record: bool = False) -> Tick | None:
        """Look at the runs whose keepers have said where they begin; None: there are none, or nobody wants to know."""
        async with self._looking:
            begun = {run: seen for run, seen in self._ctx.observed.items() if seen.main is not None}
            roots = {run: seen.root() for run, seen in begun.items()}
            folders = {run: seen.path for run, seen in begun.items()}
            is_wanted = self._ctx.settings.monitoring.enabled
            if not (roots and is_wanted):
                self._rest()
            if not roots:
                await anyio.to_thread.run_sync(self._recorder.rest, self._ctx.wall())
                return None

            def look() -> Tick | None:
                printed = self._logs.measure(folders)
                return self._sample(roots, printed, weigh, record=record) if is_wanted else None

            return await anyio.to_thread.run_sync(look)

    def _sample(
        self, roots: Mapping[str, Root], printed: Mapping[str, int], weigh: Collection[str], *, record: bool
    ) -> Tick:
        if self._trees is None:
            self._trees = TreeSampler()
        at = self._ctx.mono()
        wanted = self._ctx.wanted
        weigh = {*weigh, *wanted.weight} if record else weigh
        try:
            runs = self._trees.sample(roots, printed, at, weigh=weigh, look_into=wanted.wait_channels)
            system = self._system.sample(at, self._trees.other_claude(at))
        except Exception:
            self._rest()  # what it knows may not fit together any more; the next look begins anew
            raise
        if record:
            self._recorder.take(self._ctx.wall(), runs, system)
        return Tick(runs, system, self._logs.sizes)

    async def _limit_logs(self) -> None:
        """Look at the streams alone."""
        async with self._looking:
            folders = {run: seen.path for run, seen in self._ctx.observed.items()}
            await anyio.to_thread.run_sync(self._logs.measure, folders)
        await self._logs.enforce()

    async def _tidy(self) -> None:
        async with self._ctx.db.read() as tx:
            known = await existing_ids(tx)
        kept_s = self._ctx.settings.retention.samples / 1000
        async with self._looking:
            await anyio.to_thread.run_sync(self._recorder.tidy, self._ctx.wall(), kept_s, known)

    def _rest(self) -> None:
        """There is nothing to look at: let go of what is open."""
        if self._trees is not None:
            self._trees.close()
            self._trees = None

    def _interval_s(self) -> float:
        return self._ctx.settings.monitoring.sample_interval / 1000
