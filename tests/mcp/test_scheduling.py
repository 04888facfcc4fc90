"""The tools that say when queued tasks may start, over a real connection."""

from __future__ import annotations

from forms import connected
from support import Home, ended


async def test_a_paused_queue_is_told_of_to_whoever_submits(home: Home) -> None:
    async with connected(home) as client, home.front() as front:
        paused = await client.call("PauseQueue", paused=True, reason="a demonstration")
        assert (paused["paused"], paused["changed"], paused["queued"]) == (True, True, 0)
        answer = await client.call("RunCommand", command="true")
        assert answer["state"] == "queued"
        assert "the queue is paused since " in answer["note"]
        assert "a demonstration; PauseQueue(paused=false) lets it go on" in answer["note"]
        on = await client.call("PauseQueue", paused=False)
        assert (on["paused"], on["changed"]) == (False, True)
        await ended(front, answer["taskId"])
        assert "note" not in await client.call("RunCommand", command="true")


async def test_capacity_is_reserved_listed_and_released(home: Home) -> None:
    home.configure(limits={"softMaxConcurrent": 1, "hardMaxConcurrent": 1})
    async with connected(home) as client, home.front() as front:
        kept = await client.call("ReserveCapacity", slots=1, memory="1MB", duration="1h")
        assert kept["done"].startswith("kept free: 1 MB of memory and 1 slot, until ")
        (listed,) = (await client.call("SystemStatus"))["reservations"]
        assert (listed["reservationId"], listed["memoryBytes"]) == (kept["reservationId"], 10**6)
        answer = await client.call("RunCommand", command="true")
        gone = await client.call("ReserveCapacity", release=kept["reservationId"])
        assert gone["reservations"] == []
        await ended(front, answer["taskId"])
        assert "reservations" not in await client.call("SystemStatus")
