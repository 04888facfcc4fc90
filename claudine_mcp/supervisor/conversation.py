"""Commands that speak with a running Claude Code: messages to it, its questions, and the answers."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path

import anyio.to_thread

from claudine_mcp.core.errors import NotNow, QuestionNotFound
from claudine_mcp.core.models import JSON, Command, Event, Kind, Severity, Task
from claudine_mcp.core.states import ACTIVE, State
from claudine_mcp.core.units import human_duration
from claudine_mcp.registry.commands import finish_command, open_questions, take_command
from claudine_mcp.registry.events import add_event
from claudine_mcp.registry.tasks import get_task
from claudine_mcp.supervisor.context import Context
from claudine_mcp.supervisor.watcher import Watcher
from claudine_mcp.workloads.base import Fate
from claudine_mcp.workloads.claude import interrupt, message
from claudine_mcp.workloads.claude_fields import call_label, tool_summary

WRITE_LIMIT_S = 5.0
TORN_LIMIT_S = 300.0
"""For the rest of a line that has begun: one that stays torn ends the run when the next is written."""
GO_ON = "RetryTask goes on in the same session"


class Conversation:
    """Carries out `send`, `ask` and `answer`.

    Args:
        ctx: the supervisor's surroundings.
        watchers: the runs that are followed, by run id.

    Attributes:
        unseen: commands whose message was written and has not been seen to arrive.
    """

    def __init__(self, ctx: Context, watchers: Mapping[str, Watcher]) -> None:
        self._ctx = ctx
        self._watchers = watchers
        self.unseen: set[str] = set()

    async def send(self, command: Command) -> None:
        """Write a message to a run's standard input, and see it arrive there."""
        task = await self._task(command)
        if task.kind is not Kind.CLAUDE:
            raise NotNow(f"task {task.id} is a {task.kind}; only a delegated Claude Code can be spoken to")
        watcher = self._watchers.get(f"{task.id}.{task.run}")
        # The same identifier when this is done again: the program takes a message with it only once.
        identifier = str(uuid.uuid5(uuid.NAMESPACE_OID, command.id))
        fate = None
        if command.taken_at is not None and watcher is not None:
            fate = await watcher.fate_of(task, identifier)
        if fate is not None:
            self.unseen.discard(command.id)
            if fate is Fate.LOST:
                raise NotNow(f"task {task.id} has ended without reading the message. {GO_ON}")
            # An interrupt makes it read at once, though it may still say that the message is queued.
            waits = fate is Fate.WAITING and not command.args.get("interrupt")
            async with self._ctx.db.write() as tx:
                await finish_command(tx, command.id, {"delivered": True, "queued": waits}, self._ctx.wall())
            return
        if task.state is not State.RUNNING or watcher is None or watcher.seen.input_ended:
            self.unseen.discard(command.id)
            how = "it is about to end" if task.state is State.RUNNING else f"it is {task.state}"
            lost = "" if command.taken_at is None else "; the message did not arrive"
            advice = "Send it when it runs" if task.state in {State.QUEUED, State.STARTING} else GO_ON
            raise NotNow(f"task {task.id} takes no message: {how}{lost}. {advice}")
        if command.taken_at is None:
            async with self._ctx.db.write() as tx:
                await take_command(tx, command, self._ctx.wall(), args={**command.args, "uuid": identifier})
            self._ctx.trace("message-taken")
        if command.id not in self.unseen:
            await self._write(command, task, watcher, identifier)

    async def _write(self, command: Command, task: Task, watcher: Watcher, identifier: str) -> None:
        lines = interrupt(identifier) if command.args.get("interrupt") else b""
        lines += message(command.args["message"], identifier)
        written = await anyio.to_thread.run_sync(write_input, watcher.seen.path / "stdin", lines)
        self._ctx.trace("message-written")
        if not written:
            raise NotNow(f"task {task.id} does not read its input; the message was not delivered")
        self.unseen.add(command.id)

    async def ask(self, command: Command) -> None:
        """Raise a run's question, and deny it when nobody has answered in time or the run has ended."""
        task = await self._task(command)
        now = self._ctx.wall()
        limit_s = float(task.spec.get("askTimeout") or 0) / 1000
        if task.state not in ACTIVE or task.state is State.STOPPING:
            await self._answer(command, {"behavior": "deny", "message": "the task is ending"}, None)
        elif command.taken_at is None:
            async with self._ctx.db.write() as tx:
                alert = await add_event(tx, question(task, command.args, now, limit_s))
                await take_command(tx, command, now, args={**command.args, "alertId": alert})
        elif now - command.created_at >= limit_s:
            text = f"nobody answered within {human_duration(limit_s)} (claude.askTimeout), so it was denied"
            await self._answer(command, {"behavior": "deny", "message": text}, text)

    async def answer(self, command: Command) -> None:
        """Give a run the answer that a person gave."""
        alert = command.args["alertId"]
        async with self._ctx.db.read() as tx:
            waiting = {item.args["alertId"]: item for item in await open_questions(tx)}
        if alert not in waiting:
            raise QuestionNotFound(alert, waiting)
        said = command.args.get("message")
        if command.args["action"] == "allow":
            result: JSON = {"behavior": "allow"}
        else:
            result = {"behavior": "deny", "message": said or "the user does not want this"}
        by = command.origin.get("by", "the user")
        await self._answer(waiting[alert], result, f"{command.args['action']} by {by}", also=command)

    async def _answer(
        self, asked: Command, result: JSON, told: str | None, also: Command | None = None
    ) -> None:
        now = self._ctx.wall()
        async with self._ctx.db.write() as tx:
            await finish_command(tx, asked.id, result, now)
            if told is not None and asked.task_id is not None:
                data = {
                    "taskId": asked.task_id,
                    "of": "task:needs-permission",
                    "alertId": asked.args.get("alertId"),
                }
                text = f"the question of task {asked.task_id} was answered: {told}"
                await add_event(
                    tx, Event("task:recovered", Severity.INFO, text, now, asked.task_id, data=data)
                )
            if also is not None:
                await finish_command(tx, also.id, {"changed": True, "taskId": asked.task_id}, now)

    async def _task(self, command: Command) -> Task:
        async with self._ctx.db.read() as tx:
            return await get_task(tx, command.task_id or "")


def question(task: Task, args: JSON, at: float, limit_s: float) -> Event:
    """A run asks whether it may do something."""
    wants = call_label(args["tool"], tool_summary(args["input"]))
    return Event(
        "task:needs-permission",
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


def write_input(fifo: Path, data: bytes) -> bool:
    """Write to a run's standard input. False: it is gone, or nobody reads it. Blocks up to some seconds."""
    import select  # noqa: PLC0415 - messages are rare
    import time  # noqa: PLC0415

    try:
        fd = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    deadline = time.monotonic() + WRITE_LIMIT_S
    try:
        while data:
            if not select.select([], [fd], [], max(0.0, deadline - time.monotonic()))[1]:
                return False
            try:
                data = data[os.write(fd, data) :]
                deadline = time.monotonic() + TORN_LIMIT_S
            except BlockingIOError:
                continue
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
