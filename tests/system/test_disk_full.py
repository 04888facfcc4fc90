"""A disk without space: nothing half done, and what has to be written down still is."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import Home, alive, ended, events_of, in_state, stop_supervisor, wait_for, wait_until

from claudine_mcp.core.errors import ClaudineError, RegistryError
from claudine_mcp.core.states import Outcome, State
from claudine_mcp.front.submit import CommandRequest
from claudine_mcp.registry.ballast import BALLAST_BYTES, Ballast

SIZE_BYTES = 8 * 2**20
PAGE_BYTES = 4096


@dataclass
class Disk:
    """A small disk that holds the state directory."""

    path: Path

    def fill(self) -> None:
        """Leave no space at all."""
        with (self.path / "filler").open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(PAGE_BYTES))

    def free(self) -> None:
        (self.path / "filler").unlink()


@contextlib.contextmanager
def slow_reader(home: Home) -> Iterator[None]:
    """Have someone read the registry for long: until then each commit makes its log longer, and needs space."""
    path = home.state_dir / "registry.db"
    with (
        contextlib.closing(sqlite3.connect(path, isolation_level=None)) as reader,
        contextlib.closing(sqlite3.connect(path, isolation_level=None)) as writer,
    ):
        touch = "UPDATE lease SET taken_at = taken_at + 1"
        log = home.state_dir / "registry.db-wal"

        def holds_the_log() -> bool:
            writer.execute(touch)  # who reads when all is in the database itself does not need the log
            if reader.in_transaction:
                reader.execute("COMMIT")
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM tasks").fetchall()
            size = log.stat().st_size
            for _ in range(5000):  # its file may be longer than its content
                writer.execute(touch)
                if log.stat().st_size > size:
                    return True
            return False  # a supervisor has moved the log into the database just before

        wait_until(holds_the_log)
        yield


@pytest.fixture
def disk(home: Home) -> Iterator[Disk]:
    home.state_dir.mkdir(mode=0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES},mode=700", "claudine-test", str(home.state_dir)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield Disk(home.state_dir)
    finally:
        stop_supervisor(home.state_dir)
        subprocess.run(["umount", str(home.state_dir)], check=True)


async def test_a_submission_to_a_full_disk_is_refused_and_changes_nothing(home: Home, disk: Disk) -> None:
    async with home.front() as front:
        await ended(front, await front.submit_command(CommandRequest("true")))
        await wait_for(lambda: not home.query("SELECT 1 FROM runs WHERE gone_at IS NULL"))
        await wait_for((home.state_dir / "ballast").exists)
        before = home.query("SELECT count(*) FROM tasks"), sorted((home.state_dir / "tasks").iterdir())
        disk.fill()
        for _ in range(3):
            with pytest.raises(ClaudineError, match=r"(No space left|disk is full).*nothing was"):
                await front.submit_command(CommandRequest("true", env={"FILLER": "x" * 10_000}))
        assert (
            home.query("SELECT count(*) FROM tasks"),
            sorted((home.state_dir / "tasks").iterdir()),
        ) == before
        # The ballast is for what must be said, not for more work.
        assert (home.state_dir / "ballast").exists()
        disk.free()
        assert (
            await ended(front, await front.submit_command(CommandRequest("true")))
        ).outcome is Outcome.SUCCEEDED


async def test_the_end_of_a_running_task_is_recorded_on_a_full_disk(home: Home, disk: Disk) -> None:
    async with home.front(keep=True) as front:
        script = "echo $$ >> begun; while [ ! -e go ]; do sleep 0.02; done; exit 6"
        tasks = [await front.submit_command(CommandRequest(script)) for _ in range(5)]
        await wait_for(lambda: len(home.lines("begun")) == len(tasks))
        for task in tasks:
            await in_state(front, task, State.RUNNING)
        await wait_for((home.state_dir / "ballast").exists)
        with slow_reader(home):
            disk.fill()
            (home.work / "go").touch()
            for task in tasks:
                done = await ended(front, task)
                assert (done.outcome, done.exit_code) == (Outcome.FAILED, 6)
                assert home.record(task, "exit")["code"] == 6
                await wait_for((home.run_path(task) / "gone").exists)
                assert len(await events_of(front, task, "task:ended")) == 1
        assert "was given up" in home.log()


async def test_the_end_is_known_though_no_supervisor_could_write_for_a_while(home: Home, disk: Disk) -> None:
    async with home.front(keep=True) as front:
        task = await front.submit_command(
            CommandRequest("echo $$ >> begun; while [ ! -e go ]; do sleep 0.02; done; exit 6")
        )
        await wait_for(lambda: home.lines("begun"))
        await in_state(front, task, State.RUNNING)
        await wait_for((home.state_dir / "ballast").exists)
        Ballast(home.state_dir).release()
        with slow_reader(home):
            disk.fill()
            (home.work / "go").touch()
            await wait_for((home.run_path(task) / "gone").exists)
            assert home.record(task, "exit")["code"] == 6
            for _ in range(3):
                beat = (home.state_dir / "beat").stat().st_mtime_ns
                await wait_for(lambda beat=beat: (home.state_dir / "beat").stat().st_mtime_ns != beat)
            assert (await front.task(task.id)).state is State.RUNNING
            assert home.epoch() == 1, "the supervisor goes on, and tries again"
        disk.free()
        done = await ended(front, task)
    assert (done.outcome, done.exit_code) == (Outcome.FAILED, 6)


async def test_a_cancel_can_still_be_recorded_on_a_full_disk(home: Home, disk: Disk) -> None:
    home.configure(limits={"killGrace": "100ms"})
    async with home.front(keep=True) as front:
        tasks = [
            await front.submit_command(CommandRequest("echo $$ >> begun; exec sleep 300")) for _ in range(2)
        ]
        await wait_for(lambda: len(home.lines("begun")) == 2)
        for task in tasks:
            await in_state(front, task, State.RUNNING)
        await wait_for((home.state_dir / "ballast").exists)
        with slow_reader(home):
            disk.fill()
            done, result = await front.cancel(tasks[0].id)
            assert (done.outcome, result["changed"]) == (Outcome.CANCELLED, True)
            assert not alive(home.main_pid(tasks[0]))
            assert not (home.state_dir / "ballast").exists()
            # Without it, what cannot be written down is said, and not done by halves.
            disk.fill()
            with pytest.raises(RegistryError, match="disk is full; nothing was changed"):
                await front.cancel(tasks[1].id)
            assert (await front.task(tasks[1].id)).state is State.RUNNING
            assert alive(home.main_pid(tasks[1]))
        disk.free()
        done, _ = await front.cancel(tasks[1].id)
        assert done.outcome is Outcome.CANCELLED
    assert len(home.lines("begun")) == 2


def test_the_ballast_is_given_up_and_taken_again(home: Home, disk: Disk) -> None:
    ballast = Ballast(home.state_dir)
    assert not ballast.release()
    ballast.restore()
    file = home.state_dir / "ballast"
    assert file.stat().st_blocks * 512 >= BALLAST_BYTES
    disk.fill()
    assert ballast.release()
    assert not file.exists()
    disk.fill()
    ballast.restore()
    assert list(home.state_dir.glob("ballast*")) == []
    disk.free()
    ballast.restore()
    assert file.stat().st_size == BALLAST_BYTES
