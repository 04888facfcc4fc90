"""What `demo --claude` plays: three tiny prompts for the real Claude Code, and what has to become of them."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from mcp import Client

from claudine_mcp.cli.claude_records import forget_project, forget_session, snapshots_of
from claudine_mcp.cli.console import say, table
from claudine_mcp.cli.delegated import dollars
from claudine_mcp.cli.showing import STYLE_OF
from claudine_mcp.cli.stage import Play, call, until
from claudine_mcp.front.filters import TaskFilter
from claudine_mcp.front.front import open_front
from claudine_mcp.front.health.processes import seen_processes
from claudine_mcp.front.listing import list_tasks

ANSWERS, ASKS, KILLED = "answers", "asks for permission", "is killed and resumed"
BUDGET_USD = 0.25
"""Of one start: enough for a few requests with a long system prompt, and little for whoever pays it."""
STARTS = 4
"""One of the three is started twice, and nothing starts anything by itself."""
MAX_TURNS = 8
ALLOWED = "touch it-was-allowed"
SCRIPT = "sh ./wait.sh"
SCRIPT_TEXT = """\
touch it-waits
i=0
until [ -e go-on ] || [ $i -ge 500 ]; do sleep 0.2; i=$((i+1)); done
echo it went on
"""
ONCE = "Use the Bash tool to run exactly this command, once, in the foreground:"
PROMPTS = {
    ANSWERS: "Reply with the one word hello. Use no tools.",
    ASKS: f"{ONCE} {ALLOWED}\nThen reply with the one word done.",
    KILLED: f"{ONCE} {SCRIPT}\nThen reply with the line that it printed.",
}
COMMANDS = {ASKS: ALLOWED, KILLED: SCRIPT}
"""What is allowed, and nothing else."""


@dataclass(kw_only=True)
class ClaudePlay(Play):
    """Three delegated runs of Claude Code.

    Attributes:
        program: the path of Claude Code.
        model: as Claude Code takes it.
        ids: the tasks, by name.
        was_asked: whether the question came that has to come.
        session: of the run that was killed, None before.
        was_resumed: whether it was started again.
        snapshots: files that it left when it was killed.
    """

    limit_s = 300.0
    """It takes twenty seconds where the model answers at once; the rest is for one that does not."""

    program: str
    model: str
    ids: dict[str, str] = field(default_factory=dict[str, str])
    was_asked: bool = False
    session: str | None = None
    was_resumed: bool = False
    snapshots: set[Path] = field(default_factory=set[Path])

    @property
    def config(self) -> dict[str, Any]:
        """See `Play`."""
        return {
            "claude": {"command": self.program, "askTimeout": "4m", "maxResumes": 0},
            "limits": {"killGrace": "2s"},
            "supervisor": {"idleExit": "300ms"},
        }

    @property
    def env(self) -> dict[str, str]:
        """See `Play`. Claude Code leaves files in the folder for temporary ones."""
        return {**super().env, "TMPDIR": str(self.folder / "tmp")}

    @property
    def work(self) -> Path:
        """Where the runs work."""
        return self.folder / "work"

    async def play(self) -> None:
        """See `Play`."""
        for path in (self.work, Path(self.env["TMPDIR"])):
            path.mkdir(mode=0o700)
        (self.work / "wait.sh").write_text(SCRIPT_TEXT, encoding="ascii")
        async with self.server() as (client, process):
            self.say(f"a server was started (pid {process.pid}); it is given {len(PROMPTS)} prompts")
            for name in PROMPTS:
                await self._delegate(client, name)
            await until(lambda: self._go_on(client))
        self._judge()

    async def _delegate(self, client: Client, name: str) -> None:
        """Hand a prompt to Claude Code."""
        answer = await call(
            client,
            "DelegateTask",
            prompt=PROMPTS[name],
            name=name,
            cwd=str(self.work),
            model=self.model,
            askPermission=name in COMMANDS,
            allowedTools=[f"Bash({SCRIPT})"] if name == KILLED else [],
            maxTurns=MAX_TURNS,
            maxBudgetUsd=BUDGET_USD,
        )
        self.ids[name] = answer["taskId"]

    async def _go_on(self, client: Client) -> bool:
        """Look at everything, and do what is due. True: everything has ended."""
        self.keep([await call(client, "TaskStatus", taskId=task_id) for task_id in self.ids.values()])
        for name, row in self.rows.items():
            if "question" in row:
                await self._answer(client, name, row["question"])
        row = self.rows[KILLED]
        if self.session is None and (self.work / "it-waits").exists() and "turns" in row:
            self._kill(row["sessionId"])
            return False
        if self.session is not None and row["state"] == "ended" and not self.was_resumed:
            await self._resume(client)
            return False
        return all(row["state"] == "ended" for row in self.rows.values())

    async def _answer(self, client: Client, name: str, question: dict[str, Any]) -> None:
        """Allow what the prompt says, and nothing else."""
        wanted: dict[str, Any] = question["input"]
        is_ours = question["tool"] == "Bash" and wanted.get("command") == COMMANDS[name]
        self.was_asked |= is_ours and name == ASKS
        answer = {"action": "allow"}
        if not is_ours:
            answer = {"action": "deny", "message": f"Only this is allowed: Bash with {COMMANDS[name]}"}
        await call(client, "AnswerAlert", alertId=question["alertId"], **answer)
        what = "allowed" if is_ours else "denied"
        self.say(f"{name!r} asks a person to let it use {question['summary']}; it is {what}")

    def _kill(self, session: str) -> None:
        """Kill the Claude Code of a session while it waits for its tool."""
        pids = [seen.pid for seen in seen_processes(self.folder / "state")]
        for pid in pids:
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                if session in process.cmdline():
                    self.snapshots |= snapshots_of(pids)
                    process.send_signal(signal.SIGKILL)
                    self.session = session
                    self.say(f"a Claude Code was killed with SIGKILL (pid {pid}) while it used its tool")

    async def _resume(self, client: Client) -> None:
        """Have the run that was killed go on in its session."""
        task_id = self.ids[KILLED]
        answer = await call(client, "CancelTask", taskId=task_id, reason="its tool had survived")
        self.say(f"{answer.get('processesStopped', 0)} processes that it had left running were ended")
        (self.work / "go-on").touch()
        await call(client, "RetryTask", taskId=task_id, mode="resume")
        self.was_resumed = True
        self.say("it was started again, in the same session")

    def _judge(self) -> None:
        failed = {name for name, row in self.rows.items() if row.get("outcome") != "succeeded"}
        for name in sorted(failed):
            row = self.rows[name]
            self.failures.append(f"{name!r} should have succeeded, and is {row['outcome']} ({row['reason']})")
        if ASKS not in failed:
            if not (self.work / "it-was-allowed").exists():
                self.failures.append(f"{ASKS!r} did not do what it was told to do")
            elif not self.was_asked:
                self.say(f"{ASKS!r} did not have to ask: your own settings of Claude Code allow that already")
        if KILLED not in failed:
            if self.session is None:
                self.failures.append(f"{KILLED!r} ended before it could be killed")
            elif self.rows[KILLED]["sessionId"] != self.session:
                self.failures.append(f"{KILLED!r} went on in another session")

    def conclude(self) -> None:
        """See `Play`."""
        rows = [
            [
                name,
                str(row.get("outcome") or row["state"]),
                str(row.get("run", 0)),
                dollars(row["totalCostUsd"]) if "totalCostUsd" in row else "",
                str(row.get("result", "")),
            ]
            for name, row in self.rows.items()
        ]
        if rows:
            table(["TASK", "OUTCOME", "RUNS", "COST", "ANSWER"], rows, style_of=STYLE_OF)
            total = sum(row.get("totalCostUsd", 0.0) for row in self.rows.values())
            without = "" if self.session is None else "; what the killed run had cost is not in it"
            say(f"Claude Code says that this has cost {dollars(total)}{without}")
        super().conclude()

    async def clean_up(self) -> None:
        """See `Play`. Claude Code's own records of the sessions go as well."""
        await super().clean_up()
        async with open_front({**os.environ, **self.env}, str(self.folder), {"by": "the demo"}) as front:
            rows, _ = await list_tasks(front, TaskFilter())
            sessions = [(await front.task(row.task_id)).session_id for row in rows]
        for session in sessions:
            if session is not None:
                forget_session(session)
        forget_project(self.work)
        for path in self.snapshots:
            path.unlink(missing_ok=True)
