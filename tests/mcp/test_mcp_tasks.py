"""Calls that wait, as MCP tasks: they outlive the call, the server, and nobody loses or doubles anything."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from mcp import Client
from mcp.client import advertise
from mcp.shared.exceptions import MCPError
from mcp_tasks import IDENTIFIER, SERVER, TaskClient, over_stdio, server_pid, task_client
from mcp_types import INVALID_PARAMS, METHOD_NOT_FOUND, MISSING_REQUIRED_CLIENT_CAPABILITY
from support import Home, kill, wait_for

from claudine_mcp.core.paths import waits_directory
from claudine_mcp.front import waits
from claudine_mcp.server.app import build_server
from claudine_mcp.workloads.claude import DEPTH

GATE = "until test -e open; do sleep 0.02; done"
"""A command that lasts until the test makes the file ``open``."""


@pytest.fixture
async def client(home: Home) -> AsyncGenerator[TaskClient]:
    async with task_client(build_server(home.env, str(home.work))) as connected:
        yield connected


async def test_a_call_that_waits_is_answered_by_a_handle_at_once_and_by_its_result_later(
    home: Home, client: TaskClient
) -> None:
    wait = await client.begin("RunCommand", command=f"{GATE}; echo done", wait=True)
    (task_id,) = home.query("SELECT id FROM tasks")[0]
    assert wait.status == "working"
    assert wait.task_id.startswith(f"{task_id}-wait-")  # all that a model learns before the end
    assert wait.ttl_ms == 14 * 86_400_000
    assert (wait.poll_interval_ms or 0) >= 250
    assert (await client.get(wait))["status"] == "working"
    (home.work / "open").touch()
    done = await client.result(wait)
    assert (done["taskId"], done["state"], done["task"]["outcome"]) == (task_id, "ended", "succeeded")
    assert home.query("SELECT count(*) FROM tasks") == [(1,)]


async def test_a_retry_waits_for_its_own_run(home: Home, client: TaskClient) -> None:
    first = await client.result(await client.begin("RunCommand", command="echo run >> runs", wait=True))
    wait = await client.begin("RetryTask", taskId=first["taskId"], wait=True)
    assert (await client.result(wait))["task"]["run"] == 2
    assert home.lines("runs") == ["run", "run"]


async def test_events_are_waited_for_from_the_call_on_and_none_is_missed(
    home: Home, client: TaskClient
) -> None:
    ids = [(await client.call("RunCommand", command=GATE))["taskId"] for _ in range(3)]
    each = await client.begin("WaitForEvents", taskIds=ids, until="ended")
    every = await client.begin("WaitForEvents", taskIds=ids, until="allEnded", minSeverity="debug", after=0)
    assert (await client.get(every))["statusMessage"].startswith("0 of 3 tasks have ended")
    (home.work / "open").touch()
    assert (await client.result(each))["why"].endswith("has ended (succeeded)")
    events = await client.result(every)
    assert [task["outcome"] for task in events["tasks"]] == ["succeeded"] * 3
    assert [event["type"] for event in events["events"]].count("task:queued") == 3
    again = await client.begin(
        "WaitForEvents", after=events["cursor"], types=["task:queued"], minSeverity="debug"
    )
    assert (await client.get(again))["status"] == "working"
    other = await client.call("RunCommand", command="true")
    assert [event["taskId"] for event in (await client.result(again))["events"]] == [other["taskId"]]


async def test_what_has_happened_already_needs_no_handle(client: TaskClient) -> None:
    done = await client.result(await client.begin("RunCommand", command="true", wait=True))
    events = await client.call("WaitForEvents", taskIds=[done["taskId"]], until="ended")
    assert events["why"].endswith("has ended (succeeded)")


async def test_the_time_of_a_wait_runs_out_for_a_handle_as_well(client: TaskClient) -> None:
    wait = await client.begin("WaitForEvents", types=["task:messages-lost"], timeout=1000)
    events = await client.result(wait)
    assert (events["events"], events["why"]) == ([], "the timeout of 1 s has passed")


async def test_a_wait_does_not_last_an_hour_longer_because_the_clock_was_set_back(
    client: TaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = await client.begin("WaitForEvents", types=["task:messages-lost"], timeout="10m")
    assert (await client.get(wait))["status"] == "working"
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - 3600)
    events = await client.result(wait)
    assert events["events"] == []
    assert events["why"].startswith("the clock was set back")


async def test_what_is_wrong_is_told_before_there_is_a_handle(home: Home, client: TaskClient) -> None:
    result = await client.client.session.call_tool("RunCommand", {"command": "", "wait": True})
    assert result.is_error
    assert home.query("SELECT count(*) FROM tasks") == [(0,)]
    assert not (home.state_dir / "waits").exists()


async def test_several_waits_at_once_give_each_its_own(home: Home, client: TaskClient) -> None:
    begun = [await client.begin("RunCommand", command=f"{GATE}; exit {code}", wait=True) for code in range(8)]
    (home.work / "open").touch()
    results = [await client.result(wait) for wait in reversed(begun)]
    assert [result["task"]["exitCode"] for result in results] == list(reversed(range(8)))


async def test_a_wait_that_is_given_up_ends_no_task_and_says_so(home: Home, client: TaskClient) -> None:
    wait = await client.begin("RunCommand", command=GATE, wait=True)
    (task_id,) = home.query("SELECT id FROM tasks")[0]
    assert (await client.cancel(wait))["resultType"] == "complete"
    given_up = await client.get(wait)
    assert given_up["status"] == "cancelled"
    assert "the background task goes on; CancelTask ends it" in given_up["statusMessage"]
    assert (await client.cancel(wait))["resultType"] == "complete"
    (home.work / "open").touch()
    done = await client.result(await client.begin("WaitForEvents", taskIds=[task_id], until="ended"))
    assert done["tasks"][0]["outcome"] == "succeeded"
    assert (await client.get(wait))["status"] == "cancelled"


@pytest.mark.parametrize("wanted", ["nonesuch", "a-wait-0123456789abcdef", "../tasks", "x-wait-" + "0" * 500])
async def test_an_unknown_handle_is_an_error_that_says_what_there_is(client: TaskClient, wanted: str) -> None:
    for ask in (client.get(wanted), client.cancel(wanted), client.update(wanted, {})):
        with pytest.raises(MCPError, match="there is no wait") as refused:
            await ask
        assert refused.value.code == INVALID_PARAMS
        assert "TaskStatus" in str(refused.value)


async def test_a_result_that_was_read_once_stays_whatever_becomes_of_the_task(
    home: Home, client: TaskClient
) -> None:
    wait = await client.begin("RunCommand", command=f"{GATE}; exit 3", wait=True)
    (home.work / "open").touch()
    first = await client.until(wait, "completed")
    task_id = first["result"]["structuredContent"]["taskId"]
    (home.work / "open").unlink()
    await client.call("RetryTask", taskId=task_id)
    assert await client.get(wait) == first
    (home.work / "open").touch()
    await client.result(await client.begin("WaitForEvents", taskIds=[task_id], until="ended"))
    await client.call("RemoveTasks", taskIds=[task_id])
    assert await client.get(wait) == first


async def test_a_task_that_was_removed_before_anybody_asked_is_told_as_such(
    home: Home, client: TaskClient
) -> None:
    wait = await client.begin("RunCommand", command="true", wait=True)
    (task_id,) = home.query("SELECT id FROM tasks")[0]
    await wait_for(lambda: home.query("SELECT state FROM tasks") == [("ended",)])
    await client.call("RemoveTasks", taskIds=[task_id])
    result = (await client.until(wait, "completed"))["result"]
    assert result["isError"]
    assert f"there is no task '{task_id}'" in result["content"][0]["text"]


async def test_a_wait_is_forgotten_after_its_time(home: Home, client: TaskClient) -> None:
    old = await client.begin("WaitForEvents", types=["task:messages-lost"])
    path = waits_directory(home.state_dir) / f"{old.task_id}.json"
    before = time.time() - waits.KEPT_S
    path.write_text(json.dumps(json.loads(path.read_text()) | {"began_at": before}))
    with pytest.raises(MCPError, match="or not any more"):
        await client.get(old)
    os.utime(path, (before, before))
    new = await client.begin("WaitForEvents", types=["task:messages-lost"])
    assert not path.exists()
    assert (await client.get(new))["status"] == "working"


async def test_where_a_wait_cannot_be_kept_the_call_itself_waits(home: Home, client: TaskClient) -> None:
    await client.call("ListTasks")  # makes the state directory
    (waits_directory(home.state_dir)).touch()
    done = await client.call("RunCommand", command="true", wait=True)
    assert done["task"]["outcome"] == "succeeded"


async def test_a_server_inside_a_delegated_run_delegates_no_further(home: Home) -> None:
    async with task_client(build_server(home.env | {DEPTH: "1"}, str(home.work))) as client:
        result = await client.client.session.call_tool("DelegateTask", {"prompt": "go on", "wait": True})
        assert result.is_error
        assert "claude.maxDepth" in str(result.content)
    assert home.query("SELECT count(*) FROM tasks") == [(0,)]


# -- who gets a handle --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "declares"), [("auto", False), ("legacy", False), ("legacy", True)], ids=str
)
async def test_who_does_not_take_them_in_this_very_protocol_waits_in_the_call(
    home: Home, mode: Any, declares: bool
) -> None:
    extensions = [advertise(IDENTIFIER)] if declares else []
    async with Client(build_server(home.env, str(home.work)), mode=mode, extensions=extensions) as plain:
        result = await plain.call_tool("RunCommand", {"command": "true", "wait": True})
        assert result.structured_content is not None
        assert result.structured_content["task"]["outcome"] == "succeeded"
        with pytest.raises(MCPError) as refused:
            await TaskClient(plain).get("nonesuch")
        expected = METHOD_NOT_FOUND if mode == "legacy" else MISSING_REQUIRED_CLIENT_CAPABILITY
        assert refused.value.code == expected


class Wire:
    """A server process, and requests that are written by hand."""

    def __init__(self, home: Home) -> None:
        self.process = subprocess.Popen(
            SERVER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=home.env, cwd=home.work
        )
        self._n = 0

    def ask(self, method: str, params: dict[str, Any], *, extensions: dict[str, Any]) -> dict[str, Any]:
        self._n += 1
        meta = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "by hand", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {"extensions": extensions},
        }
        request = {"jsonrpc": "2.0", "id": self._n, "method": method, "params": {**params, "_meta": meta}}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        while True:
            answer = json.loads(self.process.stdout.readline())
            if answer.get("id") == self._n:
                return answer

    def close(self) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        code = self.process.wait(30)
        self.process.stdout.close()
        return code


def test_each_request_says_anew_whether_its_client_takes_them(home: Home) -> None:
    wire = Wire(home)
    call = {"name": "RunCommand", "arguments": {"command": "true", "wait": True}}
    plain = wire.ask("tools/call", call, extensions={})["result"]
    assert plain["structuredContent"]["task"]["outcome"] == "succeeded"
    handle = wire.ask("tools/call", call, extensions={IDENTIFIER: {}})["result"]
    assert handle["resultType"] == "task"
    get = {"taskId": handle["taskId"]}
    assert wire.ask("tasks/get", get, extensions={IDENTIFIER: {}})["result"]["taskId"] == handle["taskId"]
    refused = wire.ask("tasks/get", get, extensions={})["error"]
    assert refused["code"] == MISSING_REQUIRED_CLIENT_CAPABILITY
    assert IDENTIFIER in refused["data"]["requiredCapabilities"]["extensions"]
    capabilities = wire.ask("server/discover", {}, extensions={})["result"]["capabilities"]
    assert IDENTIFIER in capabilities["extensions"]
    assert wire.close() == 0


# -- servers that end ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["killed", "leaves"])
async def test_another_server_goes_on_with_the_waits_of_one_that_is_gone(home: Home, how: str) -> None:
    async with task_client(over_stdio(home)) as first:
        open_ = await first.begin("RunCommand", command=f"echo begun >> begun; {GATE}", wait=True)
        ended = await first.begin("RunCommand", command="true", wait=True)
        given_up = await first.begin("WaitForEvents", types=["task:messages-lost"])
        events = await first.begin("WaitForEvents", types=["task:ended"], after=0, until="event")
        await first.cancel(given_up)
        read = await first.until(ended, "completed")
        if how == "killed":
            kill(server_pid(home))
    async with task_client(over_stdio(home)) as second:
        assert (await second.get(open_))["status"] == "working"
        assert await second.get(ended) == read
        assert (await second.get(given_up))["status"] == "cancelled"
        assert (await second.result(events))["events"][0]["type"] == "task:ended"
        (home.work / "open").touch()
        assert (await second.result(open_))["task"]["outcome"] == "succeeded"
    assert home.lines("begun") == ["begun"]
    assert home.query("SELECT count(*), max(run) FROM tasks") == [(2, 1)]


async def test_a_task_is_submitted_once_however_late_anybody_asks(home: Home) -> None:
    async with task_client(over_stdio(home)) as first:
        wait = await first.begin("RunCommand", command="echo begun >> begun", wait=True)
    await wait_for(lambda: home.query("SELECT state FROM tasks") == [("ended",)])
    async with task_client(over_stdio(home)) as second:
        assert (await second.result(wait))["task"]["outcome"] == "succeeded"
    assert home.lines("begun") == ["begun"]
