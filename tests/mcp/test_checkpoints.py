"""Checkpoints, as a client gets them."""

from __future__ import annotations

from servers import served
from support import Home
from work_tree_kinds import new_repository, run_git


async def test_a_client_makes_one_and_lists_it(home: Home) -> None:
    top = new_repository(home.work)
    (top / "a").write_text("a\n")
    async with served(home, home.env, "checkpoints", home.work) as call:
        task_id = (await call("RunCommand", command="until [ -e done ]; do sleep 0.05; done"))["taskId"]
        await call("WaitForEvents", taskIds=[task_id], types=["task:started"], after=0)
        made = await call("CheckpointTask", taskId=task_id, label="by a client")
        assert run_git(top, "show", f"{made['ref']}:a") == b"a\n"
        assert made["details"]["label"] == "by a client"
        (listed,) = (await call("ListCheckpoints", taskId=task_id))["checkpoints"]
        assert listed["checkpointId"] == made["checkpointId"]
        assert (await call("TaskStatus", taskId=task_id))["checkpoints"]["count"] == 1
        is_error, answer = await call.answer("CheckpointTask", taskId="nobody")
        assert is_error
        assert "there is no task 'nobody'" in answer
        (top / "done").touch()
        await call("WaitForEvents", taskIds=[task_id], until="ended")
