"""The end of a run: seen or asked for, told once, and what it left behind."""

from __future__ import annotations

from claudine_mcp.core.evidence import Evidence, ExitRecord, Judgement, Verdict, recover
from claudine_mcp.core.identity import Identity
from claudine_mcp.core.models import JSON, Kind, Task
from claudine_mcp.core.states import Outcome, State, Trigger
from claudine_mcp.executors.local import with_memory_verdict
from claudine_mcp.host.days import day_of
from claudine_mcp.host.processes import Process
from claudine_mcp.registry.commands import finish_command, open_commands
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.events import add_event
from claudine_mcp.registry.spending import note_costs
from claudine_mcp.registry.tasks import move, store_seen, update_run, update_task
from claudine_mcp.supervisor import announce
from claudine_mcp.supervisor.following import Following
from claudine_mcp.supervisor.output import News
from claudine_mcp.supervisor.stopping import Stopper
from claudine_mcp.supervisor.unread import Parting, settle_messages
from claudine_mcp.supervisor.worktrees import with_work, work_in

LEFTOVERS_AFTER_S = 1.0
"""Descendants that outlive the main process by less are only late, not left over."""
LEFTOVERS_EVERY_S = 5.0
STOP_EVERY_S = 0.1
LEARNT_FROM = frozenset({Outcome.SUCCEEDED, Outcome.FAILED, Outcome.CANCELLED})
"""When the others ended, nobody saw."""


class Ending(Following):
    """Brings a run to its end."""

    def begin_stop(self, *, gentle: Identity | None = None) -> Stopper:
        """Begin to end the tree, or go on with it; `gentle` as in `Stopper`."""
        if self.stopper is None:
            self.stopper = Stopper(self.ctx.settings.limits.kill_grace / 1000, self.ctx.mono(), gentle)
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
        # It writes down what it has cost, and the part of an answer that has come.
        is_gentle = task.state is State.HIBERNATING and task.kind is Kind.CLAUDE
        stopper = self.begin_stop(gentle=self.seen.main if is_gentle else None)
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

    async def _exited(self, task: Task, record: ExitRecord) -> None:
        record = with_memory_verdict(record, self.seen.main)
        judgement = await self._judge(task, record)
        self.ctx.trace("exit-seen")
        await self._conclude(task, judgement, record)
        self.ctx.trace("end-committed")
        self._exited_at = self.ctx.mono()
        self.look_in(LEFTOVERS_AFTER_S)

    async def _conclude(self, task: Task, judgement: Judgement, record: ExitRecord) -> None:
        await self._end(task, Trigger.EXITED, judgement, record)

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

    async def _end(
        self,
        task: Task,
        trigger: Trigger,
        judgement: Judgement,
        record: ExitRecord | None = None,
        *,
        gone: bool = False,
    ) -> None:
        if record is not None or self.seen.directory.has("began"):
            await self._read_to_end(task)
        work = await work_in(task)
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
            event = with_work(announce.ended(task, judgement, now, exit_code=code, number=number), work)
            memory = int(record is not None and record.killed_for_memory)
            ended_at = now if record is None else min(record.at, now)
            columns = {**shared, "ended_at": ended_at, "killed_for_memory": memory, "stopped": None}
            await move(tx, task, trigger, event, **columns)
            more: JSON = {"gone_at": now if gone else None}
            if task.stopped is not None:
                more["suspended_s"] = self.run.suspended_s + self.suspended_for_s()
            await update_run(tx, self.run, **shared, exited_at=ended_at, **more)
            await self._answer_cancels(tx, judgement)
            news = await self._write_last_words(
                tx, task, Parting("ended", f"{judgement.outcome}: {judgement.reason}")
            )
        if news is not None:
            self.keep(news)  # or it would be written once more, perhaps into the next run
        if self.seen.directory.has("began"):
            self.ctx.ended.append(self.task_id)
            if judgement.outcome in LEARNT_FROM:
                is_own = judgement.outcome is not Outcome.CANCELLED and number is None
                self._learn(task, ended_at, is_censored=not is_own, is_short=bool(memory))
        self.ctx.admission_due = True

    async def _write_last_words(self, tx: Transaction, task: Task, parting: Parting) -> News | None:
        """Settle the messages to a run that was read to its end, and keep what it told."""
        if self._output is not None and self._output.follower is not None:
            follower = self._output.follower
            await settle_messages(tx, task, self.run, follower, parting=parting, at=self.ctx.wall())
        news = None if self._output is None else self._output.news(force=True)
        if news is not None:
            await store_seen(tx, [(self.run, news.shown, news.state)])
            await note_costs(tx, [(self.run, news.shown)], day_of(self.ctx.wall()))
        return news

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
        same = task.run == self.run.n and task.state is State.ENDED
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
            if same and task.leftovers:
                await update_task(tx, task.id, leftovers=0)
                await add_event(tx, announce.leftovers_gone(task, self.run, self.ctx.wall()))
            if self.stopper is not None:
                await self._answer_cancels(tx, None)
        self._finish()

    def _keeper_is_waiting(self, evidence: Evidence) -> bool:
        """Whether the keeper has something yet to see, though no process is to be seen from here."""
        if not evidence.keeper_alive or self.seen.directory.has("gone"):
            return False
        return not self.seen.shelters_others()
