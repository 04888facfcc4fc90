"""Restoring checkpoints of real tasks: into the same one, or into a new one; whole, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from staging import staged
from support import Home, ended, events_of, in_state, wait_for
from work_tree_kinds import commit_all, files_of, look, new_repository, run_git, stored

from claudine_mcp.core.errors import CheckpointNotFound, InvalidInput, NotNow
from claudine_mcp.core.models import CommandKind, Task
from claudine_mcp.core.states import Outcome, State
from claudine_mcp.front.checkpoints import CheckpointView, list_checkpoints, make_checkpoint
from claudine_mcp.front.front import Front
from claudine_mcp.front.restoring import restore
from claudine_mcp.front.submit import CommandRequest

WAITS = "until [ -e ../done ]; do sleep 0.05; done"


@pytest.fixture
def repository(home: Home) -> Path:
    """Give a work tree with a committed, a staged, a changed and an untracked file, and an ignored one."""
    top = new_repository(home.work)
    (top / "a").write_text("a\n")
    (top / ".gitignore").write_text("ignored\n")
    (top / "sub folder").mkdir()
    (top / "sub folder/x").write_text("x\n")
    commit_all(top)
    (top / "staged").write_text("staged\n")
    run_git(top, "add", "staged")
    (top / "sub folder/x").write_text("changed\n")
    (top / "untracked").write_text("untracked\n")
    (top / "untracked").chmod(0o755)
    (top / "ignored").write_text("ignored\n")
    return top


async def kept(home: Home, front: Front, command: str = WAITS, **more: Any) -> tuple[Task, CheckpointView]:
    """Run a command to its end, with a checkpoint in the middle; give the task and that."""
    task = await front.submit_command(CommandRequest(command, **more))
    await in_state(front, task, State.RUNNING)
    view = await make_checkpoint(front, task.id)
    (home.work.parent / "done").touch()
    await ended(front, task)

    async def last() -> bool:
        return len((await list_checkpoints(front, task.id))[1]) == 2

    await wait_for(last, what="the checkpoint of the end")
    await wait_for(lambda: home.query("SELECT count(*) FROM runs WHERE gone_at IS NULL") == [(0,)])
    return task, view


def work(top: Path) -> None:
    """Change what is there."""
    (top / "a").write_text("work\n")
    (top / "untracked").unlink()
    (top / "new").write_text("new\n")


async def test_a_new_task_begins_in_a_worktree_with_the_files_of_the_checkpoint(
    home: Home, repository: Path
) -> None:
    command = "[ -e ../done ] && [ -e .git ] && git status --porcelain; ls -A; cat 'sub folder/x'; " + WAITS
    async with home.front() as front:
        task, view = await kept(home, front, command, restartable=True, labels=["one"], priority="P2")
        then = stored(repository, view.commit or "")
        work(repository)
        before = look(repository)
        done = await restore(front, view.checkpoint_id)
        assert done.changed
        assert done.task_id != task.id
        new = await in_state(front, done.task_id, State.RUNNING)
        assert new.worktree is not None
        path = Path(new.worktree["path"])
        found = {name: content for name, (_, content) in files_of(path).items() if name != ".git"}
        assert found == {name: content for name, (_, content) in then.items()}
        assert (path / "untracked").stat().st_mode & 0o777 == 0o755
        assert run_git(path, "rev-parse", "HEAD").decode().strip() == view.head
        status = run_git(path, "status", "--porcelain").decode().splitlines()
        assert sorted(status) == [' M "sub folder/x"', "?? staged", "?? untracked"]
        assert new.name.endswith(f"(from checkpoint {view.checkpoint_id})")
        assert (new.labels, new.priority, new.submitter["by"]) == (("one",), task.priority, "a test")
        (event,) = await events_of(front, new, "task:queued")
        assert (event.data["checkpointId"], event.data["fromTaskId"]) == (view.checkpoint_id, task.id)
        (path.parent / "done").touch()
        assert (await ended(front, new)).outcome is Outcome.SUCCEEDED
        after = look(repository)
        assert (after.status, after.index, after.head, after.files, after.config) == (
            before.status,
            before.index,
            before.head,
            before.files,
            before.config,
        )
        assert {name: after.reflogs[name] for name in before.reflogs} == before.reflogs


async def test_what_a_restored_task_has_done_stays_when_it_runs_again(home: Home, repository: Path) -> None:
    command = f"{WAITS}; echo more >> a"
    async with home.front() as front:
        _, view = await kept(home, front, command, restartable=True)
        done = await restore(front, view.checkpoint_id)
        new = await in_state(front, done.task_id, State.RUNNING)
        assert new.worktree is not None
        path = Path(new.worktree["path"])
        (path.parent / "done").touch()
        await ended(front, new)
        assert (path / "a").read_text() == "a\nmore\n"
        await front.command(CommandKind.RETRY, new.id, {})
        await ended(front, new)
        assert (path / "a").read_text() == "a\nmore\nmore\n"


async def test_the_same_task_gets_its_files_back_and_what_was_there_is_kept(
    home: Home, repository: Path
) -> None:
    async with home.front() as front:
        task, view = await kept(home, front)
        then = files_of(repository)
        work(repository)
        now, before = files_of(repository), look(repository)
        asked = await restore(front, view.checkpoint_id, into="same-task")
        assert not asked.changed
        assert asked.would_lose == ["a", "new"]
        assert "With confirm: true" in asked.done
        assert look(repository) == before
        assert len((await list_checkpoints(front, task.id))[1]) == 2
        done = await restore(front, view.checkpoint_id, into="same-task", confirm=True)
        assert (done.changed, done.files) == (True, 3)
        assert files_of(repository) == then
        after = look(repository)
        assert (after.index, after.head, after.reflogs, after.branches) == (
            before.index,
            before.head,
            before.reflogs,
            before.branches,
        )
        (event,) = await events_of(front, task, "task:restored")
        assert event.data["beforeCheckpointId"] == done.before_checkpoint_id
        newest = (await list_checkpoints(front, task.id))[1][0]
        assert (newest.checkpoint_id, newest.cause) == (done.before_checkpoint_id, "before restore")
        # And back again: nothing was lost.
        back = await restore(front, newest.checkpoint_id, into="same-task", confirm=True)
        assert back.changed
        assert files_of(repository) == now
        again = await restore(front, newest.checkpoint_id, into="same-task")
        assert (again.changed, again.would_lose) == (False, None)
        await front.command(CommandKind.RETRY, task.id, {})
        assert (await ended(front, task)).outcome is Outcome.SUCCEEDED


async def test_without_anything_to_lose_nobody_is_asked(home: Home, repository: Path) -> None:
    async with home.front() as front:
        _, view = await kept(home, front)
        then = files_of(repository)
        work(repository)
        commit_all(repository)
        head = look(repository).head
        done = await restore(front, view.checkpoint_id, into="same-task")
        assert done.changed
        assert "Another commit is checked out" in done.done
        assert files_of(repository) == then
        assert look(repository).head == head


async def test_what_git_ignores_by_now_is_named_before_it_is_replaced(home: Home, repository: Path) -> None:
    async with home.front() as front:
        _, view = await kept(home, front)
        (repository / ".gitignore").write_text("ignored\nuntracked\n")
        (repository / "untracked").write_text("of now\n")
        asked = await restore(front, view.checkpoint_id, into="same-task")
        assert not asked.changed
        assert any(item.startswith("untracked (git ignores it") for item in asked.would_lose or ())
        assert (repository / "untracked").read_text() == "of now\n"


async def test_many_files_that_would_be_lost_are_counted(home: Home, repository: Path) -> None:
    async with home.front() as front:
        _, view = await kept(home, front)
        for n in range(25):
            (repository / f"{n:02}").touch()
        asked = await restore(front, view.checkpoint_id, into="same-task")
        assert (len(asked.would_lose or ()), asked.more_would_lose) == (20, 5)


async def test_a_task_that_runs_is_not_restored(home: Home, repository: Path) -> None:
    async with home.front() as front:
        task = await front.submit_command(CommandRequest(WAITS))
        await in_state(front, task, State.RUNNING)
        view = await make_checkpoint(front, task.id)
        await front.command(CommandKind.SUSPEND, task.id, {})
        (repository / "a").write_text("work\n")
        with pytest.raises(NotNow, match=r"is suspended, .*HibernateTask or CancelTask .*not enough"):
            await restore(front, view.checkpoint_id, into="same-task", confirm=True)
        assert (repository / "a").read_text() == "work\n"
        await front.cancel(task.id)


async def test_what_makes_no_sense_is_refused_and_changes_nothing(home: Home, repository: Path) -> None:
    async with home.front() as front:
        _, view = await kept(home, front)
        work(repository)
        before = look(repository)
        with pytest.raises(CheckpointNotFound):
            await restore(front, "nothing")
        with pytest.raises(InvalidInput, match="into: 'other' is unknown"):
            await restore(front, view.checkpoint_id, into="other")
        with pytest.raises(InvalidInput, match="prompt"):
            await restore(front, view.checkpoint_id, prompt="hello")
        with pytest.raises(NotNow, match="not declared restartable"):
            await restore(front, view.checkpoint_id)
        (repository / ".git/index.lock").touch()
        with pytest.raises(NotNow, match="git is locked"):
            await restore(front, view.checkpoint_id, into="same-task", confirm=True)
        (repository / ".git/index.lock").unlink()
        run_git(repository, "update-ref", "-d", view.ref or "")
        for into in ("new-task", "same-task"):
            with pytest.raises(NotNow, match=r"is not in the repository of .*nothing was changed"):
                await restore(front, view.checkpoint_id, into=into, confirm=True)
        assert look(repository) == before
        (repository / ".git").rename(repository / "was git")
        with pytest.raises(NotNow, match="not a git repository; nothing was changed"):
            await restore(front, view.checkpoint_id, into="same-task", confirm=True)
        assert len(home.query("SELECT id FROM tasks")) == 1
        assert home.query("SELECT count(*) FROM commands WHERE done_at IS NULL") == [(0,)]


async def test_without_a_work_tree_the_new_task_runs_where_the_old_one_did(home: Home) -> None:
    async with home.front() as front:
        task = await front.submit_command(CommandRequest(WAITS, restartable=True))
        await in_state(front, task, State.RUNNING)
        view = await make_checkpoint(front, task.id)
        with pytest.raises(NotNow, match="HibernateTask"):
            await restore(front, view.checkpoint_id, into="same-task")
        done = await restore(front, view.checkpoint_id)
        assert "the checkpoint has no work tree" in done.done
        (home.work.parent / "done").touch()
        assert (await ended(front, done.task_id)).cwd == task.cwd
        await ended(front, task)
        await wait_for(lambda: home.query("SELECT count(*) FROM runs WHERE gone_at IS NULL") == [(0,)])
        with pytest.raises(NotNow, match=r"has no work tree to put back \(.*not a git repository"):
            await restore(front, view.checkpoint_id, into="same-task")


async def test_the_commit_of_a_restored_task_outlives_the_checkpoint(home: Home, repository: Path) -> None:
    home.configure(retention={"checkpointsPerTask": 2})
    async with home.front() as front:
        task, view = await kept(home, front, restartable=True)
        args = {"checkpointId": view.checkpoint_id, "into": "new-task", "newTaskId": "chosen"}
        await front.command(CommandKind.RESTORE, task.id, args)
        (own,) = (await list_checkpoints(front, "chosen"))[1]
        assert (own.cause, own.commit) == ("restored", view.commit)
        refs = run_git(repository, "for-each-ref", "--format=%(refname) %(objectname)").decode()
        assert f"{own.ref} {view.commit}" in refs
        await in_state(front, "chosen", State.RUNNING)
        await front.cancel("chosen")


@pytest.mark.parametrize(
    "at",
    ["restore-taken:1", "restore-saved:1", "restore-written:1", "restore-committed:1", "snapshot-made:3"],
)
async def test_wherever_its_supervisor_dies_the_files_are_put_back(
    home: Home, repository: Path, at: str
) -> None:
    with staged(home, at) as supervisor:
        async with home.front(keep=True) as front:
            supervisor.start()
            task, view = await kept(home, front)
            then = files_of(repository)
            work(repository)
            args = {"checkpointId": view.checkpoint_id, "into": "same-task", "confirm": True}
            command = await front.issue(CommandKind.RESTORE, task.id, args)
            await supervisor.killed()
            result = await front.result(command)
            assert (result["changed"], result["files"]) == (True, 3)
            assert files_of(repository) == then
            assert len(await events_of(front, task, "task:restored")) == 1
            safety = {item.checkpoint_id: item for item in (await list_checkpoints(front, task.id))[1]}
            lost = stored(repository, safety[result["beforeCheckpointId"]].commit or "")
            assert lost["a"][1] == b"work\n"


@pytest.mark.parametrize(
    "at",
    [
        *("restore-taken:1", "restore-kept:1", "restore-copied:1", "restore-committed:1"),
        *("worktree-intended:1", "worktree-made:1", "worktree-filled:1"),
    ],
)
async def test_wherever_its_supervisor_dies_there_is_one_new_task(
    home: Home, repository: Path, at: str
) -> None:
    with staged(home, at) as supervisor:
        async with home.front(keep=True) as front:
            supervisor.start()
            task, view = await kept(home, front, restartable=True)
            args = {"checkpointId": view.checkpoint_id, "into": "new-task", "newTaskId": "chosen"}
            command = await front.issue(CommandKind.RESTORE, task.id, args)
            await supervisor.killed()
            result = await front.result(command)
            assert result["taskId"] == "chosen"
            new = await in_state(front, "chosen", State.RUNNING)
            assert new.worktree is not None
            path = Path(new.worktree["path"])
            assert (path / "sub folder/x").read_text() == "changed\n"
            assert (path / "untracked").read_text() == "untracked\n"
            assert sorted(row[0] for row in home.query("SELECT id FROM tasks")) == sorted([task.id, "chosen"])
            assert len(await events_of(front, new, "task:queued")) == 1
            await front.cancel("chosen")
            await ended(front, "chosen")
