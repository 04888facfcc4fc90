"""Where a demonstration plays: a state directory of its own, a real server, and a client of it."""

from __future__ import annotations

import json
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import anyio
import psutil
from mcp import Client, StdioServerParameters

from claudine_mcp.cli.console import say
from claudine_mcp.core.errors import SupervisorError
from claudine_mcp.core.units import human_duration
from claudine_mcp.front.filters import TaskFilter
from claudine_mcp.front.front import Front, open_front
from claudine_mcp.front.health.processes import seen_processes
from claudine_mcp.front.listing import list_tasks
from claudine_mcp.front.overview import overview
from claudine_mcp.front.submit import SESSION_VARIABLES

CLEANING_S = 20.0
LOOK_EVERY_S = 0.1
Row = Mapping[str, Any]


@dataclass
class Play(ABC):
    """One performance.

    Attributes:
        folder: temporary; everything is in it.
        show: is given the rows of all tasks whenever they were looked at.
        say: is told what is being done.
        rows: the last ones, by name.
        failures: what was not as expected.
        is_clean: whether no process of it is left.
    """

    limit_s: ClassVar[float]

    folder: Path
    show: Callable[[Sequence[Row]], None]
    say: Callable[[str], None]
    rows: dict[str, Row] = field(default_factory=dict[str, Row])
    failures: list[str] = field(default_factory=list[str])
    is_clean: bool = True

    @property
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The configuration of its server and supervisor."""

    @abstractmethod
    async def play(self) -> None:
        """Do everything; note in `failures` what is not as it should be."""

    def conclude(self) -> None:
        """Write what became of it."""
        if not self.failures:
            say(f"{len(self.rows)} tasks, each ended as it should; no process and no file is left")

    @property
    def env(self) -> dict[str, str]:
        """What the server and the cleaning up get to know of where they are."""
        return {
            "CLAUDINE_HOME": str(self.folder / "state"),
            "CLAUDINE_CONFIG": str(self.folder / "config.json"),
        }

    async def perform(self) -> None:
        """Play it, and leave no process behind whatever happens.

        Raises:
            SupervisorError: something could not be ended.
        """
        await anyio.Path(self.env["CLAUDINE_CONFIG"]).write_text(json.dumps(self.config), encoding="utf-8")
        self.is_clean = False
        try:
            with anyio.fail_after(self.limit_s):
                await self.play()
        except TimeoutError:
            self.failures.append(f"it had not ended after {human_duration(self.limit_s)}")
        finally:
            with anyio.CancelScope(shield=True):
                await self.clean_up()

    def keep(self, rows: Sequence[Row]) -> None:
        """Remember how the tasks are, and show it."""
        self.rows = {row["name"]: row for row in rows}
        self.show(rows)

    @asynccontextmanager
    async def server(self) -> AsyncGenerator[tuple[Client, psutil.Process]]:
        """Start a real server, and be its client. It may be killed inside."""
        before = {child.pid for child in psutil.Process().children()}
        passed_on = {
            name: value
            for name, value in os.environ.items()
            if not (name.startswith("CLAUDINE_") or name in SESSION_VARIABLES)
        }
        server = StdioServerParameters(
            command=sys.executable,
            args=["-P", "-m", "claudine_mcp"],
            env=passed_on | self.env,
            cwd=self.folder,
        )
        async with Client(server) as client:
            (process,) = (child for child in psutil.Process().children() if child.pid not in before)
            yield client, process

    async def clean_up(self) -> None:
        """End what is left, and wait until the supervisor has left too: it does when there is nothing to do.

        Raises:
            SupervisorError: something is still there.
        """
        state_dir = self.folder / "state"
        if await anyio.Path(state_dir).exists():
            with anyio.move_on_after(CLEANING_S):
                async with open_front(
                    {**os.environ, **self.env}, str(self.folder), {"by": "the demo"}
                ) as front:
                    for row in (await list_tasks(front, TaskFilter()))[0]:
                        await front.cancel(row.task_id)  # what has ended may have left something running
                    await until(lambda: _is_idle(front))
                await until(lambda: _is_empty(state_dir))
        if left := [process.pid for process in seen_processes(state_dir)]:
            raise SupervisorError(f"the demo could not end all that it started in {state_dir} (pids {left})")
        self.is_clean = True


async def _is_idle(front: Front) -> bool:
    return not (await overview(front)).supervisor.alive


async def _is_empty(state_dir: Path) -> bool:
    return not seen_processes(state_dir)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is true."""
    while not await condition():  # noqa: ASYNC110 - other processes make it true
        await anyio.sleep(LOOK_EVERY_S)


async def output(client: Client, task_id: str) -> str:
    """Give what a task has printed so far."""
    page = await call(client, "TaskLogs", taskId=task_id)
    return " ".join(line["text"] for line in page["lines"])


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool; give its structured answer.

    Raises:
        SupervisorError: the answer is an error.
    """
    result = await client.call_tool(tool, arguments)
    if result.is_error or result.structured_content is None:
        texts = [str(getattr(item, "text", item)) for item in result.content]
        raise SupervisorError(f"{tool}: {' '.join(texts)}")
    return result.structured_content
