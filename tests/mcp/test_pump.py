"""What reaches a client that has not asked: log messages, changes of resources, messages of a channel."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.session import IncomingMessage
from mcp.shared.subscriptions import ResourceUpdated
from mcp_types import LoggingMessageNotificationParams, ResourceUpdatedNotification
from support import WAIT_S, Home, wait_for

from claudine_mcp.server.pump import untagged

SERVER = ["-P", "-m", "claudine_mcp"]
pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")


class Heard:
    """A client, and what it was told without asking."""

    def __init__(self, home: Home, *arguments: str, log_level: Any = None) -> None:
        self.logged: list[LoggingMessageNotificationParams] = []
        self.updated: list[str] = []
        self.others: list[tuple[str, dict[str, Any]]] = []
        server = StdioServerParameters(
            command=sys.executable, args=[*SERVER, *arguments], env=home.env, cwd=home.work
        )
        self.client = Client(
            server, logging_callback=self.log, message_handler=self.message, log_level=log_level
        )

    async def log(self, params: LoggingMessageNotificationParams) -> None:
        self.logged.append(params)

    async def message(self, message: IncomingMessage) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            self.updated.append(str(message.params.uri))

    def types(self) -> list[str]:
        return [params.data["type"] for params in self.logged]

    async def run(self, command: str) -> str:
        """Run a command, wait for its end, and give its task's id."""
        result = await self.client.call_tool("RunCommand", {"command": command, "wait": True})
        assert result.structured_content is not None, result.content
        return result.structured_content["taskId"]


@asynccontextmanager
async def connected(heard: Heard) -> AsyncGenerator[Heard]:
    async with heard.client:
        yield heard


async def test_a_client_of_the_handshake_era_gets_events_as_log_messages(home: Home) -> None:
    async with connected(Heard(home, "--era", "legacy")) as heard:
        assert heard.client.server_capabilities.logging is not None

        async def told() -> bool:
            await heard.run("exit 3")
            return "task:ended" in heard.types()

        await wait_for(told)  # the pump begins half a second after the server
    (message, *_) = [params for params in heard.logged if params.data["type"] == "task:ended"]
    assert (message.level, message.logger) == ("warning", "claudine")
    assert message.data["data"]["outcome"] == "failed"
    assert {"seq", "at", "message", "taskId"} <= set(message.data)


async def test_it_gets_only_what_is_as_severe_as_it_wants(home: Home) -> None:
    async with connected(Heard(home, "--era", "legacy")) as heard:
        await heard.client.set_logging_level("warning")  # pyright: ignore[reportDeprecated]

        async def told() -> bool:
            await heard.run("true")
            await heard.run("exit 3")
            return bool(heard.logged)

        await wait_for(told)
    assert {params.level for params in heard.logged} == {"warning"}
    assert {params.data["data"]["outcome"] for params in heard.logged} == {"failed"}


async def test_a_session_is_not_told_of_anothers_tasks(home: Home) -> None:
    async with (
        connected(Heard(home, "--era", "legacy")) as mine,
        connected(Heard(home, "--era", "legacy")) as other,
    ):

        async def told() -> bool:
            await mine.run("true")
            return "task:ended" in mine.types()

        await wait_for(told)
        await other.client.list_tools()
        assert not [params for params in other.logged if params.data.get("taskId")]


async def test_in_the_modern_era_alerts_are_logged_inside_requests_that_ask_for_it(home: Home) -> None:
    async with connected(Heard(home, log_level="warning")) as heard, connected(Heard(home)) as silent:
        await heard.run("exit 3")
        await heard.client.call_tool("TaskStatus", {})
        assert "task:ended" in heard.types()
        await silent.run("exit 3")
        await silent.client.call_tool("TaskStatus", {})
        assert silent.logged == []


async def test_a_resource_that_changes_is_announced_to_who_subscribed_in_the_handshake_era(
    home: Home,
) -> None:
    async with connected(Heard(home, "--era", "legacy")) as heard:
        await heard.client.subscribe_resource("claudine://tasks")  # pyright: ignore[reportDeprecated]

        async def told() -> bool:
            await heard.run("true")
            return bool(heard.updated)

        await wait_for(told)
        assert set(heard.updated) == {"claudine://tasks"}
        await heard.client.unsubscribe_resource("claudine://tasks")  # pyright: ignore[reportDeprecated]
        heard.updated.clear()
        logged = len(heard.logged)
        await heard.run("true")
        await wait_for(lambda: "task:ended" in heard.types()[logged:])
        assert heard.updated == []


async def test_a_resource_that_changes_is_announced_on_the_streams_of_the_modern_era(home: Home) -> None:
    async with connected(Heard(home)) as heard:
        task_id = await heard.run("true")
        uri = f"claudine://tasks/{task_id}"
        async with heard.client.listen(resource_subscriptions=[uri]) as changes:
            await heard.client.call_tool("RetryTask", {"taskId": task_id})
            async for change in changes:
                assert change == ResourceUpdated(uri=uri)
                break


SILENT = "until test -e release; do sleep 0.05; done"


def stalls_soon(home: Home) -> None:
    home.configure(monitoring={"stallThreshold": "2s"})


async def test_a_stall_and_an_end_reach_a_client_of_the_handshake_era_without_a_question(home: Home) -> None:
    stalls_soon(home)
    async with connected(Heard(home, "--era", "legacy")) as heard:
        result = await heard.client.call_tool("RunCommand", {"command": SILENT})
        assert result.structured_content is not None
        uri = f"claudine://tasks/{result.structured_content['taskId']}"
        await heard.client.subscribe_resource(uri)  # pyright: ignore[reportDeprecated]
        await wait_for(lambda: "task:stalled" in heard.types() and uri in heard.updated)
        heard.updated.clear()
        (home.work / "release").touch()
        await wait_for(lambda: "task:ended" in heard.types() and uri in heard.updated)
    levels = {params.data["type"]: params.level for params in heard.logged}
    assert (levels["task:stalled"], levels["task:ended"]) == ("warning", "info")
    assert Counter(heard.types())["task:stalled"] == Counter(heard.types())["task:ended"] == 1


async def test_a_stall_and_an_end_reach_a_client_of_the_modern_era(home: Home) -> None:
    stalls_soon(home)
    async with connected(Heard(home, log_level="warning")) as heard:
        result = await heard.client.call_tool("RunCommand", {"command": SILENT})
        assert result.structured_content is not None
        task_id = result.structured_content["taskId"]
        async with heard.client.listen(resource_subscriptions=[f"claudine://tasks/{task_id}"]) as changes:
            assert await waited_for(heard, task_id, "event", types=["task:stalled"]) == ["task:stalled"]
            assert heard.types() == ["task:stalled"]  # inside the request
            await next_of(changes)
            ((after,),) = home.query("SELECT max(seq) FROM events")
            (home.work / "release").touch()
            types = await waited_for(heard, task_id, "ended", after=after)
            assert types[-1] == "task:ended"
            await next_of(changes)


async def next_of(changes: AsyncIterable[object]) -> None:
    with anyio.fail_after(WAIT_S):
        async for _ in changes:
            return


async def waited_for(heard: Heard, task_id: str, until: str, **more: Any) -> list[str]:
    """Wait for what happens to a task from its beginning; give the types."""
    arguments = {"taskIds": [task_id], "until": until, "after": 0, **more}
    result = await heard.client.call_tool("WaitForEvents", arguments)
    assert result.structured_content is not None, result.content
    return [event["type"] for event in result.structured_content["events"]]


def test_a_name_closes_no_tag_of_a_channel() -> None:
    assert untagged("a</channel>&lt;b (t1) failed") == "a[/channel]+lt;b (t1) failed"


def test_channel_messages_need_the_handshake_era(home: Home) -> None:
    done = subprocess.run(
        [sys.executable, *SERVER, "--channel"], env=home.env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "--channel needs --era legacy" in done.stderr


@pytest.mark.parametrize("is_set", [False, True], ids=["by an option", "by the user's file"])
async def test_alerts_are_sent_over_a_channel_that_was_asked_for(home: Home, is_set: bool) -> None:
    home.configure(notifications={"channel": is_set})
    options = ["--era", "legacy"] if is_set else ["--era", "legacy", "--channel"]
    async with connected(Heard(home, *options)) as heard:
        experimental = heard.client.server_capabilities.experimental
        assert experimental is not None
        assert "claude/channel" in experimental
