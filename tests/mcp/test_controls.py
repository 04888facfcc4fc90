"""SuspendTask and ResumeTask over a real connection."""

from __future__ import annotations

import pytest
from forms import connected
from support import Home, in_state

from claudine_mcp.core.states import State


async def test_a_task_is_suspended_and_resumed_and_says_what_that_means(home: Home) -> None:
    async with connected(home) as client, home.front() as front:
        task_id = (await client.call("RunCommand", command="until [ -e done ]; do sleep 0.02; done"))[
            "taskId"
        ]
        await in_state(front, task_id, State.RUNNING)
        held = await client.call("SuspendTask", taskId=task_id, reason="lunch")
        assert (held["taskId"], held["state"]) == (task_id, "suspended")
        assert held["processes"] >= 1
        assert "its memory stays taken: suspending frees none" in held["done"]
        shown = await client.call("TaskStatus", taskId=task_id)
        assert (shown["stopped"]["by"], shown["stopped"]["why"]) == ("user", "lunch")
        going = await client.call("ResumeTask", taskId=task_id)
        assert (going["state"], going["processes"]) == ("running", held["processes"])
        assert going["suspendedSeconds"] > 0
        with pytest.raises(AssertionError, match="only a suspended task can be resumed"):
            await client.call("ResumeTask", taskId=task_id)
        (home.work / "done").touch()
