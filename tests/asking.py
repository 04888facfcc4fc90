"""Questions as a delegated run asks them, without one: a task that may ask, and what it hears."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup
from support import Home, in_state, wait_for

from claudine_mcp.core.models import CommandKind, Task
from claudine_mcp.core.states import State
from claudine_mcp.front.front import Front
from claudine_mcp.front.submit import CommandRequest, check_command
from claudine_mcp.host.settings import load_project

Json = dict[str, Any]

LIMIT_MS = 600_000


@dataclass
class Asked:
    """A question.

    Attributes:
        alert_id: by which it is answered.
        heard: what the run has heard, empty while nothing.
    """

    alert_id: int = 0
    heard: Json = field(default_factory=dict[str, Any])

    async def answer(self) -> Json:
        """Wait for what the run hears."""
        await wait_for(lambda: self.heard, what=f"an answer to {self.alert_id}")
        return self.heard


class Asker:
    """A running task that asks, as its permission relay would.

    Args:
        front: of the relay.
        task: that asks.
        group: the questions wait in.
    """

    def __init__(self, front: Front, task: Task, group: TaskGroup) -> None:
        self.front = front
        self.task = task
        self._group = group

    async def ask(self, tool: str = "Bash", **given: Any) -> Asked:
        """Ask for a tool; give the question, once it can be answered."""
        asked = Asked()
        known = await self._open()

        async def ask() -> None:
            args = {"tool": tool, "input": given or {"command": "touch made"}, "toolUseId": None}
            asked.heard.update(await self.front.command(CommandKind.ASK, self.task.id, args))

        self._group.start_soon(ask)

        async def raised() -> set[int]:
            return await self._open() - known

        new = await wait_for(raised, what="the question is raised")
        assert new is not None
        (asked.alert_id,) = new
        return asked

    async def _open(self) -> set[int]:
        from claudine_mcp.registry.commands import open_questions  # noqa: PLC0415 - of this only

        async with self.front.db.read() as tx:
            return {question.args["alertId"] for question in await open_questions(tx)}


@asynccontextmanager
async def asking_task(home: Home, origin: Json | None = None, name: str = "asks") -> AsyncGenerator[Asker]:
    """Run a task that may ask, and that lasts until the file ``release`` is there; it is there at the end.

    Args:
        home: its state directory.
        origin: who has submitted it; None: a client of the working directory without a session.
        name: of the task.
    """
    release = home.work / "release"
    who = {"by": "an MCP client", "project": str(home.work)} if origin is None else origin
    async with home.front() as front:
        request = CommandRequest(f"until test -e {release}; do sleep 0.02; done", name=name)
        settings = (await front.settings()).settings
        project = load_project(Path(home.work))
        submission = check_command(
            request, settings, project, env=home.env, cwd=str(home.work), submitter=who
        )
        spec = {**submission.task.spec, "askTimeout": LIMIT_MS}
        task = await front.submit(replace(submission, task=replace(submission.task, spec=spec)))
        await in_state(front, task, State.RUNNING)
        try:
            async with anyio.create_task_group() as group:
                yield Asker(front, task, group)
                group.cancel_scope.cancel()
        finally:
            release.touch()
