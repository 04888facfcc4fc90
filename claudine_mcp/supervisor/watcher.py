"""One run, followed from its admission until the last of its processes has left.

A watcher never waits: each `step` looks at the evidence, does the one thing that follows from it, and
returns. So a supervisor that dies between two steps is followed by one that takes the next.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import anyio
import anyio.to_thread

from claudine_mcp.core.errors import TaskNotFound
from claudine_mcp.core.evidence import Evidence, ExitRecord, Judgement, Verdict, recover
from claudine_mcp.core.models import Command, CommandKind, Run, Task
from claudine_mcp.core.paths import task_directory
from claudine_mcp.core.states import ACTIVE, Outcome, State, Trigger
from claudine_mcp.core.units import human_duration
from claudine_mcp.executors.local import with_memory_verdict
from claudine_mcp.host.processes import MARKER, Process
from claudine_mcp.registry.commands import add_command, finish_command, open_commands
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.events import add_event
from claudine_mcp.registry.tasks import get_task, move, run_seen, runs_of, store_seen, update_run, update_task
from claudine_mcp.supervisor import announce
from claudine_mcp.supervisor.context import Context
from claudine_mcp.supervisor.observation import ObservedRun
from claudine_mcp.supervisor.output import RunOutput
from claudine_mcp.supervisor.stopping import Stopper
from claudine_mcp.workloads import WORKLOADS

LEFTOVERS_AFTER_S = 1.0
"""Descendants that outlive the main process by less are only late, not left over."""
LEFTOVERS_EVERY_S = 5.0
STOP_EVERY_S = 0.1
MAX_LAUNCHES = 3
"""Keepers in a row that leave without a word before the task is said to be unable to start."""


@dataclass
class Watcher:
    """Follows one run.

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

    # -- when to look -----------------------------------------------------------------------------------

    def due(self) -> bool:
        """Whether anything has changed that a step would act upon. Costs a few system calls."""
        if self.to_launch or (self._next_look is not None and self.ctx.mono() >= self._next_look):
            return True
        if self._output is not None and self._output.has_grown():
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

    # -- the step ---------------------------------------------------------------------------------------

    async def step(self) -> None:
        """Do what follows from the evidence, at most one transition."""
        async with self._stepping:
            if not self.over:
                await self._step()

    async def _step(self) -> None:
        self._next_look = None
        async with self.ctx.db.read() as tx:
            try:
                task = await get_task(tx, self.task_id)
            except TaskNotFound:
                self._finish()
                return
        evidence = self.seen.evidence()
        current = task.run == self.run.n and task.state in ACTIVE
        if not current:
            await self._linger(task, evidence)
        elif task.state is State.STOPPING:
            await self._stop(task, evidence)
        elif self.to_launch:
            await self._launch(task)
        else:
            await self._follow(task, evidence)

    async def _launch(self, task: Task) -> None:
        self.to_launch = False
        folder = task_directory(self.ctx.state_dir, task.id)
        async with self.ctx.db.read() as tx:
            runs = [run for run in await runs_of(tx, task.id) if run.n < self.run.n]
        self.seen.path.mkdir(mode=0o700, exist_ok=True)
        plan = WORKLOADS[task.kind].launch(task, runs, folder, self.seen.path)
        limits = self.ctx.settings.limits
        spec: dict[str, Any] = {
            "run": self.run.id,
            "argv": plan.argv,
            "cwd": task.cwd,
            "env_file": str(folder / "env"),
            "env": {
                **plan.env,
                MARKER: self.run.id,
                "CLAUDINE_TASK": task.id,
                "CLAUDINE_PROGRESS": str(self.seen.path / "progress"),
            },
            "stdin": None if plan.stdin is None else str(plan.stdin),
            "inbox": plan.inbox,
            "merge_streams": plan.merge_streams,
            "umask": task.spec.get("umask", 0o022),
            "niceness": limits.niceness,
            "oom_score_adj": limits.oom_score_adj,
        }
        try:
            self.seen.launch(spec)
        except OSError as error:
            await self._cannot_start(task, f"its keeper could not be started: {error}")
            return
        self.ctx.trace("keeper-spawned")

    async def _follow(self, task: Task, evidence: Evidence) -> None:
        verdict = recover(evidence)
        if evidence.began and task.state is State.STARTING:
            await self._running(task)  # this row is older than its run: the registry came from a backup
            self.look_in(0.0)
        elif verdict is Verdict.SPAWN_FAILED and task.state is State.STARTING:
            await self._cannot_start(task, evidence.start_error or "its keeper gave no reason")
        elif verdict in {Verdict.SPAWN_FAILED, Verdict.NEVER_BEGAN}:
            await self._never_began(task)
        elif verdict is Verdict.READY and self.seen.launched is not None:
            if task.state is State.STARTING:
                await self._running(task)
            self.ctx.trace("running-committed")
            self.seen.launched.go()
            self.ctx.trace("go-sent")
        elif verdict is Verdict.RUNNING:
            await self._read_output(task)
            await self._look_at_the_clock(task)
        elif verdict is Verdict.UNSUPERVISED:
            await self._unsupervised(task)
            await self._read_output(task)
            await self._look_at_the_clock(task)
        elif verdict is Verdict.EXITED and evidence.exit is not None:
            await self._exited(task, evidence.exit)
        elif verdict is Verdict.VANISHED:
            await self._vanished(task, evidence)

    async def _running(self, task: Task) -> None:
        start = self.seen.start
        now = self.ctx.wall()
        async with self.ctx.db.write() as tx:
            await move(
                tx, task, Trigger.SPAWNED, announce.started(task, self.run, now), started_at=now, supervised=1
            )
            await update_run(
                tx,
                self.run,
                started_at=now,
                keeper=None if start is None else str(start.keeper),
                main=None if start is None else str(start.main),
            )

    async def _cannot_start(self, task: Task, reason: str) -> None:
        await self._end(task, Trigger.SPAWN_FAILED, Judgement(Outcome.NOT_STARTED, reason), gone=True)
        self._finish()

    async def _never_began(self, task: Task) -> None:
        if (
            self.seen.launched is not None
            and self.failed_launches + 1 >= MAX_LAUNCHES
            and task.state is State.STARTING
        ):
            log = self.seen.directory.keeper_log() or "it left no message"
            await self._cannot_start(
                task, f"its keeper died {MAX_LAUNCHES} times before the start; the last said: {log}"
            )
            return
        now = self.ctx.wall()
        why = "its process had not begun when its keeper or supervisor died"
        async with self.ctx.db.write() as tx:
            event = announce.requeued(task, why, now)
            await move(tx, task, Trigger.NEVER_BEGAN, event, started_at=None, supervised=1)
            await update_run(tx, self.run, gone_at=now, reason="never began")
        self.ctx.admission_due = True
        self._finish()

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
        if output.follower is None:
            return
        if output.read():
            self.look_in(0.0)
        await self._store_news(output)
        if output.follower.wants_end_of_input():
            async with self.ctx.db.read() as tx:
                pending = await open_commands(tx)
            if not any(item.task_id == task.id and item.kind is CommandKind.SEND for item in pending):
                self.seen.end_input()

    async def _store_news(self, output: RunOutput) -> None:
        news = output.news()
        if news is not None:
            async with self.ctx.db.write() as tx:
                await store_seen(tx, self.run, *news)
        elif output.has_news():
            self.look_in(output.due_in_s())

    async def _unsupervised(self, task: Task) -> None:
        self.look_in(self.ctx.settings.monitoring.sample_interval / 1000)
        if not task.supervised:
            return
        async with self.ctx.db.write() as tx:
            await update_task(tx, task.id, supervised=0)
            await add_event(tx, announce.unsupervised(task, self.run, self.ctx.wall()))

    async def _look_at_the_clock(self, task: Task) -> None:
        """Say once that a run has passed its timeout; end it only if its submitter asked for that."""
        limit: int | None = task.spec.get("timeout")
        if limit is None or task.started_at is None or self.run.overdue_at is not None:
            return
        now = self.ctx.wall()
        left = task.started_at + limit / 1000 - now
        if left > 0:
            sooner = self.next_look_in()
            self.look_in(left if sooner is None else min(left, sooner))
            return
        event = announce.overdue(task, self.run, now, level=self.ctx.settings.monitoring.level)
        async with self.ctx.db.write() as tx:
            await update_run(tx, self.run, overdue_at=now)
            await add_event(tx, event)
            if task.spec.get("onTimeout") == "cancel":
                origin = {"by": f"its timeout of {human_duration(limit / 1000)}", "policy": True}
                await add_command(
                    tx, Command(f"timeout-{self.run.id}", CommandKind.CANCEL, task.id, {}, origin, now)
                )
        self.run = replace(self.run, overdue_at=now)

    async def _exited(self, task: Task, record: ExitRecord) -> None:
        record = with_memory_verdict(record, self.seen.main)
        judgement = await self._judge(task, record)
        self.ctx.trace("exit-seen")
        await self._end(task, Trigger.EXITED, judgement, record)
        self.ctx.trace("end-committed")
        self._exited_at = self.ctx.mono()
        self.look_in(LEFTOVERS_AFTER_S)

    async def _vanished(self, task: Task, evidence: Evidence) -> None:
        """Nothing is alive and nobody wrote how it ended: ask the kernel, then give up."""
        if evidence.same_boot is False:
            reason = "the machine was restarted while it ran"
            await self._end(task, Trigger.VANISHED, Judgement(Outcome.INTERRUPTED, reason), gone=True)
            self._finish()
            return
        record = self.seen.status_from_kernel()
        if record is None:
            self.look_in(STOP_EVERY_S)
            return
        self.seen.directory.write_exit(record)
        await self._exited(task, record)

    # -- stopping ---------------------------------------------------------------------------------------

    def begin_stop(self) -> Stopper:
        """Begin to end the tree, or go on with it."""
        if self.stopper is None:
            self.stopper = Stopper(self.ctx.settings.limits.kill_grace / 1000, self.ctx.mono())
        return self.stopper

    async def _stop(self, task: Task, evidence: Evidence) -> None:
        self.to_launch = False
        if self.seen.launched is not None:
            self.seen.launched.withhold()
        verdict = recover(evidence)
        if verdict in {Verdict.NEVER_BEGAN, Verdict.SPAWN_FAILED}:
            trigger = Trigger.NEVER_BEGAN if verdict is Verdict.NEVER_BEGAN else Trigger.SPAWN_FAILED
            await self._stopped(task, trigger, None)
            return
        self.look_in(STOP_EVERY_S)
        if verdict in {Verdict.WAIT, Verdict.READY}:
            return
        if evidence.same_boot is False:
            await self._stopped(task, Trigger.VANISHED, evidence.exit)
            return
        stopper = self.begin_stop()
        left = stopper.press(self.seen.tree, self.ctx.mono())
        self.ctx.trace("signalled")
        if left or self._keeper_is_waiting(evidence):
            return
        record = self.seen.directory.exit() or self.seen.status_from_kernel()
        if record is not None:
            await self._stopped(task, Trigger.GONE, record)

    async def _stopped(self, task: Task, trigger: Trigger, record: ExitRecord | None) -> None:
        """The tree is gone: note the outcome, and tell everyone who had asked for it."""
        judgement = Judgement(Outcome.CANCELLED, task.reason or "cancelled")
        if record is not None and record.source != "unknown":
            signalled = self.stopper is not None and self.stopper.reached(self.seen.main)
            asked_at = await self._stop_asked_at()
            if record.at < asked_at and not signalled:
                judgement = await self._judge(task, record)
        await self._end(task, trigger, judgement, record, gone=True)
        self._finish()

    async def _stop_asked_at(self) -> float:
        async with self.ctx.db.read() as tx:
            times = [item.taken_at for item in await open_commands(tx) if item.task_id == self.task_id]
        return min((at for at in times if at is not None), default=self.ctx.wall())

    # -- the end ----------------------------------------------------------------------------------------

    async def _end(
        self,
        task: Task,
        trigger: Trigger,
        judgement: Judgement,
        record: ExitRecord | None = None,
        *,
        gone: bool = False,
    ) -> None:
        if record is not None:
            await self._read_to_end(task)
        now = self.ctx.wall()
        code = None if record is None else record.code
        number = None if record is None else record.signal
        shared = {
            "outcome": judgement.outcome,
            "reason": judgement.reason,
            "exit_code": code,
            "signal": number,
        }
        async with self.ctx.db.write() as tx:
            event = announce.ended(task, judgement, now, exit_code=code, number=number)
            memory = int(record is not None and record.killed_for_memory)
            ended_at = now if record is None else min(record.at, now)
            await move(tx, task, trigger, event, **shared, ended_at=ended_at, killed_for_memory=memory)
            await update_run(tx, self.run, **shared, exited_at=ended_at, gone_at=now if gone else None)
            await self._answer_cancels(tx, judgement)
            news = None if self._output is None else self._output.news(force=True)
            if news is not None:
                await store_seen(tx, self.run, *news)
        self.ctx.admission_due = True

    async def _judge(self, task: Task, record: ExitRecord) -> Judgement:
        """Give the outcome that the output, read to its end, and the exit together support."""
        output = await self._read_to_end(task)
        return WORKLOADS[task.kind].judge(record, output.follower, stop_reason=None)

    async def _read_to_end(self, task: Task) -> RunOutput:
        output = await self.output(task)
        await anyio.to_thread.run_sync(output.read_to_end)
        return output

    async def _answer_cancels(self, tx: Transaction, judgement: Judgement | None) -> None:
        """Finish the cancels that were waiting for this tree to go."""
        if self.stopper is None and judgement is None:
            return
        stopped = {} if self.stopper is None else self.stopper.report(self.ctx.mono())
        for command in await open_commands(tx):
            if command.task_id != self.task_id or command.kind != "cancel" or command.taken_at is None:
                continue
            result = {"changed": True, "stopped": stopped}
            if judgement is not None:
                result |= {"outcome": judgement.outcome, "reason": judgement.reason}
            await finish_command(tx, command.id, result, self.ctx.wall())

    async def _linger(self, task: Task, evidence: Evidence) -> None:
        """The run has its outcome; see whether it left processes behind, and end them if asked to."""
        same = task.run == self.run.n
        other_boot = evidence.same_boot is False
        processes: list[Process] = []
        if not evidence.gone and not other_boot:
            if self.stopper is not None:
                self.stopper.press(self.seen.tree, self.ctx.mono())
                self.look_in(STOP_EVERY_S)
            else:
                self.look_in(LEFTOVERS_EVERY_S)
            if self._exited_at is None:  # found, not seen: it has had its time
                self._exited_at = self.ctx.mono() - LEFTOVERS_AFTER_S
            early = self._exited_at + LEFTOVERS_AFTER_S - self.ctx.mono()
            if early > 0 and self.stopper is None:
                self.look_in(early)
                return
            processes = self.seen.tree()
        if processes or (not other_boot and self._keeper_is_waiting(evidence)):
            if same and processes and len(processes) != task.leftovers:
                async with self.ctx.db.write() as tx:
                    if not task.leftovers:
                        event = announce.leftovers(task, self.run, len(processes), self.ctx.wall())
                        await add_event(tx, event)
                    await update_task(tx, task.id, leftovers=len(processes))
            return
        async with self.ctx.db.write() as tx:
            await update_run(tx, self.run, gone_at=self.ctx.wall())
            if same:
                await update_task(tx, task.id, leftovers=0)
            if self.stopper is not None:
                await self._answer_cancels(tx, None)
        self._finish()

    def _keeper_is_waiting(self, evidence: Evidence) -> bool:
        """Whether the keeper has something yet to see, though no process is to be seen from here."""
        if not evidence.keeper_alive or self.seen.directory.has("gone"):
            return False
        return not self.seen.shelters_others()

    def _finish(self) -> None:
        self.over = True
        self.seen.close()
