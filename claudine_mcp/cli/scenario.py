"""What `demo` plays: a client of the real server, five tasks, and what has to become of them."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import psutil
from mcp import Client, StdioServerParameters

from claudine_mcp.core.errors import SupervisorError
from claudine_mcp.front.front import Front, open_front
from claudine_mcp.front.health.processes import seen_processes
from claudine_mcp.front.overview import overview

LIMIT_S = 60.0
"""For the whole play; it takes about five seconds."""
CLEANING_S = 20.0
LOOK_EVERY_S = 0.1
CONFIG = {
    "monitoring": {"sampleInterval": "200ms"},
    "limits": {"killGrace": "2s"},
    "supervisor": {"idleExit": "300ms"},
}

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Act:
    """One task of the play.

    Attributes:
        name: what it is about.
        command: for the shell.
        outcome: how it has to end.
        details: fields that its row has to have then.
    """

    name: str
    command: str
    outcome: str
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def holds(self, row: Row) -> bool:
        """Whether a row shows what is expected."""
        return row.get("outcome") == self.outcome and all(row.get(k) == v for k, v in self.details.items())


WORKS = Act("works", "for i in 1 2 3; do echo step $i; sleep 0.3; done", "succeeded", {"exitCode": 0})
FAILS = Act("fails", "sleep 0.5; echo 'no such thing' >&2; exit 3", "failed", {"exitCode": 3})
KILLED = Act("is killed", "sleep 0.7; kill -KILL $$", "failed", {"signal": 9})
CANCELLED = Act(
    "is cancelled, with its grandchildren",
    "sh -c 'sleep 60 & sleep 60 & echo ready; wait' & sleep 60",
    "cancelled",
)
TREE = 3
"""Processes at least that a cancel of it has to end: two grandchildren and a child, besides shells."""
OUTLIVES = "outlives its server"
OUTLIVING = (
    "i=0; while [ ! -e {flag} ] && [ $i -lt 600 ]; do sleep 0.1; i=$((i+1)); done; echo I am still here"
)


@dataclass(slots=True)
class Play:
    """One performance in a state directory of its own.

    Attributes:
        folder: temporary; everything is in it.
        show: is given the rows of all tasks whenever they were looked at.
        say: is told what is being done.
        rows: the last ones, by name.
        failures: what was not as expected.
        is_clean: whether no process of it is left.
    """

    folder: Path
    show: Callable[[Sequence[Row]], None]
    say: Callable[[str], None]
    rows: dict[str, Row] = field(default_factory=dict[str, Row])
    failures: list[str] = field(default_factory=list[str])
    is_clean: bool = True

    @property
    def flag(self) -> Path:
        """The file that the last task waits for."""
        return self.folder / "go-on"

    @property
    def acts(self) -> list[Act]:
        """All tasks."""
        outlives = Act(
            OUTLIVES, OUTLIVING.format(flag=shlex.quote(str(self.flag))), "succeeded", {"exitCode": 0}
        )
        return [WORKS, FAILS, KILLED, CANCELLED, outlives]

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
            TimeoutError: it took far longer than it should.
            SupervisorError: something could not be ended.
        """
        await anyio.Path(self.env["CLAUDINE_CONFIG"]).write_text(json.dumps(CONFIG), encoding="utf-8")
        self.is_clean = False
        try:
            with anyio.fail_after(LIMIT_S):
                ids = await self._with_the_first_server()
                await self._with_the_second_server(ids)
        finally:
            with anyio.CancelScope(shield=True):
                await self.clean_up()
        for act in self.acts:
            row = self.rows.get(act.name, {})
            if not act.holds(row):
                found = f"{row.get('outcome')} ({row.get('reason')})"
                self.failures.append(f"{act.name!r} should be {act.outcome}, and is {found}")

    async def _with_the_first_server(self) -> dict[str, str]:
        """Submit everything, cancel one task, and kill the server while one still runs. Give the ids."""
        ids: dict[str, str] = {}
        async with self._server() as (client, process):
            self.say(f"a server was started (pid {process.pid}); it is given {len(self.acts)} tasks")
            for act in self.acts:
                asked = {"command": act.command, "name": act.name, "cwd": str(self.folder)}
                ids[act.name] = (await call(client, "RunCommand", **asked))["taskId"]

            async def has_spread() -> bool:
                await self._look(client)
                return bool(await output(client, ids[CANCELLED.name]))

            async def only_one_runs() -> bool:
                await self._look(client)
                return all(self.rows[act.name]["state"] == "ended" for act in (WORKS, FAILS, KILLED))

            await until(has_spread)
            answer = await call(client, "CancelTask", taskId=ids[CANCELLED.name], reason="it was only a demo")
            count = answer.get("processesStopped", 0)
            self.say(f"one task was cancelled, and {count} processes with it")
            if count < TREE:
                self.failures.append(f"only {count} processes of {CANCELLED.name!r} were ended")
            await until(only_one_runs)
            process.kill()
            self.say("the server was killed with SIGKILL")
        return ids

    async def _with_the_second_server(self, ids: Mapping[str, str]) -> None:
        """See that the last task still runs, let it go on, and see everything end."""
        async with self._server() as (client, process):
            await self._look(client)
            state = self.rows[OUTLIVES]["state"]
            self.say(f"another server was started (pid {process.pid}); the last task is {state}")
            if state != "running":
                self.failures.append(f"{OUTLIVES!r} was {state} when the new server looked")
            self.flag.touch()
            await call(client, "WaitForEvents", taskIds=list(ids.values()), until="allEnded", timeout="30s")
            await self._look(client)
            self.say(f"its output: {await output(client, ids[OUTLIVES])}")

    @asynccontextmanager
    async def _server(self) -> AsyncGenerator[tuple[Client, psutil.Process]]:
        """Start a real server, and be its client. It may be killed inside."""
        before = {child.pid for child in psutil.Process().children()}
        passed_on = {name: value for name, value in os.environ.items() if not name.startswith("CLAUD")}
        server = StdioServerParameters(
            command=sys.executable,
            args=["-P", "-m", "claudine_mcp"],
            env=passed_on | self.env,
            cwd=self.folder,
        )
        async with Client(server) as client:
            (process,) = (child for child in psutil.Process().children() if child.pid not in before)
            yield client, process

    async def _look(self, client: Client) -> None:
        page = await call(client, "ListTasks")
        rows: list[Row] = page["tasks"][::-1]
        self.rows = {row["name"]: row for row in rows}
        self.show(rows)

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
                    now = await overview(front)
                    for task in (*now.queued, *now.active):
                        await front.cancel(task.task_id)
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
