"""Tasks in git worktrees of their own, run for real."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio.lowlevel
import pytest
from repositories import claudine_branches, commit_all, git_in, kept_of, new_repository, worktree_count
from staging import staged
from support import Home, ended, events_of, in_state, wait_for

from claudine_mcp.core.errors import InvalidInput, TaskNotFound
from claudine_mcp.core.models import CommandKind, Task
from claudine_mcp.core.states import Outcome, State
from claudine_mcp.front.details import task_view
from claudine_mcp.front.front import Front
from claudine_mcp.front.removal import remove_tasks
from claudine_mcp.front.submit import CommandRequest
from claudine_mcp.front.worktree_views import WorktreeView

COMMIT = "git -c user.name=A -c user.email=a@example.org commit --quiet --all --message done"


@pytest.fixture
def repository(home: Home) -> Path:
    return new_repository(home.work)


def wanted(command: str, **more: Any) -> CommandRequest:
    return CommandRequest(command, worktree=True, **more)


async def settled(front: Front, task: Task | str) -> Task:
    """Wait until a task has ended and its worktree was removed or kept."""
    done = await ended(front, task)

    async def there() -> Task | None:
        found = await front.task(done.id)
        return found if found.worktree is not None and "fate" in found.worktree else None

    found = await wait_for(there, what="the worktree is parted with")
    assert found is not None
    return found


async def shown(front: Front, task: Task) -> WorktreeView:
    view = (await task_view(front, task.id)).worktree
    assert view is not None
    return view


async def test_a_task_that_changes_nothing_leaves_no_worktree_and_no_branch(
    home: Home, repository: Path
) -> None:
    before = kept_of(repository)
    async with home.front() as front:
        task = await front.submit_command(
            wanted("pwd; echo $PWD; git branch --show-current; mkdir build", name="Tell: where?")
        )
        done = await settled(front, task)
        assert done.outcome is Outcome.SUCCEEDED
        path = home.state_dir / "worktrees" / task.id
        branch = f"claudine/tell-where-{task.id}"
        assert home.output(task).splitlines() == [str(path), str(path), branch]
        view = await shown(front, task)
        assert (view.state, view.branch) == ("removed", branch)
        assert not path.exists()
    assert claudine_branches(repository) == []
    assert worktree_count(repository) == 0
    assert kept_of(repository) == before


async def test_what_a_task_commits_is_on_its_branch_and_not_in_the_users_tree(
    home: Home, repository: Path
) -> None:
    (repository / "top.txt").write_text("the user's\n")
    before = kept_of(repository)
    async with home.front() as front:
        task = await front.submit_command(
            wanted(f"cat ../top.txt; echo more > inner.txt; {COMMIT}", cwd="code")
        )
        assert "uncommitted changes" in str((await shown(front, task)).note)
        done = await settled(front, task)
        assert done.outcome is Outcome.SUCCEEDED, home.output(task, "stderr")
        assert home.output(task) == "top\n"
        view = await shown(front, task)
        assert (view.state, view.changes) == ("kept", "1 file, +1 -1, 1 commit")
        assert git_in(repository, "show", f"{view.branch}:code/inner.txt") == "more"
        (end,) = await events_of(front, task, "task:ended")
        assert f"its work is on branch {view.branch} (1 file, +1 -1, 1 commit)" in end.message
        assert end.data["worktree"]["branch"] == view.branch
        assert kept_of(repository) == before
        dry = await remove_tasks(front, ids=[task.id], dry_run=True)
        assert dry.removed == [task.id]
        assert worktree_count(repository) == 1
        assert (await remove_tasks(front, ids=[task.id])).removed == [task.id]
        assert list((home.state_dir / "worktrees").iterdir()) == []
        assert claudine_branches(repository) == [view.branch]
    assert worktree_count(repository) == 0


async def test_uncommitted_work_keeps_a_task_from_being_removed(home: Home, repository: Path) -> None:
    async with home.front() as front:
        task = await front.submit_command(wanted("echo new > new.txt"))
        await settled(front, task)
        view = await shown(front, task)
        assert view.changes == "1 file, +0 -0, 0 commits, 1 file not committed"
        for dry_run in (True, False):
            removal = await remove_tasks(front, ids=[task.id], dry_run=dry_run)
            assert removal.removed == []
            assert "uncommitted work (1 file)" in removal.kept[task.id]
        assert (Path(str(view.path)) / "new.txt").read_text() == "new\n"
        (Path(str(view.path)) / "new.txt").unlink()
        assert (await remove_tasks(front, ids=[task.id])).removed == [task.id]
        with pytest.raises(TaskNotFound):
            await front.task(task.id)
    assert claudine_branches(repository) == []
    assert worktree_count(repository) == 0


async def test_two_tasks_of_one_repository_do_not_meet(home: Home, repository: Path) -> None:
    async with home.front() as front:
        command = f"echo $CLAUDINE_TASK > top.txt; {COMMIT}; cat top.txt"
        tasks = [await front.submit_command(wanted(command)) for _ in range(4)]
        views = [await shown(front, await settled(front, task)) for task in tasks]
        assert [home.output(task).strip() for task in tasks] == [task.id for task in tasks]
    assert len({view.branch for view in views}) == 4
    assert (repository / "top.txt").read_text() == "top\n"


async def test_while_a_task_runs_its_changes_are_shown(home: Home, repository: Path) -> None:
    async with home.front() as front:
        task = await front.submit_command(wanted("echo a > top.txt; touch ready; sleep 300"))
        await in_state(front, task, State.RUNNING)
        await wait_for((home.state_dir / "worktrees" / task.id / "ready").exists)
        view = await shown(front, task)
        assert (view.state, view.changes) == ("in use", "2 files, +1 -1, 0 commits, 2 files not committed")
        await front.cancel(task.id)
        assert (await shown(front, await settled(front, task))).state == "kept"


async def test_a_retry_goes_on_in_the_worktree_or_in_a_new_one_on_the_same_branch(
    home: Home, repository: Path
) -> None:
    async with home.front() as front:
        task = await front.submit_command(
            wanted(
                f"test ! -f count || cat count; echo $CLAUDINE_RUN >> count; git add count; {COMMIT}; false"
            )
        )
        first = await shown(front, await settled(front, task))
        await front.command(CommandKind.RETRY, task.id, {})
        await settled(front, task)
        assert home.output(task, n=2) == f"{task.id}.1\n"
        git_in(repository, "worktree", "remove", str(first.path))
        await front.command(CommandKind.RETRY, task.id, {})
        await settled(front, task)
        assert home.output(task, n=3) == f"{task.id}.1\n{task.id}.2\n"
        assert (await shown(front, task)).branch == first.branch
    assert worktree_count(repository) == 1


async def test_a_task_whose_worktree_was_removed_is_retried_in_a_new_one(
    home: Home, repository: Path
) -> None:
    async with home.front() as front:
        task = await front.submit_command(wanted("cat top.txt"))
        await settled(front, task)
        await front.command(CommandKind.RETRY, task.id, {})
        await settled(front, task)
        assert home.output(task, n=2) == "top\n"
    assert worktree_count(repository) == 0


async def test_no_worktree_is_removed_in_which_something_still_runs(home: Home, repository: Path) -> None:
    async with home.front() as front:
        task = await front.submit_command(wanted("sleep 300 &"))
        await wait_for(lambda: home.query("SELECT 1 FROM tasks WHERE leftovers = 1"))
        assert (await shown(front, task)).state == "in use"
        removal = await remove_tasks(front, ids=[task.id])
        assert "still run" in removal.kept[task.id]
        await front.cancel(task.id)
        assert (await shown(front, await settled(front, task))).state == "removed"


async def test_a_task_that_is_cancelled_before_it_starts_has_no_worktree(
    home: Home, repository: Path
) -> None:
    async with home.front() as front:
        task = await front.submit_command(wanted("true", not_before="2999-01-01T00:00:00Z"))
        assert (await shown(front, task)).state == "planned"
        await front.cancel(task.id)
        assert (await front.task(task.id)).worktree is None
    assert claudine_branches(repository) == []


async def test_a_worktree_that_cannot_be_made_is_the_reason_of_the_task(home: Home, repository: Path) -> None:
    (repository / ".gitattributes").write_text("*.txt filter=broken\n")
    commit_all(repository)
    git_in(repository, "config", "filter.broken.smudge", "false")
    git_in(repository, "config", "filter.broken.clean", "cat")
    git_in(repository, "config", "filter.broken.required", "true")
    async with home.front() as front:
        done = await settled(front, await front.submit_command(wanted("true")))
        assert done.outcome is Outcome.NOT_STARTED
        assert "its worktree could not be made: git worktree failed" in str(done.reason)
        assert "smudge filter broken failed" in str(done.reason)
    assert claudine_branches(repository) == []
    assert worktree_count(repository) == 0
    assert not (home.state_dir / "worktrees" / done.id).exists()


async def test_where_there_is_no_commit_to_begin_with_nothing_is_stored(home: Home) -> None:
    async with home.front() as front:
        with pytest.raises(InvalidInput, match="not a git repository"):
            await front.submit_command(wanted("true"))
        git_in(home.work, "init", "--quiet")
        with pytest.raises(InvalidInput, match="has no commit yet"):
            await front.submit_command(wanted("true"))
        assert home.query("SELECT count(*) FROM tasks") == [(0,)]


async def test_variables_that_name_the_users_own_tree_are_not_passed_on(home: Home, repository: Path) -> None:
    home.env |= {
        "GIT_DIR": str(repository / ".git"),
        "GIT_WORK_TREE": str(repository),
        "GIT_AUTHOR_NAME": "x",
    }
    async with home.front() as front:
        task = await front.submit_command(wanted("git rev-parse --show-toplevel; echo $GIT_AUTHOR_NAME"))
        await settled(front, task)
        assert home.output(task).splitlines() == [str(home.state_dir / "worktrees" / task.id), "x"]


POINTS = ["worktree-intended:1", "worktree-made:1", "keeper-spawned:1", "end-committed:1"]
POINTS += ["worktree-parting:1", "worktree-parted:1"]


@pytest.mark.parametrize("command", ["true", f"echo $CLAUDINE_RUN >> top.txt; {COMMIT}"])
@pytest.mark.parametrize("at", POINTS)
async def test_wherever_the_supervisor_dies_a_worktree_is_made_once_and_parted_with(
    home: Home, repository: Path, at: str, command: str
) -> None:
    with staged(home, at) as supervisor:
        async with home.front(keep=True) as front:
            task = await front.submit_command(wanted(command))
            supervisor.start()
            await supervisor.killed()
            done = await settled(front, task)
            assert done.outcome is Outcome.SUCCEEDED
            view = await shown(front, task)
            await wait_for(lambda: not home.query("SELECT 1 FROM runs WHERE gone_at IS NULL"))
    if command == "true":
        assert view.state == "removed"
        assert claudine_branches(repository) == []
        assert worktree_count(repository) == 0
        assert list((home.state_dir / "worktrees").iterdir()) == []
    else:
        assert (view.state, view.changes) == ("kept", "1 file, +1 -0, 1 commit")
        assert claudine_branches(repository) == [view.branch]
        assert worktree_count(repository) == 1


@pytest.mark.parametrize("at", ["files<:1", "files>:1"])
async def test_a_removal_that_was_cut_off_is_finished(home: Home, repository: Path, at: str) -> None:
    with staged(home, at) as supervisor:
        async with home.front(keep=True) as front:
            supervisor.start()
            await settled(front, await front.submit_command(wanted("true")))
            await supervisor.killed()
    assert worktree_count(repository) == 0
    await anyio.lowlevel.checkpoint()
    assert list((home.state_dir / "worktrees").iterdir()) == []
