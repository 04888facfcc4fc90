"""What tasks need and how long they take is learnt: from every look at what runs, and from every end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from claudine_mcp.core.classes import TaskClass, class_of
from claudine_mcp.core.history.memory import Memory
from claudine_mcp.core.models import Command, Task
from claudine_mcp.registry.commands import finish_command
from claudine_mcp.registry.demand import forget_demand, load_demand, store_demand, task_class
from claudine_mcp.supervisor.context import Context, RunEnd, Tick
from claudine_mcp.supervisor.watcher import Watcher

STORE_EVERY_S: Final = 30.0
"""What a supervisor that dies has learnt since is lost."""
STORE_AN_END_AFTER_S: Final = 1.0
"""The same for ends, which are rarer and tell more."""
TIDY_EVERY_S: Final = 3600.0
TOGETHER_S: Final = 5.0
"""So much of a run is taken for one thing seen: its mean."""
LONGEST_STEP_S: Final = 10.0
"""More between two looks is a pause of whoever looks."""


@dataclass(slots=True)
class _Learnt:
    """What was seen of a run and is not yet part of what is known."""

    of: TaskClass
    memory: Memory = field(default_factory=Memory)
    looked_at: float | None = None
    byte_seconds: float = 0.0
    seconds: float = 0.0
    most_bytes: int = 0


class Learning:
    """Keeps `Context.demand` true, and what of it has changed in the registry.

    Args:
        ctx: the supervisor's surroundings; its `demand`, `memory` and `run_ended` are set from here.
        watchers: the runs that are followed, by run id.
    """

    def __init__(self, ctx: Context, watchers: Mapping[str, Watcher]) -> None:
        self._ctx = ctx
        self._watchers = watchers
        self._learnt: dict[str, _Learnt] = {}
        self._over: set[str] = set()
        self._has_ends = False
        self._stored_at = ctx.mono()
        self._tidy_at = ctx.mono()
        ctx.run_ended = self._note_end

    async def recall(self) -> None:
        """Go on from what supervisors before this one have learnt."""
        async with self._ctx.db.read() as tx:
            self._ctx.demand = await load_demand(tx)

    async def judge(self, tick: Tick) -> None:
        """Learn from what one look has shown of each run that is not suspended and has not ended."""
        self._over &= tick.runs.keys()
        for run_id in self._learnt.keys() - tick.runs.keys():
            if run_id not in self._watchers:
                del self._learnt[run_id]
        step_s = self._ctx.settings.monitoring.sample_interval / 1000
        for run_id, sample in tick.runs.items():
            watcher = self._watchers.get(run_id)
            if watcher is None or run_id in self._over:
                continue
            learnt = self._learnt.get(run_id)
            if learnt is None:
                async with self._ctx.db.read() as tx:
                    of = await task_class(tx, watcher.task_id)
                if of is None:
                    continue
                learnt = self._learnt[run_id] = _Learnt(of)
            passed_s = step_s if learnt.looked_at is None else max(0.0, sample.at - learnt.looked_at)
            learnt.looked_at = sample.at
            learnt.memory.fold(sample, passed_s)
            if watcher.suspended_since is not None or not sample.processes:
                continue
            passed_s = min(passed_s, max(LONGEST_STEP_S, step_s))
            learnt.byte_seconds += learnt.memory.now_bytes * passed_s
            learnt.seconds += passed_s
            learnt.most_bytes = max(learnt.most_bytes, learnt.memory.now_bytes)
            if learnt.seconds >= TOGETHER_S:
                self._take(learnt)
        self._ctx.memory = {run_id: learnt.memory.now_bytes for run_id, learnt in self._learnt.items()}

    def _take(self, learnt: _Learnt) -> None:
        if learnt.seconds > 0:
            mean_bytes = round(learnt.byte_seconds / learnt.seconds)
            self._ctx.demand.note_use(learnt.of, mean_bytes, learnt.seconds, self._ctx.wall())
        learnt.byte_seconds = learnt.seconds = 0.0

    def _note_end(self, task: Task, end: RunEnd) -> None:
        """Learn from the end of a run, once it is committed."""
        run_id = f"{task.id}.{task.run}"
        self._over.add(run_id)
        learnt = self._learnt.pop(run_id, None)
        of = class_of(task.kind, task.cwd, task.spec, task.labels) if learnt is None else learnt.of
        now = self._ctx.wall()
        if learnt is not None:
            self._take(learnt)
            if end.is_short_of_memory and learnt.most_bytes:
                self._ctx.demand.note_short(of, learnt.most_bytes, now)
        self._ctx.demand.note_run(of, end.ran_s, now, is_censored=end.is_censored)
        self._has_ends = True

    async def keep(self, *, now: bool = False) -> None:
        """Store what has changed, if it is time to; `now`: whether that or not."""
        mono, demand = self._ctx.mono(), self._ctx.demand
        passed_s = mono - self._stored_at
        is_due = passed_s >= (STORE_AN_END_AFTER_S if self._has_ends else STORE_EVERY_S)
        if not (is_due or now):
            return
        expired = demand.expired(self._ctx.wall()) if mono >= self._tidy_at or demand.is_full else []
        if not (demand.has_changed or expired):
            return
        for key in expired:
            demand.forget(key)
        changed = demand.changed()
        try:
            async with self._ctx.db.write() as tx:
                await store_demand(tx, changed)
                await forget_demand(tx, expired)
        except BaseException:
            demand.unsaved(changed)
            raise
        self._has_ends = False
        self._stored_at = mono
        self._tidy_at = mono + TIDY_EVERY_S if mono >= self._tidy_at else self._tidy_at

    async def forget(self, command: Command) -> None:
        """Carry out that what is known of some classes is forgotten, or all of it."""
        demand = self._ctx.demand
        wanted: list[str] | None = command.args["classes"]
        keys = list(demand.records) if wanted is None else [key for key in wanted if key in demand.records]
        async with self._ctx.db.write() as tx:
            await forget_demand(tx, keys)
            result = {"changed": bool(keys), "forgotten": len(keys)}
            await finish_command(tx, command.id, result, self._ctx.wall())
        for key in keys:
            demand.forget(key)
        for learnt in self._learnt.values():
            learnt.byte_seconds = learnt.seconds = 0.0
            learnt.most_bytes = 0
