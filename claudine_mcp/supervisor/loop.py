"""The supervisor: one a state directory, the only one that decides and that changes a task's state."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable

import anyio
import anyio.abc

from claudine_mcp.core.config import Settings
from claudine_mcp.core.errors import IllegalTransition, LeaseLost
from claudine_mcp.registry.ballast import Ballast, is_full
from claudine_mcp.registry.bell import Listener
from claudine_mcp.registry.commands import open_commands
from claudine_mcp.registry.events import add_event
from claudine_mcp.registry.tasks import (
    has_work,
    in_transition,
    runs_not_gone,
)
from claudine_mcp.supervisor import announce
from claudine_mcp.supervisor.admitting import Admitting
from claudine_mcp.supervisor.checkpointing import Checkpointing
from claudine_mcp.supervisor.complaints import Complaints
from claudine_mcp.supervisor.context import Context
from claudine_mcp.supervisor.diagnosis import Diagnosis
from claudine_mcp.supervisor.heartbeat import Heartbeat
from claudine_mcp.supervisor.learning import Learning
from claudine_mcp.supervisor.notes import Notes
from claudine_mcp.supervisor.notifier import Notifier
from claudine_mcp.supervisor.observation import reap
from claudine_mcp.supervisor.orders import Orders
from claudine_mcp.supervisor.protection import Protection
from claudine_mcp.supervisor.retention import Retention
from claudine_mcp.supervisor.sampling import Sampler
from claudine_mcp.supervisor.wakeup import Cause, Wakeup
from claudine_mcp.supervisor.watcher import Watcher
from claudine_mcp.supervisor.worktrees import Settling, settle

log = logging.getLogger(__name__)

BACKOFF_S = (0.2, 1.0, 5.0, 30.0)
HOUSEKEEPING_EVERY_S = 10.0


class Supervisor:
    """Follows every run and carries out every command.

    `step` is one pass; `run` makes passes for as long as there is work. Each run has a watcher, which is a
    task of its own, so that one that fails takes no other along.

    Args:
        ctx: the surroundings, with the epoch of the lease.
        reload: gives the settings in force after they were changed at run time.
    """

    def __init__(self, ctx: Context, reload: Callable[[], Awaitable[Settings]]) -> None:
        self._ctx = ctx
        self._reload = reload
        self._watchers: dict[str, Watcher] = {}
        self._notes = Notes(ctx, self._watchers)
        self._learning = Learning(ctx, self._watchers)
        self._orders = Orders(ctx, self._watchers, self._learning)
        self._checkpointing = Checkpointing(ctx, self._watchers, self._orders.checkpoints)
        self._ballast = Ballast(ctx.state_dir)
        self._admitting = Admitting(ctx, reload)
        self._retention = Retention(ctx)
        self._worktrees = Settling(ctx)
        diagnosis = Diagnosis(ctx, self._watchers)
        protection, controls = Protection(ctx, diagnosis), self._orders.controls
        judges = (
            Heartbeat(ctx).judge,
            diagnosis.judge,
            controls.judge,
            protection.judge,
            self._learning.judge,
            self._admitting.judge,
        )
        self._sampler = Sampler(ctx, self._watchers, self._ballast, judges, (diagnosis.rest, protection.rest))
        ctx.weigh = self._sampler.weigh
        self._notifier = Notifier(ctx, self._ballast, lambda: reap(ctx))
        self._complaints = Complaints(ctx.mono)
        self._group: anyio.abc.TaskGroup | None = None
        self._kept_house_at = ctx.mono() - HOUSEKEEPING_EVERY_S

    async def adopt(self) -> int:
        """Find every run that may have processes; give how many there are."""
        await self._learning.recall()
        async with self._ctx.db.read() as tx:
            found = await runs_not_gone(tx)
        for task, run in found:
            watcher = Watcher(self._ctx, task.id, run)
            watcher.found(task)
            self._follow(watcher)
        now = self._ctx.wall()
        async with self._ctx.db.write() as tx:
            await add_event(tx, announce.supervisor_started(self._ctx.db.epoch or 0, len(found), now))
        return len(found)

    def _follow(self, watcher: Watcher) -> None:
        self._watchers[watcher.run.id] = watcher
        if self._group is not None:
            self._group.start_soon(self._keep_watching, watcher)

    async def run(self, listener: Listener, idle_exit_s: float) -> None:
        """Make passes until there has been nothing to do for `idle_exit_s`.

        Raises:
            LeaseLost: another supervisor has taken over.
        """
        idle_since: float | None = None
        wakeup = Wakeup(listener)
        self._ctx.watch = wakeup.watch
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(wakeup.close)
            group = await stack.enter_async_context(anyio.create_task_group())
            self._group = group
            for service in (self._notifier, self._worktrees, self._checkpointing):
                group.start_soon(service.run)
            for watcher in list(self._watchers.values()):
                group.start_soon(self._keep_watching, watcher)
            group.start_soon(self._sampler.keep_sampling)
            cause = Cause.BELL_OR_CLOCK
            while True:
                if cause is Cause.OUTPUT and not self._orders.conversation.unseen:
                    await self._take_notes()
                    cause = await wakeup.wait(self._pause_s())
                    continue
                await self.step()
                if self._notifier.is_busy or self._checkpointing.is_busy or await self._has_work():
                    idle_since = None
                elif idle_since is None:
                    idle_since = self._ctx.mono()
                elif self._ctx.mono() - idle_since >= idle_exit_s:
                    await self._learning.keep(now=True)
                    group.cancel_scope.cancel()
                    return
                cause = await wakeup.wait(self._pause_s())

    async def _take_notes(self) -> None:
        """Read what runs have printed, without anything else that a pass does."""
        self._notes.read()
        with self._ballast.released_when_full():
            await self._notes.write()

    async def settle(self, listener: Listener) -> None:
        """Make passes, here and now, until nothing is between two states any more."""
        while True:
            await self.step()
            for watcher in list(self._watchers.values()):
                await watcher.step()
                self._drop_if_over(watcher)
            await self._take_notes()
            async with self._ctx.db.read() as tx:
                if not await in_transition(tx):
                    break
            await listener.wait(self._pause_s())
        await self._learning.keep(now=True)
        await settle(self._ctx)

    def close(self) -> None:
        """Let go of every run without touching it."""
        self._sampler.close()
        for watcher in self._watchers.values():
            watcher.seen.close()

    async def step(self) -> None:
        """Make one pass: beat, reap, wake the watchers that have something to do, carry out commands, admit."""
        self._beat()
        reap(self._ctx)
        for watcher in self._watchers.values():
            if watcher.due():
                watcher.wake.set()
        with self._ballast.released_when_full():
            await self._orders.reserving.sweep()
            await self._carry_out_commands()
            for watcher in await self._admitting.admit():
                self._follow(watcher)
            await self._learning.keep()
        await self._take_notes()
        await self._notifier.look()
        if self._ctx.mono() - self._kept_house_at >= HOUSEKEEPING_EVERY_S:
            self._kept_house_at = self._ctx.mono()
            self._ballast.restore()
            with self._ballast.released_when_full():
                await self._ctx.db.checkpoint()
                await self._retention.sweep()

    def _pause_s(self) -> float:
        waits = [self._ctx.settings.monitoring.sample_interval / 1000]
        waits += [
            wait
            for watcher in self._watchers.values()
            if (wait := watcher.next_look_in()) is not None and not watcher.wake.is_set()
        ]
        if (due_in := self._notes.due_in_s()) is not None:
            waits.append(due_in)
        times = (self._admitting.look_again_at, self._orders.reserving.ends_at)
        waits += [at - self._ctx.wall() for at in times if at is not None]
        return max(0.0, min(waits))

    def _beat(self) -> None:
        with contextlib.suppress(OSError):
            (self._ctx.state_dir / "beat").touch(mode=0o600)

    async def _has_work(self) -> bool:
        async with self._ctx.db.read() as tx:
            return await has_work(tx)

    async def _carry_out_commands(self) -> None:
        async with self._ctx.db.read() as tx:
            commands = await open_commands(tx)
        for command in commands:
            self._ctx.admission_due = True
            await self._orders.carry_out(command)
            if command.kind == "configure":
                self._ctx.settings = await self._reload()
        if commands:
            self._worktrees.wake()

    # -- watchers ---------------------------------------------------------------------------------------

    async def _keep_watching(self, watcher: Watcher) -> None:
        """Step a watcher whenever it is woken; one that fails is tried again, ever more slowly."""
        failures = 0
        while not watcher.over:
            watcher.wake = anyio.Event() if watcher.wake.is_set() else watcher.wake
            try:
                await watcher.step()
                failures = 0
            except LeaseLost:
                raise
            except IllegalTransition:
                watcher.look_in(0.0)  # it moved on between reading and writing
            except Exception as error:  # noqa: BLE001 - it is told of
                if is_full(error):
                    self._ballast.release()
                self._complaints.tell(f"run {watcher.run.id}: a step failed", error)
                await anyio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                failures += 1
                watcher.look_in(0.0)
            if not watcher.over:
                await watcher.wake.wait()
        self._drop_if_over(watcher)

    def _drop_if_over(self, watcher: Watcher) -> None:
        if not watcher.over:
            return
        self._watchers.pop(watcher.run.id, None)
        self._worktrees.wake()
        self._admitting.is_over(watcher)
