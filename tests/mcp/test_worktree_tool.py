"""`worktree: true` of the tools that start tasks."""

from __future__ import annotations

from typing import Any

from forms import connected
from repositories import claudine_branches, new_repository, worktree_count
from support import Home, ended, wait_for


async def test_a_command_works_in_a_worktree_that_its_status_shows(home: Home) -> None:
    repository = new_repository(home.work)
    (repository / "new.txt").write_text("not committed\n")
    async with connected(home) as client, home.front() as front:
        submitted = await client.call("RunCommand", command="ls; echo more >> top.txt", worktree=True)
        assert submitted["worktree"]["repository"] == str(repository)
        assert "are not in it" in submitted["worktree"]["note"]
        task_id = submitted["taskId"]
        await ended(front, task_id)
        assert home.output(task_id) == "code\ntop.txt\n"

        async def kept() -> dict[str, Any] | None:
            made = (await client.call("TaskStatus", taskId=task_id))["worktree"]
            return made if made["state"] == "kept" else None

        made = await wait_for(kept)
        assert made is not None
        assert made["changes"] == "1 file, +1 -0, 0 commits, 1 file not committed"
        assert claudine_branches(repository) == [made["branch"]]
        removal = await client.call("RemoveTasks", taskIds=[task_id])
        assert "uncommitted work (1 file)" in removal["kept"][task_id]
    assert worktree_count(repository) == 1
    assert (repository / "top.txt").read_text() == "top\n"


async def test_where_no_worktree_can_be_made_the_error_names_the_field(home: Home) -> None:
    async with connected(home) as client:
        call = {"command": "true", "worktree": True}
        result = await client.client.session.call_tool("RunCommand", call)
        assert result.is_error
        assert "worktree: " in str(result.content)
        assert "not a git repository" in str(result.content)
