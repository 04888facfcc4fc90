"""When checkpoints are made without being asked for, and when refs of ours go: at intervals, at ends, by a sweep."""

from __future__ import annotations

import logging
from collections.abc import Collection, Coroutine, Mapping
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.abc
import anyio.to_thread

from claudine_mcp.core.errors import ClaudineError, LeaseLost, TaskNotFound
from claudine_mcp.core.states import State
from claudine_mcp.core.worktree import working_folder
from claudine_mcp.registry.checkpoints import all_refs, unkept_ends
from claudine_mcp.registry.commands import open_commands
from claudine_mcp.registry.tasks import get_task, tasks_in
from claudine_mcp.registry.watched import own_settings
from claudine_mcp.supervisor.checkpoints import END, INTERVAL, Checkpoints
from claudine_mcp.supervisor.context import Context
from claudine_mcp.supervisor.watcher import Watcher

log = logging.getLogger(__name__)

KEY: Final = "monitoring.checkpointInterval"
TICKS_A_LOOK: Final = 5
SWEEP_EVERY_S: Final = 3600.0
ENDED_WITHIN_S: Final = 600.0
"""Of a run that ended longer ago without its checkpoint, since a supervisor died, the work tree tells nothing."""


class Checkpointing:
    """Has checkpoints made.

    Args:
        ctx: the supervisor's surroundings.
        watchers: the runs that are followed, by run id.
        checkpoints: who makes them.
    """

    def __init__(self, ctx: Context, watchers: Mapping[str, Watcher], checkpoints: Checkpoints) -> None:
        self._ctx = ctx
        self._watchers = watchers
        self._checkpoints = checkpoints
        self._looked_at: dict[str, float] = {}
        self._sweep_at = ctx.mono()
        self._ends: set[str] = set()

    @property
    def is_busy(self) -> bool:
        """Whether one is being made, or is about to be."""
        return bool(self._checkpoints.making or self._ctx.ended or self._ends)

    async def run(self) -> None:
        """Make them until this is cancelled."""
        await self._find_ends()
        async with anyio.create_task_group() as group:
            self._checkpoints.group = group
            ticks = 0
            while True:
                while self._ctx.ended:
                    task_id = self._ctx.ended.pop()
                    self._ends.add(task_id)
                    group.start_soon(self._at_end, task_id)
                if ticks % TICKS_A_LOOK == 0:
                    await self._guarded("looking at intervals", self._at_intervals(group))
                if self._ctx.refs_due or self._ctx.mono() >= self._sweep_at:
                    self._ctx.refs_due = False
                    self._sweep_at = self._ctx.mono() + SWEEP_EVERY_S
                    await self._guarded("sweeping refs", self.sweep())
                ticks += 1
                await anyio.sleep(self._ctx.settings.monitoring.sample_interval / 1000)

    async def _find_ends(self) -> None:
        """Find runs whose end a supervisor before this one has written down, and not kept."""
        async with self._ctx.db.read() as tx:
            self._ctx.ended += await unkept_ends(tx, END, self._ctx.wall() - ENDED_WITHIN_S)

    async def _guarded(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        """Do something of which a failure concerns nobody else."""
        try:
            await work
        except (LeaseLost, TaskNotFound) as error:
            if isinstance(error, LeaseLost):
                raise
        except Exception:
            log.exception("%s failed", what)

    async def _at_end(self, task_id: str) -> None:
        try:
            await self._guarded(f"the last checkpoint of task {task_id}", self._automatic(task_id, END))
        finally:
            self._ends.discard(task_id)

    async def _at_intervals(self, group: anyio.abc.TaskGroup) -> None:
        """Begin checkpoints of runs whose interval is over."""
        if not self._watchers:
            self._looked_at.clear()
            return
        now = self._ctx.mono()
        async with self._ctx.db.read() as tx:
            own = await own_settings(tx)
            running = {task.id: task for task in await tasks_in(tx, [State.RUNNING])}
        self._looked_at = {id_: self._looked_at.get(id_, now) for id_ in running}
        for task in running.values():
            default = self._ctx.settings.monitoring.checkpoint_interval
            chosen = {KEY: default, **task.spec.get("settings", {}), **own.get(task.id, {})}[KEY]
            if now - self._looked_at[task.id] >= chosen / 1000:
                self._looked_at[task.id] = now
                group.start_soon(
                    self._guarded, f"a checkpoint of task {task.id}", self._automatic(task.id, INTERVAL)
                )

    async def _automatic(self, task_id: str, cause: str) -> None:
        """Make a checkpoint unless there is nothing to keep, or nothing new."""
        async with self._ctx.db.read() as tx:
            task = await get_task(tx, task_id)
        place = working_folder(task)
        is_in_repository = any((folder / ".git").exists() for folder in (place, *place.parents))
        if task.run == 0 or not (is_in_repository or task.session_id):
            return
        if cause == END:
            await self._checkpoints.make(task, cause)
        else:
            await self._checkpoints.make_if_changed(task, cause)

    async def sweep(self) -> None:
        """Delete refs of ours that no checkpoint has, and what was remembered of work trees without any."""
        async with self._checkpoints.gate:
            async with self._ctx.db.read() as tx:
                kept = await all_refs(tx)
                commands = await open_commands(tx)
            making = {*self._checkpoints.making}
            making |= {item.args.get("checkpointId", item.id) for item in commands} | {
                item.id for item in commands
            }
            await anyio.to_thread.run_sync(sweep_refs, self._ctx.state_dir, kept, making)


def sweep_refs(state_dir: Path, kept: Collection[str], making: Collection[str]) -> None:
    """Delete refs of this state directory that are not to be kept. Blocks.

    Args:
        state_dir: whose refs they are.
        kept: refs of checkpoints.
        making: ids of checkpoints that are being made.
    """
    from claudine_mcp.host.shadow import (  # noqa: PLC0415 - needs git
        discard_shadow,
        kept_ref,
        known_tops,
        our_refs,
        place_of_refs,
    )
    from claudine_mcp.host.snapshots import delete_refs, refs_of  # noqa: PLC0415
    from claudine_mcp.host.work_trees import NoWorkTree  # noqa: PLC0415

    tops = known_tops(state_dir)
    if not tops:
        return
    ours = our_refs(state_dir)
    newest = {kept_ref(state_dir, top) for top in tops.values()}
    for path, top in tops.items():
        try:
            place = place_of_refs(path, top)
            refs = refs_of(place, ours)
            left = [ref for ref in refs if ref not in newest and ref.rpartition("/")[2] not in making]
            orphans = [ref for ref in left if ref not in kept]
            is_used = bool(making) or any(ref in kept for ref in left)
            delete_refs(place, orphans if is_used else [*orphans, kept_ref(state_dir, top)])
        except NoWorkTree:
            is_used = False
        except (ClaudineError, OSError) as error:
            log.info("refs in %s are looked at again later: %s", top, error)
            continue
        if not is_used:
            discard_shadow(path)
