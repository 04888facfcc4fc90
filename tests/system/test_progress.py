"""Real processes that tell, or do not tell, how far they are."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any

import anyio
import pytest
from support import Home, ended, events_of, in_state, wait_for

from claudine_mcp.core.config import Settings
from claudine_mcp.core.models import CommandKind, Kind, Priority, Run, Severity, Task
from claudine_mcp.core.states import State
from claudine_mcp.front.details import task_view
from claudine_mcp.front.front import Front
from claudine_mcp.front.progress_views import EtaView, ProgressView, progress_view
from claudine_mcp.front.submit import CommandRequest
from claudine_mcp.front.views import row_of, shown
from claudine_mcp.front.waiting import Wanted, wait_for_events
from claudine_mcp.host.statedir import prepare
from claudine_mcp.registry.database import open_database
from claudine_mcp.supervisor.context import Context
from claudine_mcp.supervisor.observation import ObservedRun
from claudine_mcp.supervisor.output import RunOutput
from claudine_mcp.supervisor.tails import TAIL_BYTES, Tails

PUPPET = 'mkfifo fifo; while read -r line; do eval "$line"; done < fifo'
"""A shell that does what the test writes to a pipe."""


@contextmanager
def strings(home: Home) -> Iterator[IO[str]]:
    """The other end of the pipe; the shell ends with it."""
    with (home.work / "fifo").open("w", encoding="utf-8", buffering=1) as pipe:
        yield pipe


async def submit(front: Front, command: str | list[str], **options: Any) -> Task:
    return await front.submit_command(CommandRequest(command, **options))


async def puppet(front: Front, home: Home, command: str = PUPPET, **options: Any) -> Task:
    task = await submit(front, command, **options)
    await wait_for((home.work / "fifo").is_fifo, what="the pipe")
    return await in_state(front, task, State.RUNNING)


async def progress_of(front: Front, task: Task, **wanted: Any) -> ProgressView:
    """Wait until a task is as far as this."""

    async def there() -> ProgressView | None:
        view = (await task_view(front, task.id)).progress
        if view is None or any(getattr(view, name) != value for name, value in wanted.items()):
            return None
        return view

    found = await wait_for(there, what=f"progress with {wanted}")
    assert found is not None
    return found


async def eta_of(front: Front, task: Task) -> EtaView:
    eta = (await task_view(front, task.id)).eta
    assert eta is not None
    return eta


async def test_what_a_command_prints_is_shown_announced_and_kept(home: Home) -> None:
    async with home.front() as front:
        task = await puppet(front, home)
        with strings(home) as pipe:
            pipe.write("echo '[ 42%] Building C object x.o'\n")
            view = await progress_of(front, task, percent=42.0)
            assert (view.phase, view.source, view.of_phase) == ("Building C object", "cmake", None)
            assert view.moved_at is not None
            assert shown(row_of(await front.task(task.id)))["progress"] == {
                "percent": 42.0,
                "phase": "Building C object",
            }
            (event,) = await wait_for(lambda: events_of(front, task, "task:progress"), what="the event") or []
            assert event.data == {"taskId": task.id, "percent": 42.0, "phase": "Building C object"}
            assert event.message.endswith(": 42 % Building C object")
            assert event.severity == "info"
        done = await ended(front, task)
        assert row_of(done).progress is None
        whole = await task_view(front, task.id)
        assert whole.progress is not None
        assert (whole.progress.percent, whole.eta) == (42.0, None), "how far it came"


async def test_progress_ends_no_wait_unless_it_is_named(home: Home) -> None:
    async def nobody(_passed_s: float, _what: str) -> None:
        """Is told nothing."""

    async def types(**wanted: Any) -> list[str]:
        waited = await wait_for_events(front, Wanted(0, [task.id], **wanted), 0.0, nobody)
        return [event.type for event in waited.events]

    async with home.front() as front:
        task = await submit(front, "echo 42 building >> $CLAUDINE_PROGRESS; mkfifo gate; read -r go < gate")
        await wait_for(lambda: events_of(front, task, "task:progress"), what="the event")
        assert await types() == ["task:started"]
        assert await types(until="ended") == ["task:started"]
        assert await types(types=["task:progress"]) == ["task:progress"]
        assert "task:progress" in await types(min_severity=Severity.DEBUG)
        (home.work / "gate").write_text("go\n", encoding="utf-8")
        await ended(front, task)


async def test_a_bar_on_the_error_stream_within_epochs_gives_an_estimate(home: Home) -> None:
    bars = (
        "for epoch in 1 2; do for n in $(seq 0 2000); do "
        "printf '\\rEpoch %d/2: %d%%|#####     | %d/2000 [00:01<00:02, 5.00it/s]' $epoch $((n/20)) $n >&2; "
        "read -r go; done; done"
    )
    async with home.front() as front:
        task = await puppet(front, home, f"mkfifo fifo; ( {bars} ) < fifo")
        with strings(home) as pipe:

            async def estimate() -> EtaView | None:
                pipe.write("go\n")
                eta = (await task_view(front, task.id)).eta
                return eta if eta is not None and eta.p50_seconds is not None else None

            eta = await wait_for(estimate, what="an estimate")
            assert eta is not None
            assert eta.basis == "its progress"
            assert eta.p90_seconds is not None
            assert (eta.p50_seconds or 0) <= eta.p90_seconds
            view = await progress_of(front, task, source="epoch")
            assert (view.phase, view.total) == ("Epoch 1/2", 2)


async def test_a_real_pytest_is_followed_file_by_file(home: Home) -> None:
    for number in (1, 2, 3, 4):
        waits = (
            f"import pathlib, time\n\ndef test_it():\n    while not pathlib.Path('gate{number}').exists():\n"
        )
        (home.work / f"test_{number}.py").write_text(waits + "        time.sleep(0.02)\n", encoding="utf-8")
    pytest_alone = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir=."]
    async with home.front() as front:
        task = await submit(front, pytest_alone)
        for number, percent in ((1, 25.0), (2, 50.0), (3, 75.0)):
            (home.work / f"gate{number}").touch()
            view = await progress_of(front, task, percent=percent)
            assert (view.phase, view.source) == ("tests", "pytest")
        (home.work / "gate4").touch()
        assert (await ended(front, task)).outcome == "succeeded"
        await progress_of(front, task, percent=100.0)


async def test_what_is_told_to_the_terminal_is_taken_first(home: Home) -> None:
    async with home.front() as front:
        task = await puppet(front, home)
        with strings(home) as pipe:
            pipe.write("echo '[ 10%] Building x'; printf '\\033]9;4;1;30\\033\\\\'\n")
            await progress_of(front, task, percent=30.0, source="terminal")
        await ended(front, task)


async def test_a_task_tells_of_itself_and_a_bad_line_is_said_to_be_ignored(home: Home) -> None:
    async with home.front() as front:
        task = await puppet(front, home)
        with strings(home) as pipe:
            pipe.write('echo "[ 10%] Building x"; echo "40 deploying" >> "$CLAUDINE_PROGRESS"\n')
            view = await progress_of(front, task, percent=40.0)
            assert (view.phase, view.source, view.note) == ("deploying", "file", None)
            pipe.write('echo "400 deploying" >> "$CLAUDINE_PROGRESS"\n')
            note = '"400 deploying" was ignored: 400 is not between 0 and 100'
            view = await progress_of(front, task, note=note)
            assert (view.percent, view.phase) == (40.0, "deploying")
            pipe.write('echo "50 deploying" >> "$CLAUDINE_PROGRESS"\n')
            await progress_of(front, task, percent=50.0, note=None)


async def test_a_supervisor_that_follows_another_goes_on(home: Home) -> None:
    async with home.front(keep=True) as front:
        task = await puppet(front, home)
        with strings(home) as pipe:
            pipe.write("echo '[ 42%] Building C object x.o'; printf %s '[ 50%] Buil'\n")
            await progress_of(front, task, percent=42.0)
            await wait_for(lambda: events_of(front, task, "task:progress"), what="the event")
            await home.kill_supervisor()
            pipe.write("echo 'ding C object y.o'\n")
            view = await progress_of(front, task, percent=50.0)
            assert view.phase == "Building C object"
        await ended(front, task)
        assert len(await events_of(front, task, "task:progress")) == 1, "not told again"


async def test_another_run_begins_without_the_progress_of_the_one_before(home: Home) -> None:
    async with home.front() as front:
        task = await submit(
            front, "if mkdir once; then echo 42% done; else echo waiting; mkfifo gate; read -r go < gate; fi"
        )
        await ended(front, task)
        first = (await task_view(front, task.id)).progress
        assert first is not None
        assert first.percent == 42.0
        await front.command(CommandKind.RETRY, task.id, {})
        again = await in_state(front, task, State.RUNNING)
        assert (await task_view(front, task.id)).progress is None
        assert row_of(again).progress is None
        await wait_for((home.work / "gate").is_fifo)
        (home.work / "gate").write_text("go\n", encoding="utf-8")
        await ended(front, task)


async def test_a_command_that_speaks_and_comes_no_further_is_stuck(home: Home) -> None:
    home.configure(monitoring={"sampleInterval": "100ms", "stallThreshold": "1s"})
    chatters = "mkfifo fifo; (while sleep 0.1; do echo chatter; done) & " + PUPPET.partition("; ")[2]
    async with home.front() as front:
        task = await puppet(front, home, chatters + "; kill $!")
        with strings(home) as pipe:
            for percent in (10, 20, 30, 40):
                pipe.write(f'echo "{percent} packing" >> "$CLAUDINE_PROGRESS"\n')
                await progress_of(front, task, percent=percent)
                await anyio.sleep(1.5)  # what passes faster is not remembered
            (event,) = await wait_for(
                lambda: events_of(front, task, "task:stuck-phase"), what="the event", timeout_s=60
            )
            assert (event.data["phase"], event.data["percent"]) == ("packing", 40.0)
            pipe.write('echo "50 packing" >> "$CLAUDINE_PROGRESS"\n')
            (cleared,) = await wait_for(
                lambda: events_of(front, task, "task:recovered"), what="the end of it"
            )
            assert cleared.data["of"] == "task:stuck-phase"
        await ended(front, task)


@pytest.mark.parametrize(
    ("source", "state", "is_told"),
    [
        ("turns", State.RUNNING, True),
        ("turns", State.ENDED, False),
        ("activity", State.ENDED, False),
        ("todos", State.ENDED, True),
        ("file", State.ENDED, True),
    ],
)
def test_what_a_claude_code_did_last_is_no_progress_of_a_run_that_is_over(
    source: str, state: State, *, is_told: bool
) -> None:
    told = {"run": 1, "source": source, "percent": 25.0, "phase": "Bash (make)"}
    task = Task("t", Kind.CLAUDE, "t", "/", {}, Priority.P1, state, 0.0, 0.0, run=1, seen={"progress": told})
    assert (progress_view(task) is not None) is is_told


async def test_why_there_is_no_estimate_is_said(home: Home) -> None:
    async with home.front() as front:
        task = await puppet(front, home, name="a name")
        eta = await eta_of(front, task)
        assert eta.p50_seconds is None
        assert eta.unknown is not None
        assert eta.unknown.startswith("it reports no progress; 0 earlier runs of mkfifo fifo")
        with strings(home) as pipe:
            pipe.write("echo '   Compiling x v1.0 (y)'\n")
            view = await progress_of(front, task, phase="Compiling")
            assert (view.percent, view.source) == (None, "output")
        await ended(front, task)


async def test_the_past_of_its_like_gives_an_estimate(home: Home) -> None:
    async with home.front() as front:
        for _ in range(3):
            await ended(front, await submit(front, ["sleep", "0.1"]))
        with closing(
            sqlite3.connect(home.state_dir / "registry.db", timeout=30, isolation_level=None)
        ) as registry:
            registry.execute("UPDATE runs SET started_at = exited_at - 3600")
        task = await in_state(front, await submit(front, ["sleep", "0.1", "infinity"]), State.RUNNING)
        other = await eta_of(front, task)
        assert other.unknown is not None
        await front.command(CommandKind.CANCEL, task.id, {})
        (home.work / "sleep").write_text("#!/bin/sh\nread -r go < gate\n", encoding="utf-8")
        (home.work / "sleep").chmod(0o700)
        task = await in_state(front, await submit(front, ["./sleep", "0.1"]), State.RUNNING)
        eta = await eta_of(front, task)
        assert eta.basis == "3 earlier runs of sleep 0.1"
        assert eta.p50_seconds is not None
        assert 3000 < eta.p50_seconds <= 3600
        await front.command(CommandKind.CANCEL, task.id, {})


async def test_a_mistake_in_reading_progress_concerns_nothing_else(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Tails, "look", fail)
    prepare(home.state_dir)
    async with open_database(home.state_dir) as db:
        ctx = Context(db, home.state_dir, home.work, Settings())
        task = Task(
            "t", Kind.COMMAND, "t", "/", {"command": "x"}, Priority.P1, State.RUNNING, 0.0, 0.0, run=1
        )
        output = RunOutput(ctx, task, ObservedRun(ctx, Run("t", 1, 0.0)), None)
        output.look()
        assert not output.may_have_news()
        output.read_to_end()
        assert output.news(force=True) is None
    assert [record.getMessage() for record in caplog.records] == [
        "run t.1: its progress cannot be read, and is not looked for any more"
    ]


async def test_nothing_is_looked_for_when_monitoring_is_off(home: Home) -> None:
    home.configure(monitoring={"enabled": False})
    async with home.front() as front:
        task = await submit(front, "echo 42% done")
        await ended(front, task)
        assert (await task_view(front, task.id)).progress is None


@pytest.mark.skipif(sys.platform != "linux", reason="what a process has read is told by Linux")
async def test_a_task_that_prints_without_end_is_not_read_for_it(home: Home) -> None:
    def read_bytes(pid: int) -> int:
        text = Path(f"/proc/{pid}/io").read_text(encoding="ascii")
        return int(text.split()[1])

    async with home.front() as front:
        task = await puppet(front, home)
        supervisor = (await home.supervisor()).pid
        with strings(home) as pipe:
            pipe.write("echo '[ 1%] Building a'\n")
            await progress_of(front, task, percent=1.0)
            before = read_bytes(supervisor)
            pipe.write("head -c 64M /dev/zero | tr '\\0' '\\n'; echo '[ 99%] Building b'\n")
            await progress_of(front, task, percent=99.0)
            assert (home.run_path(task) / "stdout.log").stat().st_size > 2**26
            # The rest is the registry's.
            assert read_bytes(supervisor) - before < 2**26 / 4
            assert TAIL_BYTES < 2**16
        await ended(front, task)
