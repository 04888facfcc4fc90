"""A delegated Claude Code: started in a session of its own, followed by what it prints."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from claudine_mcp.core.evidence import ExitRecord, Judgement
from claudine_mcp.core.models import JSON, Run, Task
from claudine_mcp.workloads.base import Follower, Launch
from claudine_mcp.workloads.claude_arguments import arguments
from claudine_mcp.workloads.claude_sessions import FORK, GO_ON_WITH, has_answered, has_session

SERVERS = "env.mcp.json"
"""Servers of a task, and of a run: their environments may hold keys, so it is kept like `env`."""
MESSAGES = "messages.jsonl"
ASK_SERVER, ASK_TOOL = "claudine_permission", "ask"
GO_ON = "Go on with your task where it was interrupted."
DEPTH = "CLAUDINE_DEPTH"
"""How many delegations stand above a process."""


class ClaudeWorkload:
    """Runs what DelegateTask was given, and believes its stream together with its exit status."""

    def launch(self, task: Task, runs: list[Run], folder: Path, run: Path) -> Launch:
        """See `Workload`."""
        spec = task.spec
        since: int = spec.get("sessionFromRun", 1)
        went_before = any(item.n >= since and item.started_at is not None for item in runs)
        has_read = went_before and has_answered(task)
        # A run that was killed early may have left no session; an id whose session there is cannot be given again.
        resume = bool(spec.get("resume")) or has_read
        if went_before and not resume:
            resume = has_session(json.loads((folder / "env").read_bytes()), spec["sessionId"])
        first = spec.get(GO_ON_WITH, GO_ON) if has_read else (folder / "prompt").read_bytes().decode()
        files = {MESSAGES: message(first, str(uuid.uuid4()))}
        servers = self._servers(task, folder)
        if servers:
            files[SERVERS] = json.dumps({"mcpServers": servers}).encode()
        asks = spec.get("askTimeout") is not None
        argv = arguments(
            spec,
            resume=resume,
            mcp_config=str(run / SERVERS) if servers else None,
            prompt_tool=f"mcp__{ASK_SERVER}__{ASK_TOOL}" if asks else None,
        )
        # Without the second it keeps no list of what is to be done, and so shows no progress.
        env = {DEPTH: str(spec.get("depth", 1)), "CLAUDE_CODE_ENABLE_TODO_TOOLS": "1"}
        return Launch([spec["program"], *argv], env=env, stdin=MESSAGES, files=files, inbox=True)

    def _servers(self, task: Task, folder: Path) -> JSON:
        servers: JSON = {}
        if (folder / SERVERS).exists():
            servers |= json.loads((folder / SERVERS).read_bytes())
        if task.spec.get("askTimeout") is not None:
            servers[ASK_SERVER] = {
                "command": sys.executable,
                "args": ["-P", "-m", "claudine_mcp", "ask"],
                "env": {"CLAUDINE_HOME": str(folder.parent.parent)},
            }
        return servers

    def follower(self, task: Task, run: Path, state: Mapping[str, Any] | None) -> Follower | None:
        """See `Workload`."""
        from claudine_mcp.workloads.claude_follower import ClaudeFollower  # noqa: PLC0415 - only where it is needed

        inherited: float | None = task.spec.get(FORK, {}).get("costUsd")
        cost_usd = float((task.seen or {}).get("totalCostUsd") or inherited or 0.0)
        return ClaudeFollower(
            state, cost_usd, run, max_turns=task.spec.get("maxTurns"), had_answered=has_answered(task)
        )

    def judge(self, record: ExitRecord, follower: Follower | None, *, stop_reason: str | None) -> Judgement:
        """See `Workload`."""
        if follower is None:
            raise TypeError("a delegated Claude Code is judged by what it printed")
        return follower.judge(record, stop_reason=stop_reason)


def possible_arguments(spec: Mapping[str, Any]) -> list[str]:
    """Give the arguments that runs of a task may have, with anything for values that only a run has."""
    asks = spec.get("askTimeout") is not None
    found = arguments(spec, resume=True, mcp_config="-", prompt_tool="-" if asks else None)
    return [*found, "--session-id"]


def message(text: str, identifier: str) -> bytes:
    """Give a line of stream-json input: what the user says. Sent again with the same identifier, it counts once."""
    record = {"type": "user", "uuid": identifier, "message": {"role": "user", "content": text}}
    return json.dumps(record).encode() + b"\n"


def interrupt(identifier: str) -> bytes:
    """Give a line of stream-json input: stop what you are doing, and listen."""
    record = {"type": "control_request", "request_id": identifier, "request": {"subtype": "interrupt"}}
    return json.dumps(record).encode() + b"\n"
