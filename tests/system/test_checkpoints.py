"""Checkpoints of tasks: asked for, at intervals, at ends; thinned, swept, and whole wherever a supervisor dies."""

from __future__ import annotations

from pathlib import Path

import pytest
from staging import staged
from support import Home, ended, events_of, in_state, wait_for
from work_tree_kinds import commit_all, files_of, look, new_repository, run_git, stored

from claudine_mcp.core.errors import InvalidInput, NotNow
from claudine_mcp.core.models import CommandKind
from claudine_mcp.core.states import State
from claudine_mcp.front.checkpoints import CheckpointView, list_checkpoints, make_checkpoint
from claudine_mcp.front.details import task_view
from claudine_mcp.front.front import Front
from claudine_mcp.front.removal import remove_tasks
from claudine_mcp.front.submit import CommandRequest

WAITS = "until [ -e ../done ]; do sleep 0.05; done"


@pytest.fixture
def repository(home: Home) -> Path:
    top = new_repository(home.work)
    (top / "a").write_text("a\n")
    commit_all(top)
    (top / "b").write_text("b\n")
    return top


def finish(home: Home) -> None:
    (home.work.parent / "done").touch()


def task_refs(top: Path) -> set[str]:
    said = run_git(top, "for-each-ref", "--format=%(refname)", "refs/claudine").decode().split()
    return {ref for ref in said if "/kept/" not in ref}


async def made(front: Front, task_id: str, count: int) -> list[CheckpointView]:
    """Wait until a task has so many checkpoints; give them, newest first."""

    async def there() -> list[CheckpointView] | None:
        found = (await list_checkpoints(front, task_id))[1]
        return found if len(found) >= count else None

    found = await wait_for(there, what=f"{count} checkpoints")
    assert found is not None
    return found


async def test_one_that_is_asked_for_has_the_tree_and_tells_it(home: Home, repository: Path) -> None:
    async with home.front() as front:
        task = await front.submit_command(CommandRequest(f"echo said; {WAITS}"))
        await in_state(front, task, State.RUNNING)
        await wait_for(lambda: home.output(task) == "said\n")
        before = look(repository)
        view = await make_checkpoint(front, task.id, "before the change")
        assert look(repository) == before
        assert view.commit is not None
        assert {path: text for path, (_, text) in stored(repository, view.commit).items()} == {
            "a": b"a\n",
            "b": b"b\n",
        }
        assert (view.cause, view.label, view.state) == ("user", "before the change", "running")
        assert view.log_bytes == {"stdout": 5, "stderr": 0}
        assert task_refs(repository) == {view.ref}
        (event,) = await events_of(front, task, "task:checkpoint")
        assert event.data["taskId"] == task.id
        assert event.data["checkpointId"] == view.checkpoint_id
        assert {"sessionId", "timestamp"} <= set(event.data)
        finish(home)
        await ended(front, task)
        last = (await made(front, task.id, 2))[0]
        assert (last.cause, last.state, last.commit) == ("end", "ended", view.commit)
        status = await task_view(front, task.id)
        assert status.checkpoints is not None
        assert (status.checkpoints["count"], status.checkpoints["newest"]) == (2, last.checkpoint_id)


async def test_without_a_repository_it_has_no_tree_and_says_so(home: Home) -> None:
    async with home.front() as front:
        task = await front.submit_command(CommandRequest(WAITS))
        await in_state(front, task, State.RUNNING)
        view = await make_checkpoint(front, task.id)
        assert view.commit is view.ref is None
        assert "not a git repository" in (view.no_work_tree or "")
        finish(home)
        await ended(front, task)
        assert len((await list_checkpoints(front, task.id))[1]) == 1


async def test_what_makes_no_sense_is_refused_and_changes_nothing(home: Home, repository: Path) -> None:
    async with home.front() as front:
        queued = await front.submit_command(CommandRequest("true", not_before="2999-01-01T00:00:00Z"))
        with pytest.raises(NotNow, match="has not begun"):
            await make_checkpoint(front, queued.id)
        task = await front.submit_command(CommandRequest(WAITS))
        await in_state(front, task, State.RUNNING)
        with pytest.raises(InvalidInput, match="one line"):
            await make_checkpoint(front, task.id, "two\nlines")
        (repository / ".git/index.lock").touch()
        with pytest.raises(NotNow, match=r"git is locked: .*index\.lock"):
            await make_checkpoint(front, task.id)
        assert (await list_checkpoints(front, task.id))[1] == []
        assert task_refs(repository) == set()
        finish(home)
        await ended(front, task)
        (last,) = await made(front, task.id, 1)
        assert "git is locked" in (last.no_work_tree or "")
        await front.cancel(queued.id)


async def test_at_intervals_one_is_made_only_when_something_has_changed(home: Home, repository: Path) -> None:
    async with home.front() as front:
        request = CommandRequest(WAITS, checkpoint_interval="1s")
        task = await front.submit_command(request)
        await made(front, task.id, 1)
        (repository / "b").write_text("changed\n")
        newest = (await made(front, task.id, 2))[0]
        assert newest.commit is not None
        assert stored(repository, newest.commit)["b"][1] == b"changed\n"
        finish(home)
        await ended(front, task)
        causes = [view.cause for view in await made(front, task.id, 3)]
        assert causes == ["end", "interval", "interval"]


async def test_the_oldest_go_with_their_refs_and_all_go_with_the_task(home: Home, repository: Path) -> None:
    home.configure(retention={"checkpointsPerTask": 2})
    async with home.front() as front:
        task = await front.submit_command(CommandRequest(WAITS))
        await in_state(front, task, State.RUNNING)
        for number in range(3):
            (repository / "b").write_text(f"{number}\n")
            await make_checkpoint(front, task.id, str(number))
        left = (await list_checkpoints(front, task.id))[1]
        assert [view.label for view in left] == ["2", "1"]
        await wait_for(lambda: task_refs(repository) == {view.ref for view in left})
        finish(home)
        await ended(front, task)
        await made(front, task.id, 2)
        await wait_for(lambda: home.query("SELECT count(*) FROM runs WHERE gone_at IS NULL") == [(0,)])
        await remove_tasks(front, ids=[task.id], wanted=None, dry_run=False)
        await wait_for(lambda: not run_git(repository, "for-each-ref", "refs/claudine"))
        await wait_for(lambda: not any((home.state_dir / "snapshots").iterdir()))


POINTS = [
    "checkpoint-taken:1",
    "snapshot-made:1",
    "checkpoint-committed:1",
    "spawn>:4",
    "spawn>:7",
    "spawn>:10",
]
"""After the intent, the ref and the row, and within what git does before the ref."""


@pytest.mark.parametrize("at", POINTS)
async def test_it_is_whole_or_not_there_wherever_the_supervisor_dies(
    home: Home, repository: Path, at: str
) -> None:
    before = look(repository)
    with staged(home, at) as supervisor:
        async with home.front(keep=True) as front:
            task = await front.submit_command(CommandRequest(WAITS))
            supervisor.start()
            await in_state(front, task, State.RUNNING)
            args = {"checkpointId": "chosen", "label": None}
            command = await front.issue(CommandKind.CHECKPOINT, task.id, args)
            await supervisor.killed()
            assert await front.result(command) == {"checkpointId": "chosen"}
            (view,) = (await list_checkpoints(front, task.id))[1]
            assert view.commit is not None
            assert {path: text for path, (_, text) in stored(repository, view.commit).items()} == {
                path: text for path, (_, text) in files_of(repository).items()
            }
            assert look(repository) == before
            assert task_refs(repository) == {view.ref}
            assert len(await events_of(front, task, "task:checkpoint")) == 1
            finish(home)
            await ended(front, task)


async def test_a_ref_that_a_crash_has_left_alone_is_swept(home: Home, repository: Path) -> None:
    with staged(home, "snapshot-made:1") as supervisor:
        async with home.front(keep=True) as front:
            task = await front.submit_command(CommandRequest(WAITS, checkpoint_interval="1s"))
            supervisor.start()
            await supervisor.killed()
            (orphan,) = task_refs(repository)
            await wait_for(lambda: orphan not in task_refs(repository))
            finish(home)
            await ended(front, task)
