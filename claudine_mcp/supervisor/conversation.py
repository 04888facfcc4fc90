"""Commands that speak with a running Claude Code: messages to it, its questions, and the answers."""

from __future__ import annotations

from collections.abc import Mapping

from claudine_mcp.core.alerts import ENDED
from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.identity import Identity
from claudine_mcp.core.models import JSON, Command, CommandKind, Event, Severity, Task
from claudine_mcp.core.states import ACTIVE, State
from claudine_mcp.core.units import format_time, human_duration
from claudine_mcp.host.processes import boot_id, is_alive, pid_namespace
from claudine_mcp.registry.alerts import answer_alert
from claudine_mcp.registry.commands import finish_command, get_command, take_command
from claudine_mcp.registry.events import add_event, get_event
from claudine_mcp.registry.questions import QUESTION, waiting_question
from claudine_mcp.registry.tasks import get_task
from claudine_mcp.supervisor.context import Context
from claudine_mcp.supervisor.holding import lift
from claudine_mcp.supervisor.messages import Messages
from claudine_mcp.supervisor.watcher import Watcher
from claudine_mcp.workloads.claude_fields import call_label, tool_summary

ACTIONS = ("allow", "deny")
ACKNOWLEDGEMENTS = ("continue", "snooze", "suspend", "resume", "hibernate")
"""What can be said to any other alert; of the last three, after it was done."""
NOT_WAITED_FOR = "the run does not wait for an answer any more"


class Conversation:
    """Carries out `send` (see `Messages`), `ask`, `withdraw` and `answer`.

    Args:
        ctx: the supervisor's surroundings.
        watchers: the runs that are followed, by run id.
    """

    def __init__(self, ctx: Context, watchers: Mapping[str, Watcher]) -> None:
        self._ctx = ctx
        self._watchers = watchers
        messages = Messages(ctx, watchers)
        self.send = messages.send
        self.unseen = messages.unseen
        self._asked_at: dict[str, float] = {}

    async def ask(self, command: Command) -> None:
        """Raise a run's question; end it when nobody has answered in time, or nobody waits for the answer any more."""
        task = await self._task(command)
        now = self._ctx.wall()
        limit_s = float(task.spec.get("askTimeout") or 0) / 1000
        if task.state not in ACTIVE or task.state is State.STOPPING:
            how = "is being ended" if task.state is State.STOPPING else "has ended"
            await self._give_up(command, f"its run {how}")
        elif is_gone(command.origin.get("process")):
            await self._give_up(command, NOT_WAITED_FOR)
        elif command.taken_at is None:
            async with self._ctx.db.write() as tx:
                alert = await add_event(tx, question(task, command.args, now, limit_s))
                await take_command(tx, command, now, args={**command.args, "alertId": alert})
        elif self._waited_s(command, task) >= limit_s:
            text = f"nobody answered within {human_duration(limit_s)} (claude.askTimeout), so it was denied"
            await self._answer(command, {"behavior": "deny", "message": text}, f"is over: {text}")

    def _waited_s(self, asked: Command, task: Task) -> float:
        """Give for how long a question has waited while its run was not suspended, by a clock that nobody sets."""
        watcher = self._watchers.get(f"{task.id}.{task.run}")
        held_s = 0.0 if watcher is None else watcher.suspended_for_s()
        # Of a question of before this supervisor's time: an older suspension counts, the present one does not.
        age_s = max(0.0, self._ctx.wall() - asked.created_at - held_s)
        now = self._ctx.mono() - held_s - (0.0 if watcher is None else watcher.run.suspended_s)
        return now - self._asked_at.setdefault(asked.id, now - age_s)

    async def withdraw(self, command: Command) -> None:
        """End a question whose asker does not wait for the answer any more."""
        async with self._ctx.db.read() as tx:
            asked = await get_command(tx, command.args["command"])
        if asked is not None and asked.kind is CommandKind.ASK and asked.done_at is None:
            await self._give_up(asked, NOT_WAITED_FOR, also=command)
            return
        async with self._ctx.db.write() as tx:
            await finish_command(tx, command.id, {"changed": False}, self._ctx.wall())

    async def _give_up(self, asked: Command, why: str, also: Command | None = None) -> None:
        """End a question without an answer; whoever was told of it is told of that."""
        told = f"is over: {why}" if "alertId" in asked.args else None
        await self._answer(asked, {"behavior": "deny", "message": why}, told, also)

    async def answer(self, command: Command) -> None:
        """Do what a person said to an alert."""
        if command.args["action"] in ACKNOWLEDGEMENTS:
            await self._acknowledge(command)
            return
        alert: int = command.args["alertId"]
        async with self._ctx.db.read() as tx:
            question_asked = await waiting_question(tx, alert)
        if command.args["action"] not in ACTIONS:
            raise InvalidInput(
                "action",
                f"{command.args['action']!r} is not offered by alert {alert}",
                f"Give {' or '.join(ACTIONS)}.",
            )
        said = command.args.get("message")
        if command.args["action"] == "allow":
            result: JSON = {"behavior": "allow"}
        else:
            result = {"behavior": "deny", "message": said or "the user does not want this"}
        by = command.origin.get("by", "the user")
        told = f"was answered: {command.args['action']} by {by}"
        await self._answer(question_asked, result, told, also=command)

    async def _acknowledge(self, command: Command) -> None:
        now = self._ctx.wall()
        snooze_ms: int | None = command.args.get("snoozeMs")
        until = None if snooze_ms is None else now + snooze_ms / 1000
        said = f"{command.args['action']} by {command.origin.get('by', 'the user')}"
        async with self._ctx.db.read() as tx:
            raised = await get_event(tx, command.args["alertId"])
        done = "it goes on; you hear of it when something changes"
        if raised is not None and raised.type == ENDED:
            done = "this is told no more"
        if until is not None:
            done = f"it comes up again at {format_time(until)} if it has not passed"
        async with self._ctx.db.write() as tx:
            await answer_alert(tx, command.args["alertId"], said, now, snoozed_until=until)
            lifted = await lift(tx, command.args["alertId"]) if command.args["action"] == "continue" else None
            await finish_command(tx, command.id, {"done": lifted or done}, now)

    async def _answer(
        self, asked: Command, result: JSON, told: str | None, also: Command | None = None
    ) -> None:
        now = self._ctx.wall()
        self._asked_at.pop(asked.id, None)
        async with self._ctx.db.write() as tx:
            await finish_command(tx, asked.id, result, now)
            if told is not None and asked.task_id is not None:
                data = {
                    "taskId": asked.task_id,
                    "of": QUESTION,
                    "alertId": asked.args.get("alertId"),
                }
                text = f"the question of task {asked.task_id} {told}"
                await add_event(
                    tx, Event("task:recovered", Severity.INFO, text, now, asked.task_id, data=data)
                )
            if also is not None:
                await finish_command(tx, also.id, {"taskId": asked.task_id}, now)

    async def _task(self, command: Command) -> Task:
        async with self._ctx.db.read() as tx:
            return await get_task(tx, command.task_id or "")


def is_gone(process: str | None) -> bool:
    """Whether a process is known not to be there any more; one in another pid namespace cannot be looked at."""
    if process is None:
        return False
    identity = Identity.parse(process)
    is_visible = identity.boot_id == boot_id() and identity.pid_namespace == pid_namespace()
    return not is_alive(identity) if is_visible else identity.boot_id != boot_id()


def question(task: Task, args: JSON, at: float, limit_s: float) -> Event:
    """A run asks whether it may do something."""
    wants = call_label(args["tool"], tool_summary(args["input"]))
    return Event(
        QUESTION,
        Severity.WARNING,
        f"{task.name} ({task.id}) asks to use {wants}. Unanswered for {human_duration(limit_s)}, it is denied",
        at,
        task_id=task.id,
        run_id=f"{task.id}.{task.run}",
        data={"taskId": task.id, "tool": args.get("tool"), "input": args.get("input")},
        suggestions=(
            {"action": "allow", "label": "let it do that, this once"},
            {"action": "deny", "label": "do not; a message can say why"},
        ),
    )
