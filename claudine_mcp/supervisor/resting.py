"""Runs that end though their task goes on: put to rest, to be resumed by a new run."""

from __future__ import annotations

from claudine_mcp.core.evidence import ExitRecord, Judgement
from claudine_mcp.core.models import JSON, CommandKind, Kind, Task
from claudine_mcp.core.states import State, Trigger
from claudine_mcp.registry.commands import finish_command, open_commands
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.tasks import move, update_run
from claudine_mcp.supervisor import announce
from claudine_mcp.supervisor.ending import Ending
from claudine_mcp.supervisor.unread import Parting
from claudine_mcp.workloads.claude_sessions import ANSWERED, has_answered


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
        return await self._judge(task, record)

    async def _rest(self, task: Task, trigger: Trigger, record: ExitRecord | None) -> None:
        """The tree is gone, and its memory with it: the task waits to be resumed."""
        if self.seen.directory.has("began"):
            await self._read_to_end(task)
        now = self.ctx.wall()
        why = str((task.stopped or {}).get("why", "hibernated"))
        async with self.ctx.db.write() as tx:
            await move(tx, task, trigger, announce.hibernated(task, self.run, now), supervised=1)
            await update_run(
                tx,
                self.run,
                gone_at=now,
                exited_at=now if record is None else min(record.at, now),
                exit_code=None if record is None else record.code,
                signal=None if record is None else record.signal,
                reason=why,
            )
            parting = Parting("was hibernated", why, "ResumeTask lets it go on")
            news = await self._write_last_words(tx, task, parting)
            await self._answer_hibernates(tx, task)
        if news is not None:
            self.keep(news)
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


def can_rest(task: Task) -> bool:
    """Whether a task could go on, or may begin again, after its processes have gone."""
    return task.kind is Kind.CLAUDE or bool(task.spec.get("restartable"))
