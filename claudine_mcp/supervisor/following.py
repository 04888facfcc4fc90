"""One run, looked at and listened to: when there is something to do, and what its output tells."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace

import anyio
import anyio.to_thread

from claudine_mcp.core.activity import Activity
from claudine_mcp.core.evidence import ExitRecord, Judgement
from claudine_mcp.core.models import CommandKind, Run, Task
from claudine_mcp.core.states import State
from claudine_mcp.registry.commands import open_commands
from claudine_mcp.registry.tasks import run_seen
from claudine_mcp.supervisor.context import Context, RunEnd
from claudine_mcp.supervisor.observation import ObservedRun
from claudine_mcp.supervisor.output import News, RunOutput
from claudine_mcp.supervisor.stopping import Stopper
from claudine_mcp.workloads import WORKLOADS
from claudine_mcp.workloads.base import Fate, Follower

ACT_UPON_IT_IN_S = 0.05
"""When a step follows upon output that was read between two of them."""
HELD = frozenset({State.SUSPENDED, State.STOPPING})
"""States in which a run may be that was suspended and has not been resumed."""
PENDING_S = 1.0
"""A message that keeps a run from ending may come to nothing, of which no output tells."""


@dataclass
class Following:
    """Knows when a run wants a step, and reads what it prints.

    Attributes:
        task_id: whose run it is.
        run: the run, as it was admitted or found.
        to_launch: whether this supervisor has admitted the run and has yet to start its keeper.
        failed_launches: how many keepers of this task have left without a word before this run.
        only_we_stop_it: whether it was this supervisor that decided to end the run, so that no other has signalled it.
        suspended_since: since when it is suspended, on the monotonic clock; None: it is not.
    """

    ctx: Context
    task_id: str
    run: Run
    to_launch: bool = False
    failed_launches: int = 0

    def __post_init__(self) -> None:
        self.seen = ObservedRun(self.ctx, self.run)
        self.wake = anyio.Event()
        self._stepping = anyio.Lock()
        self.over = False
        self.only_we_stop_it = False
        self.stopper: Stopper | None = None
        self.suspended_since: float | None = None
        self._began_at: float | None = None
        self._exited_at: float | None = None
        self._next_look: float | None = None
        self._output: RunOutput | None = None

    def ran_s(self, started_at: float | None, at: float) -> float:
        """Give for how long the run had run; the time that the machine slept apart, whatever anyone does to its clock.

        Suspended time does not count. Of a run that another supervisor started, only from when this is called first.

        Args:
            started_at: seconds since the epoch; None: it has only just been started.
            at: when, on the monotonic clock.
        """
        if self._began_at is None:
            before_s = 0.0 if started_at is None else max(0.0, self.ctx.wall() - started_at)
            self._began_at = self.ctx.mono() - before_s + self.run.suspended_s
        if self.suspended_since is not None:
            at = min(at, self.suspended_since)
        return max(0.0, at - self._began_at)

    def found(self, task: Task) -> None:
        """Note what a supervisor before this one had done with the run: since when it is suspended."""
        if task.run == self.run.n and task.stopped is not None and task.state in HELD:
            self.suspended_since = self.ctx.mono() - max(0.0, self.ctx.wall() - task.stopped["at"])

    def suspended(self) -> None:
        """Note that it is suspended from now on."""
        self.suspended_since = self.ctx.mono()
        if self._output is not None:
            self._output.suspend(is_suspended=True)

    def suspended_for_s(self) -> float:
        """Give for how long it is suspended by now, without suspensions before this one; 0 if it is not."""
        return 0.0 if self.suspended_since is None else max(0.0, self.ctx.mono() - self.suspended_since)

    def resumed(self, suspended_s: float) -> None:
        """Note that it goes on, after a suspension of so many seconds, as they were written down."""
        self.run = replace(self.run, suspended_s=self.run.suspended_s + suspended_s)
        self.suspended_since = None
        if self._began_at is not None:
            self._began_at += suspended_s
        if self._output is not None:
            self._output.suspend(is_suspended=False)

    def due(self) -> bool:
        """Whether anything has changed that a step would act upon. Costs a few system calls."""
        if self.to_launch or (self._next_look is not None and self.ctx.mono() >= self._next_look):
            return True
        return self.seen.has_changed() or not (self.over or self.seen.keeper_alive())

    def read_output(self) -> bool:
        """Read a piece of what was printed, if it is followed; give whether a step should come of it."""
        output = self._output
        if output is None:
            return False
        has_grown = output.has_grown()
        if self._stepping.locked():
            return has_grown
        has_more = has_grown and output.read()
        output.look()
        return has_more or (has_grown and output.wants_end_of_input())

    def activity(self, permission: str) -> Activity | None:
        """Give what the run is doing by its own word; None before anything of it was looked at."""
        return None if self._output is None else self._output.activity(permission)

    def may_have_news(self) -> bool:
        """Whether anything was read that was not written down."""
        return self._output is not None and self._output.may_have_news()

    def news(self) -> News | None:
        """Give what is to be written down; None: nothing is, or a step is about to."""
        return None if self._output is None or self._stepping.locked() else self._output.news()

    def keep(self, news: News) -> None:
        """Note that this was written down."""
        if self._output is not None:
            self._output.keep(news)

    def next_look_in(self) -> float | None:
        """Give in how many seconds a step is due by the clock alone; None if by none."""
        return None if self._next_look is None else max(0.0, self._next_look - self.ctx.mono())

    def look_in(self, seconds: float) -> None:
        """Have a step made after this time, whatever happens."""
        self._next_look = self.ctx.mono() + seconds

    async def output(self, task: Task) -> RunOutput:
        """Give what understands the run's output, going on from where it was left."""
        if self._output is None:
            async with self.ctx.db.read() as tx:
                state = await run_seen(tx, self.run)
            self._output = RunOutput(self.ctx, task, self.seen, state)
            self._output.is_suspended = self.suspended_since is not None
            if self._output.follower is not None:
                self.ctx.watch(self.seen.path / "stdout.log")
        return self._output

    def releasable_bytes(self, stream: str) -> int:
        """Give how much of the beginning of a stream nobody has to read any more."""
        if stream == "stderr":  # of which only the end is ever looked at
            return sys.maxsize
        if self._output is None:
            return 0
        return sys.maxsize if self._output.follower is None else self._output.stored_offset

    def press_output(self) -> None:
        """Have more of the output become releasable."""
        if self._output is not None:
            self._output.press()

    def look_within(self, seconds: float) -> None:
        """Have a step made after this time, if none is to be made sooner."""
        sooner = self.next_look_in()
        self.look_in(seconds if sooner is None else min(seconds, sooner))

    async def fate_of(self, task: Task, identifier: str) -> Fate | None:
        """Say what has become of a message that was written to the run's input, by all that it has printed."""
        follower = await self._caught_up(task)
        return None if follower is None else follower.fate_of(identifier)

    async def takes_messages(self, task: Task) -> bool:
        """Whether it has read what it was started with, so that messages come after that."""
        follower = await self._caught_up(task)
        return follower is not None and follower.takes_messages()

    async def _caught_up(self, task: Task) -> Follower | None:
        """Give what understands the output, after all that there is now was read."""
        output = await self.output(task)
        if output.has_grown():
            async with self._stepping:
                while await anyio.to_thread.run_sync(output.read):
                    pass
            self.look_within(ACT_UPON_IT_IN_S)
        return output.follower

    async def _read_output(self, task: Task) -> None:
        """Read what was printed; end the input of a run that has nothing more to do."""
        output = await self.output(task)
        if output.read():
            self.wake.set()
        if output.wants_end_of_input():
            async with self.ctx.db.read() as tx:
                pending = await open_commands(tx)
            if any(item.task_id == task.id and item.kind is CommandKind.SEND for item in pending):
                self.look_in(PENDING_S)
            else:
                self.seen.end_input()

    async def _judge(self, task: Task, record: ExitRecord) -> Judgement:
        """Give the outcome that the output, read to its end, and the exit together support."""
        output = await self._read_to_end(task)
        return WORKLOADS[task.kind].judge(record, output.follower, stop_reason=None)

    async def _read_to_end(self, task: Task) -> RunOutput:
        output = await self.output(task)
        await anyio.to_thread.run_sync(output.read_to_end)
        return output

    def _learn(self, task: Task, ended_at: float, *, is_censored: bool, is_short: bool = False) -> None:
        """Have it learnt how a run has ended, once that is committed."""
        if task.started_at is not None:
            late_s = max(0.0, self.ctx.wall() - ended_at)
            ran_s = max(0.0, self.ran_s(task.started_at, self.ctx.mono() - late_s))
            self.ctx.run_ended(task, RunEnd(ran_s, is_censored, is_short))

    def _finish(self) -> None:
        self.over = True
        self.ctx.over.append((self.run, self.seen.path))
        self.seen.close()
