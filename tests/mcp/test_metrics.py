"""TaskMetrics and the machine in SystemStatus, as a client gets them."""

from __future__ import annotations

from typing import Any

from servers import served
from support import Home, wait_for

LIMIT_S = 60.0


async def test_a_client_sees_what_a_task_uses_and_has_used(home: Home) -> None:
    async with served(home, home.env, "metrics", home.work) as call:
        task_id = (await call("RunCommand", command="until test -e open; do sleep 0.05; done"))["taskId"]

        async def sample() -> dict[str, Any] | None:
            return (await call("TaskStatus", taskId=task_id)).get("sample")

        assert (await wait_for(sample, LIMIT_S, what="a sample"))["processes"] >= 1  # type: ignore[index]
        system = (await call("SystemStatus"))["machine"]
        assert {"memoryAvailableBytes", "cpus", "load1", "diskFreeBytes", "otherClaude"} <= set(system)
        (home.work / "open").touch()
        await call("WaitForEvents", taskIds=[task_id], until="ended")

        async def series() -> dict[str, Any] | None:
            found = await call("TaskMetrics", taskId=task_id, points=5)
            return found if "rssBytes" in found else None

        found = await wait_for(series, LIMIT_S, what="series")
        assert found is not None
        assert 1 <= len(found["rssBytes"]["series"]) <= 5
        assert len(found["rssBytes"]["sparkline"]) == len(found["at"])


async def test_a_client_is_told_what_is_wrong(home: Home) -> None:
    async with served(home, home.env, "metrics", home.work) as call:
        task_id = (await call("RunCommand", command="true"))["taskId"]
        await call("WaitForEvents", taskIds=[task_id], until="ended")
        for arguments, expected in (
            ({"taskId": task_id, "points": 0}, "points: 0 is out of range. Give 1 to 1000."),
            ({"taskId": task_id, "window": 30}, "window: 30 means 30 milliseconds"),
            ({"taskId": "nobody"}, "there is no task 'nobody'"),
        ):
            is_error, answer = await call.answer("TaskMetrics", **arguments)
            assert is_error
            assert expected in answer
