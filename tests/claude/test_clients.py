"""Clients with environments of their own: each delegation runs in its client's, and no key is found anywhere else."""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import AsyncExitStack

import anyio
import pytest
from delegating import claude_command, set_up
from fake_api import FakeApi
from fake_request import key_hash
from servers import Served, served
from support import Home

pytestmark = pytest.mark.claude

CLIENTS = {"anna": 7, "bert": 7, "carl": 6}
"""Twenty delegations in all."""

SAYS = "echo virtualenv $VIRTUAL_ENV, program $(which-am-i), key $(printenv ANTHROPIC_API_KEY \\| sha256sum)"


def key_of(name: str) -> str:
    return f"sk-ant-test-key-of-{name}-0123456789"


def environment_of(home: Home, name: str) -> dict[str, str]:
    """Give a client's environment: a key, a virtual environment and a program on the PATH that are its own."""
    venv = home.folder / f"venv of {name}"
    (venv / "bin").mkdir(parents=True)
    program = venv / "bin" / "which-am-i"
    program.write_text(f"#!/bin/sh\necho {name}\n")
    program.chmod(0o755)
    return home.env | {
        "ANTHROPIC_API_KEY": key_of(name),
        "VIRTUAL_ENV": str(venv),
        "PATH": f"{venv / 'bin'}:{home.env['PATH']}",
    }


async def call_every_tool(client: Served, task_id: str) -> None:
    """Call each tool that there is, whatever comes of it; at least once so that it answers."""
    given = {
        "RunCommand": {"command": "echo hello", "wait": True},
        "DelegateTask": {"prompt": "FAKE: text x", "cwd": "/no/such/place"},
        "SendMessage": {"taskId": task_id, "message": "hello"},
        "AnswerAlert": {"alertId": 1, "action": "allow"},
        "WaitForEvents": {"after": 0, "timeout": "1s", "minSeverity": "debug"},
        "RemoveTasks": {"filter": {"state": "ended"}, "dryRun": True},
        "UpdateTask": {"taskId": task_id, "name": "renamed"},
        "ListTasks": {},
        "TaskLogs": {"taskId": task_id, "tail": 1000, "format": "raw"},
    }
    for tool in (await client.client.list_tools()).tools:
        needs_task = "taskId" in tool.input_schema.get("required", [])
        arguments = given.get(tool.name, {"taskId": task_id} if needs_task else {})
        await client.answer(tool.name, **arguments)
    await client.answer("TaskStatus", taskId=task_id)


async def test_twenty_delegations_of_three_clients_run_each_in_its_clients_environment(
    claude_home: Home, api: FakeApi
) -> None:
    set_up(claude_home, command=claude_command(claude_home))
    sessions: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        clients = {
            name: await stack.enter_async_context(
                served(claude_home, environment_of(claude_home, name), name, claude_home.work)
            )
            for name in CLIENTS
        }
        ids: dict[str, str] = {}

        async def hand_over(name: str, n: int) -> None:
            prompt = f"FAKE: bash {SAYS} | text {name} {n} is done"
            task = await clients[name](
                "DelegateTask", prompt=prompt, allowedTools=["Bash"], name=f"{name} {n}"
            )
            ids[task["taskId"]] = name

        async with anyio.create_task_group() as group:
            for name, count in CLIENTS.items():
                for n in range(count):
                    group.start_soon(hand_over, name, n)
        assert Counter(ids.values()) == CLIENTS
        # Whoever waits need not be who submitted.
        waited = await clients["anna"](
            "WaitForEvents", after=0, taskIds=list(ids), until="allEnded", timeout="5m"
        )
        assert waited["why"] == "all tasks have ended"
        for task_id, name in ids.items():
            status = await clients["bert"]("TaskStatus", taskId=task_id)
            assert status["outcome"] == "succeeded", status["reason"]
            assert status["result"].startswith(f"{name} ")
            sessions[status["sessionId"]] = name
            logs = await clients["carl"]("TaskLogs", taskId=task_id, format="raw", tail=1000)
            said = "".join(line["text"] for line in logs["lines"])
            assert f"virtualenv {claude_home.folder}/venv of {name}, program {name}, key " in said
            assert key_line(name) in said
        for client in clients.values():
            await call_every_tool(client, next(iter(ids)))

    assert len(sessions) == sum(CLIENTS.values())
    for session, name in sessions.items():
        assert {request.key_hash for request in api.of_session(session)} == {key_hash(key_of(name))}
    assert len(api.requests) == sum(len(api.of_session(session)) for session in sessions)
    for client in clients.values():
        assert not keys_in("\n".join(client.said))
        assert not keys_in(client.log.read_text())
    found = {
        path for path in claude_home.state_dir.rglob("*") if path.is_file() and keys_in(path.read_bytes())
    }
    # That they are found there shows that they would be found elsewhere.
    tasks = [row[0] for row in claude_home.query("SELECT id FROM tasks")]
    assert found == {claude_home.state_dir / "tasks" / task_id / "env" for task_id in tasks}
    assert sessions.keys() <= {row[0] for row in claude_home.query("SELECT session_id FROM tasks")}
    assert {path.stat().st_mode & 0o777 for path in found} == {0o600}
    assert "epoch 1" in claude_home.log()


def key_line(name: str) -> str:
    """Give how a program names a key without saying it."""
    return hashlib.sha256(f"{key_of(name)}\n".encode()).hexdigest()


def keys_in(data: str | bytes) -> list[str]:
    """Give the clients whose key is in there."""
    raw = data.encode() if isinstance(data, str) else data
    return [name for name in CLIENTS if key_of(name).encode() in raw]
