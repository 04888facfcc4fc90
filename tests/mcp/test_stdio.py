"""The server as its users start it: a process on stdio, and a real client, in both eras."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError
from mcp_types import TextContent, TextResourceContents
from support import Home, alive, wait_for, wait_until

from claudine_mcp.server.app import build_server

ERAS = ("modern", "legacy")
ARGUMENTS = {"modern": [], "legacy": ["--era", "legacy"]}
SERVER = [sys.executable, "-P", "-m", "claudine_mcp"]


class Caller:
    """A client, and its answers as they are meant."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def __call__(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, result.content
        assert result.structured_content is not None
        return result.structured_content

    async def refused(self, tool: str, **arguments: Any) -> str:
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error, result.structured_content
        content = result.content[0]
        assert isinstance(content, TextContent)
        return content.text

    async def read(self, uri: str) -> str:
        contents = (await self.client.read_resource(uri)).contents[0]
        assert isinstance(contents, TextResourceContents)
        return contents.text


@asynccontextmanager
async def client_of(home: Home, era: str = "modern") -> AsyncGenerator[Caller]:
    server = StdioServerParameters(
        command=SERVER[0], args=[*SERVER[1:], *ARGUMENTS[era]], env=home.env, cwd=home.work
    )
    async with Client(server) as client:
        yield Caller(client)


@pytest.fixture(params=ERAS)
def era(request: pytest.FixtureRequest) -> str:
    return request.param


async def test_each_era_is_the_one_that_was_asked_for(home: Home, era: str) -> None:
    async with client_of(home, era) as call:
        assert (call.client.protocol_version >= "2026") == (era == "modern")


async def test_a_command_is_followed_to_its_end(home: Home, era: str) -> None:
    async with client_of(home, era) as call:
        task = await call("RunCommand", command="echo out; echo err >&2; exit 3", name="three", labels=["x"])
        waited = await call("WaitForEvents", after=0, taskIds=[task["taskId"]], until="ended", timeout="1m")
        assert waited["tasks"][0]["outcome"] == "failed"
        assert waited["events"][-1]["type"] == "task:ended"
        status = await call("TaskStatus", taskId=task["taskId"][:6])
        assert (status["exitCode"], status["reason"], status["name"]) == (3, "exit code 3", "three")
        logs = await call("TaskLogs", taskId=task["taskId"])
        assert logs["lines"] == [{"stream": "stdout", "text": "out"}, {"stream": "stderr", "text": "err"}]
        listed = await call("ListTasks", filter={"outcome": "failed", "label": "x"})
        assert [row["taskId"] for row in listed["tasks"]] == [task["taskId"]]


async def test_waiting_reports_progress_and_returns_when_the_time_is_over(home: Home, era: str) -> None:
    reports: list[tuple[float, str | None]] = []

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        reports.append((progress, message))

    async with client_of(home, era) as call:
        task = await call("RunCommand", command="sleep 100")
        result = await call.client.call_tool(
            "WaitForEvents",
            {"taskIds": [task["taskId"]], "until": "ended", "timeout": "5s"},
            progress_callback=heard,
        )
        assert result.structured_content is not None
        assert result.structured_content["why"] == "the timeout of 5 s has passed"
        assert reports
        assert reports[0][1] == "0 of 1 tasks have ended"
        await call("CancelTask", taskId=task["taskId"])


async def test_a_cursor_misses_nothing_and_repeats_nothing(home: Home) -> None:
    async with client_of(home) as call:
        seen: list[int] = []
        cursor = 0
        ids = [(await call("RunCommand", command="true"))["taskId"] for _ in range(5)]
        await call("WaitForEvents", taskIds=ids, until="allEnded")
        while True:
            page = await call("WaitForEvents", after=cursor, minSeverity="debug", timeout=1500)
            if not page["events"]:
                break
            seen += [event["seq"] for event in page["events"]]
            cursor = page["cursor"]
        assert seen == sorted(set(seen))
        assert len(seen) >= 5 * 3  # queued, started and ended of each


async def test_all_are_waited_for_however_much_happens_meanwhile(home: Home) -> None:
    async with client_of(home) as call:
        ids = [(await call("RunCommand", command="true"))["taskId"] for _ in range(80)]
        waited = await call("WaitForEvents", after=0, taskIds=ids, until="allEnded", minSeverity="debug")
        assert waited["why"] == "all tasks have ended"
        assert len(waited["events"]) == 200
        rest = await call("WaitForEvents", after=waited["cursor"], taskIds=ids, minSeverity="debug")
        seen = [event["seq"] for event in waited["events"] + rest["events"]]
        assert seen == sorted(set(seen))
        assert len(seen) == 80 * 3


async def test_wait_answers_at_the_end(home: Home, era: str) -> None:
    async with client_of(home, era) as call:
        done = await call("RunCommand", command="echo done", wait=True)
        assert (done["state"], done["task"]["outcome"]) == ("ended", "succeeded")


async def test_cancel_ends_the_tree_and_says_how(home: Home, era: str) -> None:
    async with client_of(home, era) as call:
        task = await call(
            "RunCommand", command="trap '' TERM INT; sleep 1000 & sleep 1001 & wait; wait; wait"
        )
        await wait_for(lambda: home.run_path(task["taskId"]).joinpath("began").exists())
        done = await call("CancelTask", taskId=task["taskId"], reason="enough")
        assert (done["outcome"], done["changed"]) == ("cancelled", True)
        assert done["reason"].endswith(": enough")
        assert done["processesStopped"] >= 1
        again = await call("CancelTask", taskId=task["taskId"])
        assert (again["changed"], again["outcome"]) == (False, "cancelled")


async def test_retry_update_and_remove(home: Home) -> None:
    async with client_of(home) as call:
        task_id = (await call("RunCommand", command="echo once >> began", wait=True))["taskId"]
        retried = await call("RetryTask", taskId=task_id, wait=True)
        assert (retried["task"]["run"], len(retried["task"]["earlierRuns"])) == (2, 1)
        assert home.lines("began") == ["once", "once"]
        updated = await call("UpdateTask", taskId=task_id, name="renamed", priority="P2", labels=["a", "b"])
        assert (updated["name"], updated["priority"], updated["labels"]) == ("renamed", "P2", ["a", "b"])
        planned = await call("RemoveTasks", taskIds=[task_id], dryRun=True)
        assert (planned["removed"], planned["dryRun"]) == ([task_id], True)
        assert (await call("TaskStatus", taskId=task_id))["state"] == "ended"
        removed = await call("RemoveTasks", filter={"state": "ended"})
        assert removed["removed"] == [task_id]
        assert not home.run_path(task_id).parent.exists()
        assert "there is no task" in await call.refused("TaskStatus", taskId=task_id)


@pytest.mark.parametrize(
    ("tool", "arguments", "field", "right"),
    [
        ("RunCommand", {"command": ""}, "command", "empty"),
        ("RunCommand", {"command": ["nonesuch-program"]}, "command", "not on PATH"),
        ("RunCommand", {"command": "x" * 1_000_000}, "command", "script file"),
        ("RunCommand", {"command": "true", "cwd": "/no/such/place"}, "cwd", "does not exist"),
        ("RunCommand", {"command": "true", "timeout": -5}, "timeout", ""),
        ("RunCommand", {"command": "true", "timeout": 30}, "timeout", '"30s"'),
        ("RunCommand", {"command": "true", "priority": "P9"}, "priority", "'P1'"),
        ("RunCommand", {"command": "true", "dependsOn": ["zzzzzzzz"]}, "dependsOn", "no task"),
        ("RunCommand", {"command": "true", "notBefore": "tomorrow"}, "notBefore", "2026-"),
        ("RunCommand", {"command": "true", "env": {"A=B": "c"}}, "env", "no '='"),
        ("RunCommand", {"comand": "true"}, "comand", "'command'"),
        ("TaskStatus", {"taskId": "nope"}, "taskId", "ListTasks"),
        ("TaskLogs", {"taskId": "nope"}, "taskId", "ListTasks"),
        ("ListTasks", {"limit": 0}, "limit", "1 to 500"),
        ("ListTasks", {"filter": {"stat": "ended"}}, "stat", ""),
        ("ListTasks", {"cursor": "x"}, "cursor", "nextCursor"),
        ("WaitForEvents", {"until": "ended"}, "until", "taskIds"),
        ("WaitForEvents", {"types": ["task:enden"]}, "types", "task:ended"),
        ("ConfigureMonitoring", {"level": "passive"}, "level", "agentMayLoosen"),
        ("ConfigureMonitoring", {"maxMemoryPerTask": "5GB"}, "maxMemoryPerTask", "criticalMemory"),
        ("ConfigureMonitoring", {"stallThreshold": 30}, "stallThreshold", "30ms"),
        ("RemoveTasks", {}, "taskIds", "filter"),
    ],
)
async def test_what_is_wrong_is_named_with_what_would_be_right(
    home: Home, tool: str, arguments: dict[str, Any], field: str, right: str
) -> None:
    async with Client(build_server(home.env, str(home.work))) as client:
        call = Caller(client)
        text = await call.refused(tool, **arguments)
        assert text.startswith((field, f"filter.{field}"))
        assert right in text
        assert "Traceback" not in text
        assert (await call("ListTasks"))["tasks"] == []


async def test_the_level_is_changed_and_reset_and_survives_the_server(home: Home) -> None:
    async with client_of(home) as call:
        await call("ConfigureMonitoring", level="protective")
    async with client_of(home) as call:
        settings = {item["key"]: item for item in (await call("ConfigureMonitoring"))["settings"]}
        assert settings["monitoring.level"]["value"] == "protective"
        assert settings["monitoring.level"]["origin"] == "ConfigureMonitoring"
        assert "only the user" in await call.refused("ConfigureMonitoring", level="passive")
        assert "reset" in await call.refused("ConfigureMonitoring", reset=True, level="active")
        settings = {item["key"]: item for item in (await call("ConfigureMonitoring", reset=True))["settings"]}
        assert settings["monitoring.level"] == {
            "key": "monitoring.level",
            "value": "active",
            "origin": "default",
        }


async def test_resources_show_tasks_and_their_output(home: Home, era: str) -> None:
    async with client_of(home, era) as call:
        task = await call("RunCommand", command="echo hello", wait=True)
        rows = json.loads(await call.read("claudine://tasks"))["tasks"]
        assert [row["taskId"] for row in rows] == [task["taskId"]]
        assert json.loads(await call.read(f"claudine://tasks/{task['taskId']}"))["outcome"] == "succeeded"
        assert await call.read(f"claudine://tasks/{task['taskId']}/logs") == "hello"
        assert json.loads(await call.read("claudine://system"))["counts"] == {"ended": 1}


async def test_resources_show_what_happened_and_what_waits(home: Home, era: str) -> None:
    home.configure(limits={"softMaxConcurrent": 1})
    async with client_of(home, era) as call:
        first = await call("RunCommand", command="sleep 300")
        before = json.loads(await call.read("claudine://events"))
        assert {event.get("taskId") for event in before["events"]} <= {first["taskId"], None}
        second = await call("RunCommand", command="true", name="second")
        after = json.loads(await call.read(f"claudine://events?after={before['cursor']}"))
        seqs = [event["seq"] for event in after["events"]]
        assert seqs == sorted(seqs)
        assert min(seqs) > before["cursor"]
        assert {"taskId": second["taskId"], "type": "task:queued"}.items() <= after["events"][-1].items()
        assert (after["cursor"], after["more"]) == (seqs[-1], False)

        async def is_held() -> dict[str, Any] | None:
            *_, row = json.loads(await call.read("claudine://queue"))["queued"]
            return row if "as many as may be" in row["queue"]["reason"] else None

        row = await wait_for(is_held)
        assert row is not None
        assert (row["taskId"], row["queue"]["position"]) == (second["taskId"], 1)
        with pytest.raises(MCPError, match="'x' is no cursor"):
            await call.read("claudine://events?after=x")


# -- the end of a server -------------------------------------------------------------------------------------


class Raw:
    """A server process with its pipes, as a client that may do anything to it."""

    def __init__(self, home: Home) -> None:
        self.process = subprocess.Popen(
            SERVER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=home.env,
            cwd=home.work,
        )

    def handshake(self) -> None:
        hello = {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        }
        self.ask("initialize", hello)
        self.tell({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def tell(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self.tell({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        assert self.process.stdout is not None
        while True:
            line = self.process.stdout.readline()
            assert line, self.process.stderr.read() if self.process.stderr else "no answer"
            message = json.loads(line)
            if message.get("id") == 1:
                return message

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        return self.ask("tools/call", {"name": tool, "arguments": arguments})["result"]["structuredContent"]

    def close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()


def leave(raw: Raw, how: str) -> None:
    if how == "end of stdin":
        assert raw.process.stdin is not None
        raw.process.stdin.close()
    else:
        raw.process.send_signal(getattr(signal, how))


@pytest.mark.parametrize("how", ["end of stdin", "SIGINT", "SIGTERM", "SIGKILL"])
async def test_a_server_that_ends_harms_nothing_that_runs(home: Home, how: str) -> None:
    raw = Raw(home)
    raw.handshake()
    release = home.work / "release"
    command = f"echo first; while [ ! -e {release} ]; do sleep 0.02; done; echo last; exit 7"
    task_id = raw.call("RunCommand", command=command)["taskId"]
    await wait_for((home.run_path(task_id) / "began").exists)
    main = home.main_pid(task_id)
    leave(raw, how)
    code = raw.process.wait(30)
    raw.close()
    assert code == (-signal.SIGKILL if how == "SIGKILL" else 0)
    assert alive(main)
    release.touch()
    async with client_of(home) as call:
        await call("WaitForEvents", taskIds=[task_id], until="ended")
        status = await call("TaskStatus", taskId=task_id)
        assert (status["outcome"], status["exitCode"], status["run"]) == ("failed", 7, 1)
        lines = (await call("TaskLogs", taskId=task_id))["lines"]
        assert [line["text"] for line in lines] == ["first", "last"]


def test_a_server_leaves_while_its_client_does_not_read(home: Home) -> None:
    raw = Raw(home)
    raw.handshake()
    raw.tell(
        {
            "jsonrpc": "2.0",
            "id": 2,
            "method": "tools/call",
            "params": {"name": "WaitForEvents", "arguments": {}},
        }
    )
    raw.process.send_signal(signal.SIGTERM)
    assert raw.process.wait(30) == 0
    raw.close()


async def test_a_project_with_modules_of_the_same_names_is_not_imported(home: Home) -> None:
    for name in ("anyio", "mcp", "pydantic", "json", "claudine_mcp", "aiosqlite", "typing"):
        (home.work / f"{name}.py").write_text(
            "open('imported', 'w').write('x'); raise SystemExit('the wrong module')"
        )
    async with client_of(home) as call:
        done = await call("RunCommand", command="echo safe", wait=True)
        assert done["task"]["outcome"] == "succeeded"
    assert not (home.work / "imported").exists()


async def test_a_task_has_the_environment_of_its_client_without_the_marks_of_its_session(home: Home) -> None:
    home.env |= {
        "FROM_CLIENT": "yes",
        "CLAUDE_CODE_SESSION_ID": "s",
        "CLAUDE_CODE_MESSAGING_TOKEN": "secret-token",
    }
    async with client_of(home) as call:
        done = await call("RunCommand", command="env", env={"MORE": "1"}, wait=True)
        lines = {line["text"] for line in (await call("TaskLogs", taskId=done["taskId"]))["lines"]}
    assert {"FROM_CLIENT=yes", "MORE=1", f"CLAUDINE_TASK={done['taskId']}"} <= lines
    assert not any(line.startswith("CLAUDE_CODE") for line in lines)
    assert not files_with(home.state_dir, b"secret-token")


def files_with(folder: Path, needle: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and needle in path.read_bytes()]


async def test_everything_is_readable_by_its_owner_only(home: Home) -> None:
    async with client_of(home) as call:
        await call("RunCommand", command="umask; touch made", wait=True)
    assert (home.state_dir.stat().st_mode & 0o777) == 0o700
    open_to_others = [path for path in home.state_dir.rglob("*") if path.stat().st_mode & 0o077]
    assert open_to_others == []
    assert (home.work / "made").stat().st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


async def test_two_gigabytes_of_output_are_shown_at_once(home: Home) -> None:
    size = 200 if os.environ.get("CLAUDINE_TEST_SMALL") else 2000
    command = f"yes {'x' * 99} | head -c {size}000000; echo the end"
    async with client_of(home) as call:
        done = await call("RunCommand", command=command, wait=True)
        server = server_pids(home)
        before = rss_bytes(server[0])
        logs = await call("TaskLogs", taskId=done["taskId"], tail=3)
        assert [line["text"][-7:] for line in logs["lines"]][-1] == "the end"
        assert logs["truncated"]
        assert rss_bytes(server[0]) - before < 30 * 2**20
        status = await call("TaskStatus", taskId=done["taskId"])
        assert status["stdoutBytes"] > size * 10**6 - 1


def server_pids(home: Home) -> list[int]:
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().split(b"\0")
            env = (entry / "environ").read_bytes()
        except OSError:
            continue
        if line[-2:-1] == [b"claudine_mcp"] and str(home.state_dir).encode() in env:
            found.append(int(entry.name))
    return found


def rss_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_output_of_every_kind_is_shown_as_a_person_wants_to_see_it(home: Home) -> None:
    script = home.work / "noise.py"
    script.write_text(
        "import sys\n"
        "out = sys.stdout.buffer\n"
        "out.write(b'10%\\r50%\\r100% done\\n')\n"
        "out.write(b'\\x1b[31mred\\x1b[0m \\xff\\xfe bytes\\n')\n"
        "out.write(b'y' * 100_000_000 + b'\\n')\n"
        "out.write(bytes(range(256)) * 16 + b'\\nlast\\n')\n"
    )
    async with client_of(home) as call:
        done = await call("RunCommand", command=[sys.executable, str(script)], wait=True)
        lines = [line["text"] for line in (await call("TaskLogs", taskId=done["taskId"], tail=200))["lines"]]
        first = (await call("TaskLogs", taskId=done["taskId"], tail=1))["lines"]
    assert first == [{"stream": "stdout", "text": "last"}]
    assert lines[-1] == "last"
    assert all(len(line) < 5000 for line in lines)
    assert "\x1b" not in "".join(lines)


async def test_a_server_starts_a_supervisor_for_work_that_it_finds(home: Home) -> None:
    async with client_of(home) as call:
        task_id = (await call("RunCommand", command="sleep 1000"))["taskId"]
        await wait_for((home.run_path(task_id) / "began").exists)
    await home.kill_supervisor()
    async with client_of(home) as call:
        await home.supervisor()
        await call("CancelTask", taskId=task_id)


def test_two_clients_see_the_same_cancel(home: Home) -> None:
    first, second = Raw(home), Raw(home)
    for raw in (first, second):
        raw.handshake()
    task_id = first.call("RunCommand", command="sleep 1000")["taskId"]
    wait_until(lambda: second.call("TaskStatus", taskId=task_id)["state"] == "running")
    done = subprocess.run(
        [*SERVER, "cancel", task_id, "--json"], env=home.env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for _ in range(3):
        for raw in (first, second):
            status = raw.call("TaskStatus", taskId=task_id)
            assert (status["state"], status["outcome"]) == ("ended", "cancelled")
        time.sleep(0.2)
    for raw in (first, second):
        leave(raw, "end of stdin")
        raw.process.wait(30)
        raw.close()


async def test_requests_before_the_end_of_stdin_do_not_hang_the_server(home: Home) -> None:
    raw = Raw(home)
    leave(raw, "end of stdin")
    with anyio.fail_after(30):
        code = await anyio.to_thread.run_sync(raw.process.wait)
    raw.close()
    assert code == 0
