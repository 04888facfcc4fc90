"""How soon word of a silence or of a timeout is in the registry, and how soon at a client that listens."""

from __future__ import annotations

import sqlite3
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from typing import Any

import anyio
from harness import CLAUDINE, WAIT_S, Home, Row, home, p95, spread
from mcp import Client, StdioServerParameters
from mcp_types import LoggingMessageNotificationParams

from claudine_mcp.registry.bell import listen

TICK_S = 1.0
"""The default."""
STALL_S = 3.0
APART_S = 0.37
"""Between two tasks, so that their silences begin at all times within a tick, and few of them in the same."""
COMMITTED_MS = 1000 * TICK_S + 50
ARRIVED_MS = 150
STALLED, OVERDUE = KINDS = ("task:stalled", "task:overdue")
COMMAND = ["sh", "-c", "date +%s.%N; exec sleep 600"]
"""Says when it fell silent."""


@dataclass
class Seen:
    """When each warning was seen, by `seq`; seconds since the epoch."""

    written: dict[int, tuple[str, str, float]] = field(default_factory=dict[int, tuple[str, str, float]])
    committed: dict[int, float] = field(default_factory=dict[int, float])
    arrived: dict[int, float] = field(default_factory=dict[int, float])


def measure(*, quick: bool) -> list[Row]:
    """Have tasks fall silent and pass their timeouts, one after the other, and note when the word of each is where."""
    count = 15 if quick else 100
    rows: list[Row] = []
    for era, route, arguments, follow in (
        ("handshake era", "log message", ["--era", "legacy"], _listen),
        ("modern era", "WaitForEvents", [], _wait),
    ):
        with home(_settings(count)) as place:
            late, arrived = anyio.run(_tries, place, arguments, follow, count)
        rows += [
            Row(
                f"{what} → event committed, p95 ({era})",
                1000 * p95(late[kind]),
                "ms",
                COMMITTED_MS,
                f"{spread(late[kind])}; a tick is {1000 * TICK_S:.0f} ms",
            )
            for what, kind in (("silent for `stallThreshold`", STALLED), ("timeout passed", OVERDUE))
        ]
        rows += [
            Row(
                f"… → at the client, {route}, p95",
                1000 * p95(arrived),
                "ms",
                ARRIVED_MS,
                f"median {1000 * statistics.median(arrived):.0f} ms; {spread(arrived)}; the commit included",
            ),
        ]
    return rows


def _settings(count: int) -> dict[str, Any]:
    return {
        "monitoring": {"sampleInterval": round(1000 * TICK_S), "stallThreshold": round(1000 * STALL_S)},
        "limits": {"softMaxConcurrent": count, "hardMaxConcurrent": count},
    }


async def _tries(
    place: Home, arguments: list[str], follow: Callable[[Client, Seen], Awaitable[None]], count: int
) -> tuple[dict[str, list[float]], list[float]]:
    """Give the seconds from each crossing to the commit, by type, and from writing the event to its arrival."""
    seen = Seen()

    async def logged(params: LoggingMessageNotificationParams) -> None:
        if params.data["type"] in KINDS:
            seen.arrived.setdefault(params.data["seq"], time.time())

    server = StdioServerParameters(command=CLAUDINE[0], args=[*CLAUDINE[1:], *arguments], env=place.env)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(server, logging_callback=logged))
        await client.call_tool("ListTasks", {})  # which makes the registry
        group = await stack.enter_async_context(anyio.create_task_group())
        group.start_soon(_watch, place, seen)
        group.start_soon(follow, client, seen)
        await anyio.sleep(STALL_S / 2)  # until the server stands by
        for _ in range(count):
            await client.call_tool("RunCommand", {"command": COMMAND, "timeout": f"{STALL_S:g}s"})
            await anyio.sleep(APART_S)
        with anyio.fail_after(WAIT_S):
            while min(len(seen.committed), len(seen.arrived)) < count * len(KINDS):  # noqa: ASYNC110 - of other processes
                await anyio.sleep(0.1)
        group.cancel_scope.cancel()
    started = dict(place.rows("SELECT id, started_at FROM tasks"))
    late: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for seq, at in seen.committed.items():
        kind, task_id, _ = seen.written[seq]
        since = float(place.output(task_id)) if kind == STALLED else started[task_id]
        late[kind].append(at - since - STALL_S)
    return late, [at - seen.written[seq][2] for seq, at in seen.arrived.items()]


async def _watch(place: Home, seen: Seen) -> None:
    """Note when each warning can be read, a moment after its commit."""
    sql = "SELECT seq, type, task_id, at FROM events WHERE type IN (?, ?) AND seq > ?"
    with (
        closing(sqlite3.connect(f"file:{place.registry}?mode=ro", uri=True)) as connection,
        listen(place.state / "bell") as listener,
    ):
        while True:
            rows = connection.execute(sql, (*KINDS, max(seen.written, default=0))).fetchall()
            now = time.time()
            for seq, kind, task_id, at in rows:
                seen.written[seq], seen.committed[seq] = (kind, task_id, at), now
            await listener.wait(1.0)


async def _listen(_client: Client, _seen: Seen) -> None:
    """Have log messages come."""


async def _wait(client: Client, seen: Seen) -> None:
    """Wait for warnings, again and again."""
    cursor = 0
    while True:
        result = await client.call_tool("WaitForEvents", {"types": KINDS, "after": cursor})
        now = time.time()
        if result.structured_content is None:
            sys.exit(f"WaitForEvents: {result.content}")
        cursor = result.structured_content["cursor"]
        for event in result.structured_content["events"]:
            seen.arrived.setdefault(event["seq"], now)
