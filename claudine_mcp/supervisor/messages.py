"""Messages to a running Claude Code: written to its input, and seen to arrive."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace

from claudine_mcp.core.errors import NotNow
from claudine_mcp.core.models import Command, Kind, Task
from claudine_mcp.core.states import ACTIVE, State
from claudine_mcp.registry.commands import finish_command, take_command
from claudine_mcp.registry.tasks import get_task
from claudine_mcp.supervisor.context import Context
from claudine_mcp.supervisor.unread import delivered
from claudine_mcp.supervisor.watcher import Watcher
from claudine_mcp.workloads.base import Fate
from claudine_mcp.workloads.claude import interrupt, message

PASSED_ON_WITHIN_S = 5.0
"""What a keeper has passed on before its death the program has read by then."""
AGAIN_IN_S = 0.05
"""How soon a pipe that is full is tried again."""


class Messages:
    """Carries out `send`.

    A message is `taken` before it is written, so that whoever finds it taken writes it again: the program takes one
    with the same identifier only once. Those that are open when their run ends are answered with the end; see
    `unread`.

    Args:
        ctx: the supervisor's surroundings.
        watchers: the runs that are followed, by run id.

    Attributes:
        unseen: commands that wait for something that a run has yet to print.
    """

    def __init__(self, ctx: Context, watchers: Mapping[str, Watcher]) -> None:
        self._ctx = ctx
        self._watchers = watchers
        self._put: set[str] = set()
        self._orphaned: dict[str, float] = {}
        self.unseen: set[str] = set()

    async def send(self, command: Command) -> None:
        """Take the next step of a message."""
        self.unseen.discard(command.id)
        async with self._ctx.db.read() as tx:
            task = await get_task(tx, command.task_id or "")
        watcher = self._watchers.get(f"{task.id}.{task.run}")
        is_open = False
        try:
            is_open = not await self._is_delivered(command, task, watcher)
        finally:
            if is_open:
                self.unseen.add(command.id)
            else:
                self._put.discard(command.id)
                self._orphaned.pop(command.id, None)
                if watcher is not None:
                    watcher.look_within(0.0)  # it may have waited for this message before it ended the input

    async def _is_delivered(self, command: Command, task: Task, watcher: Watcher | None) -> bool:
        if command.taken_at is None:
            taken = await self._take(command, task, watcher)
            if taken is None:
                return False
            command = taken
        if watcher is None or task.state not in ACTIVE or command.args.get("run") != task.run:
            raise NotNow(f"task {task.id} is {task.state}; the message did not arrive. {what_to_do(task)}")
        fate = await watcher.fate_of(task, command.args["uuid"])
        if fate is Fate.LOST:
            raise NotNow(f"task {task.id} did not take the message. {what_to_do(task)}")
        if fate is not None:
            async with self._ctx.db.write() as tx:
                await finish_command(tx, command.id, delivered(command, fate), self._ctx.wall())
            return True
        if not watcher.seen.keeper_alive():
            self._refuse_in_time(command, task)
        elif task.state is State.RUNNING and not watcher.seen.input_ended:
            self._write(command, task, watcher)
        return False

    def _refuse_in_time(self, command: Command, task: Task) -> None:
        """Wait a while for a message that the keeper may have passed on before it died, and then no longer."""
        now = self._ctx.mono()
        if now - self._orphaned.setdefault(command.id, now) >= PASSED_ON_WITHIN_S:
            raise NotNow(
                f"task {task.id} takes no message: its keeper is gone, and with it its input. {what_to_do(task)}"
            )

    async def _take(self, command: Command, task: Task, watcher: Watcher | None) -> Command | None:
        """Decide that a message is for this run; None: not yet."""
        if task.kind is not Kind.CLAUDE:
            raise NotNow(f"task {task.id} is a {task.kind}; only a delegated Claude Code can be spoken to")
        if task.state is State.STARTING:
            return None
        if task.state is not State.RUNNING or watcher is None:
            raise NotNow(f"task {task.id} takes no message: it is {task.state}. {what_to_do(task)}")
        if watcher.seen.directory.has("exit"):
            return None  # how it ended is about to be told, with this message
        self._check_input(task, watcher)
        # What it was started with comes first, and whole: nothing may get between.
        if not await watcher.takes_messages(task):
            return None
        # The same identifier when this is done again: the program takes a message with it only once.
        identifier = str(uuid.uuid5(uuid.NAMESPACE_OID, command.id))
        args = {**command.args, "uuid": identifier, "run": task.run}
        now = self._ctx.wall()
        async with self._ctx.db.write() as tx:
            await take_command(tx, command, now, args=args)
        self._ctx.trace("message-taken")
        self._check_input(task, watcher)
        return replace(command, args=args, taken_at=now)

    def _check_input(self, task: Task, watcher: Watcher) -> None:
        why = "it is about to end" if watcher.seen.input_ended else None
        if not watcher.seen.keeper_alive():
            why = "its keeper is gone, and with it its input"
        if why is not None:
            raise NotNow(f"task {task.id} takes no message: {why}. {what_to_do(task)}")

    def _write(self, command: Command, task: Task, watcher: Watcher) -> None:
        inbox = watcher.seen.inbox
        if command.id not in self._put:
            self._put.add(command.id)
            if command.args.get("interrupt"):
                inbox.put(interrupt(command.args["uuid"]))
            inbox.put(message(command.args["message"], command.args["uuid"]))
        try:
            if inbox.push():
                self._ctx.trace("message-written")
            else:
                watcher.look_within(AGAIN_IN_S)
        except OSError as error:
            raise NotNow(
                f"task {task.id} does not read its input any more ({error.strerror}); the message was not delivered. "
                f"{what_to_do(task)}"
            ) from error


def what_to_do(task: Task) -> str:
    """Say how a message gets to a task that takes none."""
    if task.state is State.ENDED or task.state is State.STOPPING:
        return "RetryTask goes on in the same session"
    if task.state is State.RUNNING:
        return "When it has ended, RetryTask goes on in the same session"
    if task.state is State.SUSPENDED:
        return "ResumeTask lets it go on; then it can be spoken to"
    return "It can be spoken to while it runs"
