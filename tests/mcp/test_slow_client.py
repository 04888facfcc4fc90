"""A client that stops reading, while a thousand events a second are written: nobody else waits, and it loses none."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp import Client, StdioServerParameters
from mcp_types import LoggingMessageNotificationParams
from servers import SERVER
from support import WAIT_S, Home, wait_for

from claudine_mcp.core.models import Event, Severity
from claudine_mcp.front.front import Front
from claudine_mcp.registry.events import add_event

pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")

A_SECOND = 1000
SECONDS = 4
TOGETHER = 50
KIND = "task:messages-lost"
COUNT = A_SECOND * SECONDS
NUMBERS = list(range(COUNT))


class Deaf:
    """A client of the handshake era that introduces itself, and reads only when it is told to."""

    def __init__(self, home: Home) -> None:
        self._process = subprocess.Popen(
            [*SERVER, "--era", "legacy"],
            env=home.env,
            cwd=home.work,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._ids = iter(range(1, 1000))
        self.numbers: list[int] = []
        info = {"name": "deaf", "version": "1"}
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}
        self.ask("initialize", **hello)
        self._tell(method="notifications/initialized")
        self.answer()

    def ask(self, method: str, **params: Any) -> None:
        """Send a request."""
        self._tell(id=next(self._ids), method=method, params=params)

    def answer(self) -> dict[str, Any]:
        """Read up to the next answer to a request; keep the numbers of what is logged before it."""
        for message in self._messages():
            if "id" in message:
                return message["result"]
        raise AssertionError("the server has gone")

    def listen_to_all(self) -> None:
        """Read until all that was counted was logged."""
        for _ in self._messages():
            if NUMBERS[-1] in self.numbers[-1:]:
                return

    def _messages(self) -> Iterator[dict[str, Any]]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            data = message.get("params", {}).get("data", {})
            if "number" in data.get("data", {}):
                self.numbers.append(data["data"]["number"])
            yield message

    def _tell(self, **message: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


@asynccontextmanager
async def deaf_client(home: Home) -> AsyncGenerator[Deaf]:
    deaf = Deaf(home)
    try:
        yield deaf
    finally:
        deaf.close()


async def write_events(front: Front) -> None:
    """Write a thousand a second, or as many as this machine can."""
    began = time.monotonic()
    for first in range(0, COUNT, TOGETHER):
        await anyio.sleep(max(0.0, began + first / A_SECOND - time.monotonic()))
        async with front.db.write() as tx:
            for number in range(first, first + TOGETHER):
                await add_event(tx, counted(number))


def counted(number: int) -> Event:
    return Event(KIND, Severity.INFO, f"number {number} " + 200 * ".", time.time(), data={"number": number})


async def numbers_by_cursor(client: Client) -> list[int]:
    """Read all that was counted by the cursor of WaitForEvents, from the beginning."""
    found: list[int] = []
    cursor = 0
    while len(found) < COUNT:
        arguments = {"after": cursor, "types": [KIND], "timeout": "10s"}
        page = (await client.call_tool("WaitForEvents", arguments)).structured_content
        assert page is not None
        assert page["events"], page["why"]
        found += [event["data"]["number"] for event in page["events"]]
        cursor = page["cursor"]
    return found


async def is_told(front: Front, heard: list[int], deaf: Deaf) -> bool:
    """Whether both clients hear of what happens, as they do from half a second after their start."""
    async with front.db.write() as tx:
        await add_event(tx, Event("system:begun", Severity.INFO, "", 0.0, data={"number": -1}))
    deaf.ask("ping")
    await anyio.to_thread.run_sync(deaf.answer)
    return bool(heard and deaf.numbers)


async def test_a_client_that_stops_reading_holds_up_nobody_and_loses_nothing(home: Home) -> None:
    heard: list[int] = []

    async def hear(params: LoggingMessageNotificationParams) -> None:
        if "number" in params.data["data"]:
            heard.append(params.data["data"]["number"])

    parameters = StdioServerParameters(
        command=SERVER[0], args=[*SERVER[1:], "--era", "legacy"], env=home.env, cwd=home.work
    )
    async with (
        home.front() as front,
        deaf_client(home) as deaf,
        Client(parameters, logging_callback=hear) as other,
        anyio.create_task_group() as group,
    ):
        await wait_for(lambda: is_told(front, heard, deaf))
        heard.clear()
        deaf.numbers.clear()
        group.start_soon(write_events, front)
        # It asks for something, too, and does not read the answer.
        deaf.ask("tools/call", name="ListTasks", arguments={})
        ends = 0
        with anyio.fail_after(4 * WAIT_S):
            while ends < 2 or NUMBERS[-1] not in heard:
                done = await other.call_tool("RunCommand", {"command": "true", "wait": True})
                assert done.structured_content is not None
                assert done.structured_content["task"]["outcome"] == "succeeded"
                ends += 1
        assert [number for number in heard if number >= 0] == NUMBERS
        assert await numbers_by_cursor(other) == NUMBERS
        await anyio.to_thread.run_sync(deaf.listen_to_all)
        assert [number for number in deaf.numbers if number >= 0] == NUMBERS
