"""The real Claude Code in a git worktree of its own."""

from __future__ import annotations

import pytest
from delegating import BASH, LIMIT_S, handed_over, retried
from fake_api import FakeApi
from repositories import claudine_branches, git_in, kept_of, new_repository
from support import Home, ended, wait_for

from claudine_mcp.core.states import Outcome
from claudine_mcp.front.details import task_view

pytestmark = pytest.mark.claude

COMMIT = "git add --all; git -c user.name=A -c user.email=a@example.org commit --quiet --message done"


async def test_what_it_writes_is_in_its_worktree_and_its_session_goes_on_there(
    claude_home: Home, api: FakeApi
) -> None:
    repository = new_repository(claude_home.work)
    before = kept_of(repository)
    async with claude_home.front() as front:
        task = await handed_over(
            front, f"bash pwd > where.txt; {COMMIT} | text done", worktree=True, cwd="code", **BASH
        )
        done = await ended(front, task, LIMIT_S)
        assert done.outcome is Outcome.SUCCEEDED, done.reason
        path = claude_home.state_dir / "worktrees" / task.id
        assert (path / "code" / "where.txt").read_text().strip() == str(path / "code")
        assert str(path / "code") in str(api.requests[0].body)  # where it was told that it works
        again = await retried(front, task)
        assert again.outcome is Outcome.SUCCEEDED
        assert again.session_id == done.session_id

        async def is_kept() -> bool:
            view = (await task_view(front, task.id)).worktree
            return view is not None and view.state == "kept"

        await wait_for(is_kept)
        (branch,) = claudine_branches(repository)
        assert git_in(repository, "show", f"{branch}:code/where.txt") == str(path / "code")
    assert kept_of(repository) == before
