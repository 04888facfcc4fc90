"""Output within limits.maxLogBytes: its beginning goes, what is told of it stays true, and its writer never notices."""

from __future__ import annotations

import errno
import os
import shlex
import sys
from typing import Any

import pytest
from claude_recordings import INIT, asks, line
from followed_runs import Stage, stage
from support import Home, ended, events_of, wait_for

from claudine_mcp.core.config import Settings
from claudine_mcp.core.models import Severity
from claudine_mcp.front.front import Front
from claudine_mcp.front.submit import CommandRequest
from claudine_mcp.front.tasklogs import begin_cursor, task_logs
from claudine_mcp.host.holes import can_release, released_bytes
from claudine_mcp.registry.tasks import run_seen
from claudine_mcp.supervisor import log_limits
from claudine_mcp.supervisor.log_limits import LogLimits
from claudine_mcp.supervisor.output import RunOutput

LIMIT = 1_000_000
PRINTER = """
import os, pathlib, sys, time
number = 0
while not pathlib.Path("enough").exists():
    for stream in (sys.stdout, sys.stderr):
        for line in range(number, number + 10_000):
            stream.write(f"line {line:014}\\n")
        stream.flush()
    number += 10_000
    pathlib.Path("printed").write_text(str(number))
    time.sleep(0.05)
print("the end", flush=True)
"""


@pytest.fixture(autouse=True)
def _releasing(home: Home) -> None:
    if not can_release(home.folder):
        pytest.skip("this file system cannot release a part of a file")


def printed(home: Home) -> int:
    """Give how many lines of 20 bytes a printer has written to each stream."""
    return int((home.lines("printed") or ["0"])[0])


async def begin(home: Home, front: Front) -> str:
    """Run a task that prints until it is told that it is enough."""
    home.configure(limits={"maxLogBytes": LIMIT})
    command = f"exec {shlex.join([sys.executable, '-S', '-c', PRINTER])}"
    return (await front.submit_command(CommandRequest(command))).id


async def finish(home: Home, front: Front, task_id: str) -> None:
    (home.work / "enough").touch()
    assert (await ended(front, task_id)).outcome == "succeeded"


async def released(home: Home, task_id: str, lines: int, stream: str = "stdout") -> None:
    """Wait until so many lines of a stream are gone."""
    path = home.run_path(task_id) / f"{stream}.log"
    await wait_for(lambda: path.exists() and released_bytes(path) > 20 * lines, what=f"{stream} is released")


async def test_the_beginning_of_each_stream_goes_and_every_line_keeps_its_place(home: Home) -> None:
    async with home.front() as front:
        task_id = await begin(home, front)
        cursor = begin_cursor(1, "both")
        for stream in ("stdout", "stderr"):
            await released(home, task_id, 100_000, stream)
        page = await task_logs(front, task_id, cursor=cursor, tail=1)
        assert page.truncated
        assert all(
            any(f"{stream}: the first" in note for note in page.notes or ())
            for stream in ("stdout", "stderr")
        )
        assert "bytes were released (limits.maxLogBytes)" in str(page.notes)
        await finish(home, front, task_id)
        total = printed(home)
        path = home.run_path(task_id) / "stdout.log"
        assert path.stat().st_size == 20 * total + len("the end\n")
        assert path.stat().st_blocks * 512 < path.stat().st_size, "the disk has got something back"
        last = await task_logs(front, task_id, tail=2, stream="stdout")
        assert [each.text for each in last.lines] == [f"line {total - 1:014}", "the end"]
        begun = released_bytes(path) // 20 + 1000  # the block at the end of the hole is empty, too
        found = await task_logs(front, task_id, cursor=f"1:stdout={20 * begun}", tail=1, stream="stdout")
        assert [each.text for each in found.lines] == [f"line {begun:014}"], "offsets are what they were"


async def test_it_is_told_once_of_each_stream_whoever_supervises(home: Home) -> None:
    async with home.front(keep=True) as front:
        task_id = await begin(home, front)
        await released(home, task_id, 60_000)
        await home.kill_supervisor()
        seen = printed(home)
        await home.supervisor()
        await released(home, task_id, seen + 100_000)
        await finish(home, front, task_id)
        told = await events_of(front, task_id, "task:log-limit")
        assert sorted(event.data["stream"] for event in told) == ["stderr", "stdout"]
        (event,) = (event for event in told if event.data["stream"] == "stdout")
        assert event.severity is Severity.NOTICE
        assert event.data == {"taskId": task_id, "stream": "stdout", "limit": LIMIT, "released": True}
        assert "more than 1 MB (limits.maxLogBytes) to stdout; only the end of it is kept" in event.message


async def test_of_a_task_that_is_over_in_no_time_only_the_end_is_kept_as_well(home: Home) -> None:
    home.configure(limits={"maxLogBytes": LIMIT})
    async with home.front() as front:
        task = await front.submit_command(CommandRequest("yes line | head -c 20000000; echo the end"))
        await ended(front, task)
        await released(home, task.id, 900_000)
        (event,) = await events_of(front, task, "task:log-limit")
        assert event.run_id == f"{task.id}.1"
        page = await task_logs(front, task.id, tail=1)
        assert [each.text for each in page.lines] == ["the end"]


async def test_what_stays_within_the_limit_is_kept_whole_and_not_spoken_of(home: Home) -> None:
    home.configure(limits={"maxLogBytes": LIMIT})
    async with home.front() as front:
        task = await front.submit_command(CommandRequest(f"yes line | head -c {LIMIT}; sleep 1"))
        await ended(front, task)
        assert released_bytes(home.run_path(task) / "stdout.log") == 0
        assert await events_of(front, task, "task:log-limit") == []


SMALL = Settings.model_validate({"limits": {"max_log_bytes": 200_000}})
TEXT = {"type": "text", "text": "x" * 2000}


async def look(on: Stage, limits: LogLimits) -> int:
    """Look at the streams of the first run as a tick does; give how much of its output is gone."""
    watcher = on.watchers[0]
    limits.measure({watcher.run.id: watcher.seen.path})
    await limits.enforce()
    return released_bytes(watcher.seen.path / "stdout.log")


async def test_of_a_delegated_run_only_goes_what_is_known_from_the_registry(home: Home) -> None:
    async with stage(home, 1, SMALL) as on:
        (watcher,) = on.watchers
        limits = LogLimits(on.ctx, {watcher.run.id: watcher})
        on.say(watcher, INIT, *[asks(TEXT)] * 200)
        assert await look(on, limits) == 0, "nobody has read it yet"
        on.notes.read()
        assert await look(on, limits) == 0, "what it tells is only in memory"
        on.now[0] += 1
        await on.notes.write()
        gone = await look(on, limits)
        assert gone > 100_000
        await continued(on, gone)


async def continued(on: Stage, gone: int) -> None:
    """See that another supervisor goes on behind what is gone, and knows what was said there."""
    watcher = on.watchers[0]
    task = await on.front.task(watcher.task_id)
    async with on.ctx.db.read() as tx:
        state = await run_seen(tx, watcher.run)
    again = RunOutput(on.ctx, task, watcher.seen, state)
    assert again.follower is not None
    assert again.follower.offset >= gone
    on.say(watcher, asks(TEXT))
    again.read_to_end()
    assert again.follower.seen()["model"] == INIT["model"]


async def test_output_that_is_no_news_is_written_down_all_the_same_when_it_is_to_go(home: Home) -> None:
    async with stage(home, 1, SMALL) as on:
        (watcher,) = on.watchers
        limits = LogLimits(on.ctx, {watcher.run.id: watcher})
        on.say(watcher, INIT, asks(TEXT))
        for more in (0, 1, 2):
            on.say(watcher, *[asks(TEXT)] * 60 * more)
            on.notes.read()
            on.now[0] += 1
            await on.notes.write()
            await look(on, limits)
        on.now[0] += 1
        await on.notes.write()
        size = (watcher.seen.path / "stdout.log").stat().st_size
        assert size - await look(on, limits) <= 200_000
        assert len(line(asks(TEXT))) * 180 < size


async def all_read(on: Stage) -> None:
    """Have everything that was printed known from the registry."""
    on.notes.read()
    on.now[0] += 1
    await on.notes.write()


@pytest.mark.parametrize("what", ["fifo", "link", "folder"])
async def test_a_stream_that_its_task_has_replaced_is_let_be_and_others_are_limited(
    home: Home, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with stage(home, 2, SMALL) as on:
        for watcher in on.watchers:
            on.say(watcher, INIT, *[asks(TEXT)] * 200)
        await all_read(on)
        limits = LogLimits(on.ctx, {watcher.run.id: watcher for watcher in on.watchers})
        limits.measure({watcher.run.id: watcher.seen.path for watcher in on.watchers})
        path = on.watchers[0].seen.path / "stdout.log"
        secret = home.folder / "secret"
        path.rename(secret)
        match what:
            case "fifo":
                os.mkfifo(path)
            case "link":
                path.symlink_to(secret)
            case _:
                path.mkdir()
        await limits.enforce()
        await limits.enforce()
        assert released_bytes(on.watchers[1].seen.path / "stdout.log") > 100_000
        assert released_bytes(secret) == 0
        told = [record for record in caplog.records if "is not limited" in record.message]
        assert len(told) == 1
        assert "something else has taken the place of this file" in told[0].message
        measured = limits.measure({watcher.run.id: watcher.seen.path for watcher in on.watchers})
        assert measured[on.watchers[0].run.id] == 0
        on.notes.read()  # nobody waits at what is there now


async def test_a_stream_that_could_not_be_limited_is_tried_again_after_a_while(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> int:
        raise OSError(errno.EIO, "of the disk")

    async with stage(home, 1, SMALL) as on:
        (watcher,) = on.watchers
        on.say(watcher, INIT, *[asks(TEXT)] * 200)
        await all_read(on)
        limits = LogLimits(on.ctx, {watcher.run.id: watcher})
        with monkeypatch.context() as patch:
            patch.setattr(log_limits, "release_head", fail)
            assert await look(on, limits) == 0
        assert await look(on, limits) == 0
        on.now[0] += log_limits.AGAIN_AFTER_S
        assert await look(on, limits) > 100_000


async def test_a_stream_that_grows_fast_is_hurried_for_as_long_as_it_does(home: Home) -> None:
    async with stage(home, 1, SMALL) as on:
        path = on.watchers[0].seen.path
        limits = LogLimits(on.ctx, {})
        hurried: list[bool] = []
        # Bytes, and seconds until then; the limit is 200 kB, the interval a second.
        for size, passed_s in (
            (0, 1.0),
            (60_000, 1.0),
            (66_000, 0.1),
            (72_000, 0.1),
            (74_000, 0.1),
            (110_000, 0.9),
        ):
            (path / "stdout.log").write_bytes(bytes(size))
            on.now[0] += passed_s
            limits.measure({on.watchers[0].run.id: path})
            hurried.append(limits.is_hurried)
        assert hurried == [False, True, True, True, False, False]


async def test_where_nothing_can_be_released_that_is_a_warning_and_nothing_is_lost(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_limits, "can_release", lambda _: False)
    async with stage(home, 1, SMALL) as on:
        (watcher,) = on.watchers
        limits = LogLimits(on.ctx, {watcher.run.id: watcher})
        on.say(watcher, INIT, *[asks(TEXT)] * 200)
        on.notes.read()
        on.now[0] += 1
        await on.notes.write()
        for _ in range(3):
            assert await look(on, limits) == 0
        (event,) = await events_of(on.front, watcher.task_id, "task:log-limit")
        assert event.severity is Severity.WARNING
        assert event.message.endswith(
            "it grows on, since this file system cannot release the beginning of a file"
        )
