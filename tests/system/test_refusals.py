"""Bad input: a clear error that names the field and what would be right, and nothing half done."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from staging import take_lease
from support import Home, ended

from claudine_mcp.core.errors import ConfigError, InvalidInput, NotNow, StateDirError, TaskNotFound
from claudine_mcp.core.models import CommandKind
from claudine_mcp.core.states import Outcome
from claudine_mcp.front import submit
from claudine_mcp.front.submit import CommandRequest
from claudine_mcp.host.statedir import prepare

NOBODY = 65534
MB = 10**6


@contextmanager
def nobody_serves(home: Home) -> Iterator[None]:
    """Keep supervisors from starting: what is tested here is before them."""
    prepare(home.state_dir)
    lease = take_lease(home.state_dir)
    try:
        yield
    finally:
        lease.release()


def nothing_is_stored(home: Home) -> bool:
    counts = [home.query(f"SELECT count(*) FROM {table}")[0][0] for table in ("tasks", "events", "commands")]
    return counts == [0, 0, 0] and not list((home.state_dir / "tasks").iterdir())


REQUESTS: list[tuple[dict[str, Any], str, str]] = [
    ({"command": ""}, "command", "empty"),
    ({"command": " \n"}, "command", "empty"),
    ({"command": []}, "command", "names no program"),
    ({"command": ["", "x"]}, "command", "names no program"),
    ({"command": "echo \0"}, "command", "NUL"),
    ({"command": "echo " + "x" * MB}, "command", "script file"),
    ({"command": ["echo", "x" * MB]}, "command", "script file"),
    ({"command": ["echo", *(["x" * 1000] * 1100)]}, "command", "script file"),
    ({"command": ["no-such-program"]}, "command", "PATH"),
    ({"command": ["./nothing-here"]}, "command", "not an executable file"),
    ({"command": ["x" * 5000]}, "command", "PATH"),
    ({"command": ["x/" * 5000]}, "command", "not an executable file"),
    ({"cwd": "/no/such/folder"}, "cwd", "does not exist"),
    ({"cwd": "/etc/passwd"}, "cwd", "not a directory"),
    ({"cwd": "/etc/passwd/below"}, "cwd", "does not exist"),
    ({"cwd": "a" * 5000}, "cwd", "aaa"),
    ({"cwd": "/a\0b"}, "cwd", r"\x00"),
    ({"cwd": "~no-such-user/x"}, "cwd", "user"),
    ({"name": ""}, "name", "one line"),
    ({"name": "two\nlines"}, "name", "one line"),
    ({"name": "x" * 201}, "name", "one line"),
    ({"name": "a\x9b31mb"}, "name", "one line"),
    ({"name": "\ud800"}, "name", r"character 1 (\ud800)"),
    ({"command": "ls \udcff"}, "command", r"character 4 (\udcff)"),
    ({"command": ["ls", "\udcff"]}, "command", "UTF-8"),
    ({"cwd": "\udcff"}, "cwd", "UTF-8"),
    ({"priority": "P9"}, "priority", "P0"),
    ({"priority": "high"}, "priority", "P0"),
    ({"timeout": -5}, "timeout", ""),
    ({"timeout": 0}, "timeout", ""),
    ({"timeout": 30}, "timeout", "30"),
    ({"timeout": 999}, "timeout", ""),
    ({"timeout": "soon"}, "timeout", ""),
    ({"timeout": "-3m"}, "timeout", ""),
    ({"timeout": 10**20}, "timeout", ""),
    ({"on_timeout": "cancel"}, "onTimeout", "timeout"),
    ({"timeout": "1m", "on_timeout": "explode"}, "onTimeout", "unknown"),
    ({"not_before": "tomorrow"}, "notBefore", ""),
    ({"depends_on": ["nosuch"]}, "dependsOn", "nosuch"),
    ({"depends_on": [{"taskId": "nosuch"}]}, "dependsOn", "nosuch"),
    ({"depends_on": [{"taskId": "x", "on": "failure"}]}, "dependsOn", "failure"),
    ({"depends_on": [{"id": "x"}]}, "dependsOn", "taskId"),
    ({"depends_on": [""]}, "dependsOn", ""),
    ({"depends_on": ["x"] * 1001}, "dependsOn", "1001"),
    ({"labels": ["fine", ""]}, "labels", ""),
    ({"labels": ["a\nb"]}, "labels", ""),
    ({"labels": ["\ud800"]}, "labels", "UTF-8"),
    ({"labels": [str(number) for number in range(33)]}, "labels", "33"),
    ({"env": {"A=B": "x"}}, "env", "A=B"),
    ({"env": {"": "x"}}, "env", ""),
    ({"env": {"A": "\0"}}, "env", "NUL"),
    ({"env": {"CLAUDINE_RUN": "x"}}, "env", "CLAUDINE_RUN"),
]


async def test_a_bad_request_names_its_field_and_stores_nothing(home: Home) -> None:
    # In one test, because what is tested takes less time than a state directory.
    with nobody_serves(home):
        async with home.front() as front:
            for changes, field, words in REQUESTS:
                with pytest.raises(InvalidInput) as caught:
                    await front.submit_command(CommandRequest(**{"command": "true", **changes}))
                assert caught.value.field == field, caught.value
                assert words in str(caught.value), (words, str(caught.value)[:300])
                assert len(str(caught.value)) < 500
                assert nothing_is_stored(home), changes


async def test_a_project_file_that_is_wrong_is_named_and_stores_nothing(home: Home) -> None:
    (home.work / ".claudine.json").write_text('{"limits": {"hardMaxConcurrent": 1}}')
    with nobody_serves(home):
        async with home.front() as front:
            with pytest.raises(ConfigError, match=r"\.claudine\.json"):
                await front.submit_command(CommandRequest("true"))
            assert nothing_is_stored(home)


async def test_a_user_file_that_is_wrong_is_named_and_stores_nothing(home: Home) -> None:
    with nobody_serves(home):
        async with home.front() as front:
            home.configure(limits={"hardMaxConcurent": 5})
            with pytest.raises(ConfigError, match="hardMaxConcurrent"):
                await front.submit_command(CommandRequest("true"))
            assert nothing_is_stored(home)


async def test_an_unknown_id_names_the_closest(home: Home) -> None:
    with nobody_serves(home):
        async with home.front() as front:
            task = await front.submit_command(CommandRequest("true"))
            almost = task.id[:-1] + ("0" if task.id[-1] != "0" else "1")
            for ask in (front.task, front.cancel):
                with pytest.raises(TaskNotFound) as caught:
                    await ask(almost)
                assert caught.value.closest == [task.id]
                assert task.id in str(caught.value)
            for nothing in ("", "%", "_" * 8, "\0", "'; DROP TABLE tasks"):
                with pytest.raises(TaskNotFound):
                    await front.task(nothing)
            assert home.query("SELECT count(*) FROM commands") == [(0,)]


async def test_a_prefix_is_enough_if_it_is_the_only_one(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = iter(["aaaa1111", "aaaa2222", "bbbb3333", "cccc4444"])
    monkeypatch.setattr(submit, "new_id", lambda: next(ids))
    with nobody_serves(home):
        async with home.front() as front:
            for _ in range(3):
                await front.submit_command(CommandRequest("true"))
            assert (await front.task("b")).id == "bbbb3333"
            assert (await front.task("aaaa2")).id == "aaaa2222"
            with pytest.raises(TaskNotFound) as caught:
                await front.task("aaaa")
            assert caught.value.closest == ["aaaa1111", "aaaa2222"]
            assert "several" in str(caught.value)
            with pytest.raises(InvalidInput, match="several") as ambiguous:
                await front.submit_command(CommandRequest("true", depends_on=["aaaa"]))
            assert ambiguous.value.field == "dependsOn"


async def test_a_retry_of_what_has_not_ended_is_refused(home: Home) -> None:
    async with home.front() as front:
        task = await front.submit_command(CommandRequest("true", not_before="2099-01-01T00:00:00Z"))
        with pytest.raises(NotNow, match="ended"):
            await front.command(CommandKind.RETRY, task.id, {})
        with pytest.raises(NotNow, match="nosuch"):
            await front.command(CommandKind.RETRY, "nosuch", {})


async def test_a_folder_that_has_gone_by_the_start_is_the_reason_why_it_did_not(home: Home) -> None:
    (home.work / "short-lived").mkdir()
    with nobody_serves(home):
        async with home.front() as front:
            task = await front.submit_command(CommandRequest("echo $$ >> begun", cwd="short-lived"))
    (home.work / "short-lived").rmdir()
    async with home.front(keep=True) as front:
        done = await ended(front, task)
    assert done.outcome is Outcome.NOT_STARTED
    assert "short-lived" in (done.reason or "")


async def test_a_program_that_the_kernel_refuses_is_the_reason_why_it_did_not_start(home: Home) -> None:
    script = home.work / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    async with home.front() as front:
        done = await ended(front, await front.submit_command(CommandRequest(["./script"])))
    assert done.outcome is Outcome.NOT_STARTED
    assert "script" in (done.reason or "")


@contextmanager
def without_privileges(folder: Path) -> Iterator[None]:
    """Be another user for a while, if this one is root, who may do anything; the way to the folder is made passable."""
    if os.getuid() != 0:
        yield
        return
    modes = {each: stat.S_IMODE(each.stat().st_mode) for each in (folder, *folder.parents)}
    closed = {each: mode for each, mode in modes.items() if not mode & stat.S_IXOTH}
    for each, mode in closed.items():
        each.chmod(mode | stat.S_IXOTH)
    os.setresgid(NOBODY, NOBODY, 0)
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
        for each, mode in closed.items():
            each.chmod(mode)


def test_a_folder_that_may_not_be_entered_is_refused(home: Home) -> None:
    locked = home.folder / "locked"
    (locked / "inner").mkdir(parents=True)
    locked.chmod(0)
    try:
        with without_privileges(home.folder):
            for path in (locked, locked / "inner"):
                with pytest.raises(InvalidInput) as caught:
                    submit.checked_cwd(str(path), "/")
                assert caught.value.field == "cwd"
                assert str(path) in str(caught.value)
                assert "may enter" in str(caught.value)
    finally:
        locked.chmod(0o700)


def test_a_state_directory_that_cannot_be_used_is_refused(home: Home) -> None:
    mine, theirs = home.folder / "mine", home.folder / "theirs"
    mine.mkdir(0o755)
    (theirs / "tasks").mkdir(parents=True)
    if os.getuid() == 0:
        os.chown(theirs, NOBODY, NOBODY)
    theirs.chmod(0o500)
    try:
        with without_privileges(home.folder):
            with pytest.raises(StateDirError, match=r"(read-only|Permission denied\))\. Set CLAUDINE_HOME"):
                prepare(theirs)
            if os.getuid() == NOBODY:
                with pytest.raises(StateDirError, match="belongs to another user"):
                    prepare(mine)
                with pytest.raises(StateDirError, match=r"cannot be used \(Permission denied\)"):
                    prepare(mine / "below")
    finally:
        theirs.chmod(0o700)
