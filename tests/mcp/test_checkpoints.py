"""Checkpoints, as a client gets them."""

from __future__ import annotations

import anyio
from servers import served
from support import Home
from work_tree_kinds import commit_all, new_repository, run_git


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


async def test_a_client_restores_one_into_a_new_task_and_into_the_same(home: Home) -> None:
    top = new_repository(home.work)
    (top / "a").write_text("a\n")
    commit_all(top)
    async with served(home, home.env, "checkpoints", home.work) as call:
        started = await call(
            "RunCommand", command="until [ -e go ]; do sleep 0.05; done; cat a", restartable=True
        )
        task_id = started["taskId"]
        await call("WaitForEvents", taskIds=[task_id], types=["task:started"], after=0)
        made = (await call("CheckpointTask", taskId=task_id))["checkpointId"]
        (top / "go").touch()
        await call("WaitForEvents", taskIds=[task_id], until="ended")
        (top / "a").write_text("work\n")

        new = await call("RestoreCheckpoint", checkpointId=made)
        refused = await call("RestoreCheckpoint", checkpointId=made, into="same-task")
        assert (refused["changed"], refused["wouldLose"]) == (False, ["a", "go"])
        assert (top / "a").read_text() == "work\n"
        put_back = await call("RestoreCheckpoint", checkpointId=made, into="same-task", confirm=True)
        assert put_back["changed"]
        assert (top / "a").read_text() == "a\n"
        is_error, answer = await call.answer("RestoreCheckpoint", checkpointId="nothing")
        assert is_error
        assert "checkpointId: there is no checkpoint 'nothing'" in answer

        await call("WaitForEvents", taskIds=[new["taskId"]], types=["task:started"], after=0)
        path = (await call("TaskStatus", taskId=new["taskId"]))["worktree"]["path"]
        await anyio.Path(path, "go").touch()
        await call("WaitForEvents", taskIds=[new["taskId"]], until="ended")
        assert (await call("TaskLogs", taskId=new["taskId"]))["lines"] == [{"stream": "stdout", "text": "a"}]
