"""Runs that end though their task goes on: put to rest, or failed by the API; a new run goes on with it."""

from __future__ import annotations

from dataclasses import replace

from claudine_mcp.core.evidence import ExitRecord, Judgement
from claudine_mcp.core.models import JSON, CommandKind, Kind, Task
from claudine_mcp.core.requeue import Passing, is_quota, resume_at
from claudine_mcp.core.states import State, Trigger
from claudine_mcp.registry.commands import finish_command, open_commands
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.spending import spent_by
from claudine_mcp.registry.tasks import move, update_run
from claudine_mcp.supervisor import announce, announce_controls
from claudine_mcp.supervisor.ending import Ending
from claudine_mcp.supervisor.holding import hold_for_quota
from claudine_mcp.supervisor.unread import Parting
from claudine_mcp.workloads.claude_sessions import ANSWERED, has_answered, spec_without_what_was_heard


class Resting(Ending):
    """Ends runs whose task goes on."""

    async def has_answered(self, task: Task) -> bool:
        """Whether the model has answered a Claude Code, by all that it has printed."""
        follower = await self._caught_up(task)
        return has_answered(task) or (follower is not None and bool(follower.seen().get(ANSWERED)))

    async def has_done_its_work(self, task: Task) -> bool:
        """Whether the run has said that its work is done, and is only about to end."""
        follower = await self._caught_up(task)
        return follower is not None and follower.wants_end_of_input()

    async def _conclude(self, task: Task, judgement: Judgement, record: ExitRecord) -> None:
        most = self.ctx.settings.claude.max_resumes
        if judgement.passing is None or task.state is not State.RUNNING:
            await super()._conclude(task, judgement, record)
        elif task.resumes < most and await self._money_left(task):
            await self._requeue(task, judgement, judgement.passing, record)
        else:
            if task.resumes:
                tried = f"{judgement.reason}; it went on by itself {count(task.resumes)} before (claude.maxResumes)"
                judgement = replace(judgement, reason=tried)
            await super()._conclude(task, judgement, record)

    async def _money_left(self, task: Task) -> bool:
        budget: float | None = task.spec.get("maxBudgetUsd")
        if budget is None:
            return True
        seen = await self._seen_by_now(task)
        async with self.ctx.db.read() as tx:
            spent = await spent_by(tx, task.id, but_for_run=self.run.n)
        return spent + (seen.get("costUsd") or 0.0) < budget

    async def _seen_by_now(self, task: Task) -> JSON:
        output = await self.output(task)
        return {} if output.follower is None else output.follower.seen()

    async def _requeue(self, task: Task, judgement: Judgement, passing: Passing, record: ExitRecord) -> None:
        """Queue a task whose run the API has failed, to go on by itself."""
        now = self.ctx.wall()
        until = resume_at(task.id, task.resumes, passing, now)
        most = self.ctx.settings.claude.max_resumes
        hold: JSON = {"rule": "requeued", "until": until, "why": judgement.reason}
        async with self.ctx.db.write() as tx:
            await move(
                tx,
                task,
                Trigger.REQUEUE,
                announce.goes_on_later(task, judgement.reason, until, now, most=most),
                not_before=until,
                hold=hold,
                resumes=task.resumes + 1,
                spec=spec_without_what_was_heard(task, await self._seen_by_now(task)),
                started_at=None,
                supervised=1,
            )
            ended_at = min(record.at, now)
            await update_run(
                tx,
                self.run,
                outcome=judgement.outcome,
                reason=judgement.reason,
                exit_code=record.code,
                signal=record.signal,
                exited_at=ended_at,
            )
            if passing.resets_at is not None and is_quota(passing, now):
                await hold_for_quota(tx, task, passing.resets_at, judgement.reason, now)
            parting = Parting("was queued again", judgement.reason, "It goes on by itself")
            news = await self._write_last_words(tx, task, parting)
        if news is not None:
            self.keep(news)
        self._learn(task, ended_at, is_censored=True)
        self.ctx.trace("requeued")
        self.ctx.admission_due = True

    async def _stopped(self, task: Task, trigger: Trigger, record: ExitRecord | None) -> None:
        if task.state is not State.HIBERNATING:
            await super()._stopped(task, trigger, record)
            return
        judgement = await self._ended_by_itself(task, record)
        if judgement is not None:
            await self._end(task, Trigger.EXITED, judgement, record, gone=True)
        else:
            rested = Trigger.VANISHED if trigger is Trigger.VANISHED else Trigger.GONE
            await self._rest(task, rested, record)
        self._finish()

    async def _ended_by_itself(self, task: Task, record: ExitRecord | None) -> Judgement | None:
        """Give how a run has ended that was over before it was asked to end; None: it was not."""
        if record is None or record.source == "unknown":
            return None
        if self.stopper is not None and self.stopper.reached(self.seen.main):
            return None
        asked_at: float = (task.stopped or {}).get("at", self.ctx.wall())
        if record.at >= asked_at and not self.only_we_stop_it:
            return None
        judgement = await self._judge(task, record)
        return None if judgement.passing is not None else judgement  # it would have gone on anyway

    async def _rest(self, task: Task, trigger: Trigger, record: ExitRecord | None) -> None:
        """The tree is gone, and its memory with it: the task waits to be resumed."""
        if self.seen.directory.has("began"):
            await self._read_to_end(task)
        now = self.ctx.wall()
        ended_at = now if record is None else min(record.at, now)
        why = announce_controls.hibernated_by(task)
        more: JSON = {} if record is None else {"exit_code": record.code, "signal": record.signal}
        async with self.ctx.db.write() as tx:
            await move(tx, task, trigger, announce_controls.hibernated(task, self.run, now), supervised=1)
            await update_run(
                tx,
                self.run,
                gone_at=now,
                exited_at=ended_at,
                reason=why,
                suspended_s=self.run.suspended_s + self.suspended_for_s(),
                **more,
            )
            parting = Parting("was hibernated", why, "ResumeTask lets it go on")
            news = await self._write_last_words(tx, task, parting)
            await self._answer_hibernates(tx, task)
        if news is not None:
            self.keep(news)
        self._learn(task, ended_at, is_censored=True, is_short=True)
        self.ctx.trace("hibernated")
        self.ctx.admission_due = True

    async def _answer_hibernates(self, tx: Transaction, task: Task) -> None:
        stopped = {} if self.stopper is None else self.stopper.report(self.ctx.mono())
        known = task.stopped or {}
        for command in await open_commands(tx):
            if command.task_id != self.task_id or command.kind is not CommandKind.HIBERNATE:
                continue
            if command.taken_at is None:
                continue
            result: JSON = {"changed": True, "stopped": stopped}
            result |= {key: known[key] for key in ("freedBytes", "checkpointId", "note") if key in known}
            await finish_command(tx, command.id, result, self.ctx.wall())


def count(times: int) -> str:
    """Say how often."""
    return "once" if times == 1 else f"{times} times"


def can_rest(task: Task) -> bool:
    """Whether a task could go on, or may begin again, after its processes have gone."""
    return task.kind is Kind.CLAUDE or bool(task.spec.get("restartable"))
