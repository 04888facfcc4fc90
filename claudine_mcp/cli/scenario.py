"""What `demo` plays with commands: five tasks, and what has to become of them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp import Client

from claudine_mcp.cli.stage import Play, Row, call, output, until


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


class CommandsPlay(Play):
    """Five commands."""

    limit_s = 60.0
    """It takes about five seconds."""

    @property
    def config(self) -> dict[str, Any]:
        """See `Play`."""
        return {
            "monitoring": {"sampleInterval": "200ms"},
            "limits": {"killGrace": "2s"},
            "supervisor": {"idleExit": "300ms"},
        }

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

    async def play(self) -> None:
        """See `Play`."""
        ids = await self._with_the_first_server()
        await self._with_the_second_server(ids)
        for act in self.acts:
            row = self.rows.get(act.name, {})
            if not act.holds(row):
                found = f"{row.get('outcome')} ({row.get('reason')})"
                self.failures.append(f"{act.name!r} should be {act.outcome}, and is {found}")

    async def _with_the_first_server(self) -> dict[str, str]:
        """Submit everything, cancel one task, and kill the server while one still runs. Give the ids."""
        ids: dict[str, str] = {}
        async with self.server() as (client, process):
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
        async with self.server() as (client, process):
            await self._look(client)
            state = self.rows[OUTLIVES]["state"]
            self.say(f"another server was started (pid {process.pid}); the last task is {state}")
            if state != "running":
                self.failures.append(f"{OUTLIVES!r} was {state} when the new server looked")
            self.flag.touch()
            await call(client, "WaitForEvents", taskIds=list(ids.values()), until="allEnded", timeout="30s")
            await self._look(client)
            self.say(f"its output: {await output(client, ids[OUTLIVES])}")

    async def _look(self, client: Client) -> None:
        page = await call(client, "ListTasks")
        self.keep(page["tasks"][::-1])
