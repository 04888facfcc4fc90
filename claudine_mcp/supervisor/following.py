"""One run, looked at and listened to: when there is something to do, and what its output tells."""

from __future__ import annotations

from dataclasses import dataclass

import anyio
import anyio.to_thread

from claudine_mcp.core.evidence import ExitRecord, Judgement
from claudine_mcp.core.models import CommandKind, Run, Task
from claudine_mcp.core.states import State
from claudine_mcp.registry.commands import open_commands
from claudine_mcp.registry.events import add_event
from claudine_mcp.registry.tasks import run_seen, store_seen
from claudine_mcp.supervisor import announce
from claudine_mcp.supervisor.context import Context
from claudine_mcp.supervisor.observation import ObservedRun
from claudine_mcp.supervisor.output import RunOutput
from claudine_mcp.supervisor.stopping import Stopper
from claudine_mcp.workloads import WORKLOADS


@dataclass
class Following:
    """Knows when a run wants a step, and reads what it prints.

    Attributes:
        task_id: whose run it is.
        run: the run, as it was admitted or found.
        to_launch: whether this supervisor has admitted the run and has yet to start its keeper.
        failed_launches: how many keepers of this task have left without a word before this run.
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
        self.stopper: Stopper | None = None
        self._exited_at: float | None = None
        self._next_look: float | None = None
        self._output: RunOutput | None = None

    def due(self) -> bool:
        """Whether anything has changed that a step would act upon. Costs a few system calls."""
        if self.to_launch or (self._next_look is not None and self.ctx.mono() >= self._next_look):
            return True
        output = self._output
        if output is not None and (output.has_grown() or (not self._stepping.locked() and output.look())):
            return True
        return self.seen.has_changed() or not (self.over or self.seen.keeper_alive())

    def read_output(self) -> bool:
        """Read a piece of what was printed, if it is followed; give whether a step should come of it."""
        output = self._output
        if output is None or output.follower is None or self._stepping.locked() or not output.has_grown():
            return False
        more = output.read()
        if output.has_news():
            due_in, sooner = output.due_in_s(), self.next_look_in()
            self.look_in(due_in if sooner is None else min(due_in, sooner))
        return more or output.follower.wants_end_of_input()

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
            if self._output.follower is not None:
                self.ctx.watch(self.seen.path / "stdout.log")
        return self._output

    async def has_message(self, task: Task, identifier: str) -> bool:
        """Whether a message that was written to the run's input has arrived, by what it has printed."""
        output = await self.output(task)
        if output.follower is None:
            return False
        async with self._stepping:
            output.read()
        return output.follower.has_message(identifier)

    async def _read_output(self, task: Task) -> None:
        """Read what was printed; keep what it tells; end the input of a run that has nothing more to do."""
        output = await self.output(task)
        output.is_suspended = task.state is State.SUSPENDED
        if output.read():
            self.look_in(0.0)
        output.observe()
        await self._store_news(task, output)
        if output.follower is not None and output.follower.wants_end_of_input():
            async with self.ctx.db.read() as tx:
                pending = await open_commands(tx)
            if not any(item.task_id == task.id and item.kind is CommandKind.SEND for item in pending):
                self.seen.end_input()

    async def _store_news(self, task: Task, output: RunOutput) -> None:
        told = output.announcement()
        if told is not None:
            output.track.announced(told, self.ctx.mono())
        news = output.news(force=told is not None)
        if news is not None:
            async with self.ctx.db.write() as tx:
                await store_seen(tx, self.run, *news)
                if told is not None:
                    await add_event(tx, announce.progress(task, self.run, told, self.ctx.wall()))
        elif output.has_news():
            self.look_in(output.due_in_s())

    async def _judge(self, task: Task, record: ExitRecord) -> Judgement:
        """Give the outcome that the output, read to its end, and the exit together support."""
        output = await self._read_to_end(task)
        return WORKLOADS[task.kind].judge(record, output.follower, stop_reason=None)

    async def _read_to_end(self, task: Task) -> RunOutput:
        output = await self.output(task)
        await anyio.to_thread.run_sync(output.read_to_end)
        return output

    def _finish(self) -> None:
        self.over = True
        self.seen.close()
