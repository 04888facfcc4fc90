"""The plugin's monitor: prints what is appended to its file, and lives exactly as long as its Claude Code."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from claude_code import PLUGIN
from support import Home, alive, kill, wait_until

from claudine_mcp.front.monitor_file import MonitorFile

HOST = os.uname().nodename
OTHER_TAIL = '#!/bin/sh\ncase "$*" in *--pid*) exit 1 ;; esac\nexec {} "$@"\n'
"""Of a system whose tail cannot look after a pid."""


@dataclass
class Monitor:
    """The script, run for a process that stands for Claude Code."""

    claude: subprocess.Popen[bytes]
    process: subprocess.Popen[bytes]
    directory: Path
    output: Path

    @property
    def file(self) -> MonitorFile:
        return MonitorFile(self.directory, self.claude.pid)

    def lines(self) -> list[str]:
        return self.output.read_text(encoding="utf-8").splitlines()

    def descendants(self) -> list[int]:
        return [child.pid for child in psutil.Process(self.process.pid).children(recursive=True)]


@pytest.fixture(params=["GNU", "other"])
def path(request: pytest.FixtureRequest, home: Home) -> str:
    """A PATH with a tail of either kind."""
    if request.param == "GNU":
        return home.env["PATH"]
    tail = subprocess.run(["sh", "-c", "command -v tail"], capture_output=True, text=True, check=True).stdout
    programs = home.folder / "programs"
    programs.mkdir()
    (programs / "tail").write_text(OTHER_TAIL.format(tail.strip()))
    (programs / "tail").chmod(0o755)
    return f"{programs}:{home.env['PATH']}"


def start(home: Home, path: str, directory: Path) -> Monitor:
    claude = subprocess.Popen(["sleep", "300"], cwd=home.folder)
    output = home.folder / "output"
    with output.open("wb") as out:
        process = subprocess.Popen(
            ["sh", str(PLUGIN / "monitors/follow.sh"), str(directory)],
            env={**home.env, "PATH": path, "CLAUDE_PID": str(claude.pid)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Monitor(claude, process, directory, output)


@pytest.fixture
def monitor(home: Home, path: str) -> Iterator[Monitor]:
    started = start(home, path, home.folder / "plugin data" / "monitors")
    try:
        wait_until(started.file.is_read, what="the monitor reads its file")
        yield started
    finally:
        end(started)


def end(monitor: Monitor) -> None:
    if monitor.claude.poll() is None:
        kill(monitor.claude.pid)
    monitor.claude.wait()
    monitor.process.wait(60)


def test_what_is_appended_is_printed_and_nothing_else(monitor: Monitor) -> None:
    assert monitor.lines() == []
    monitor.file.append("first")
    monitor.file.append("zweite 二")
    wait_until(lambda: monitor.lines() == ["first", "zweite 二"])
    monitor.file.append("third")
    wait_until(lambda: monitor.lines() == ["first", "zweite 二", "third"])


def test_it_ends_with_its_claude_code_however_that_ends(monitor: Monitor) -> None:
    mine = [monitor.process.pid, *monitor.descendants()]
    kill(monitor.claude.pid)
    monitor.claude.wait()
    wait_until(lambda: monitor.process.poll() is not None, what="the monitor is gone")
    wait_until(lambda: not [pid for pid in mine if alive(pid)], what="and all that it started")
    assert monitor.lines() == []


def test_a_signal_at_the_end_of_a_session_ends_it_whole(monitor: Monitor) -> None:
    mine = [monitor.process.pid, *monitor.descendants()]
    os.killpg(monitor.process.pid, 15)
    monitor.process.wait(60)
    wait_until(lambda: not [pid for pid in mine if alive(pid)])


def test_where_it_can_write_nothing_it_stays_and_says_nothing(home: Home, path: str) -> None:
    (home.folder / "file").write_text("no directory")
    monitor = start(home, path, home.folder / "file" / "monitors")
    try:
        # It has come to following when it is, or has, a tail.
        def follows() -> bool:
            with contextlib.suppress(psutil.NoSuchProcess):
                pids = [monitor.process.pid, *monitor.descendants()]
                return any(psutil.Process(pid).name() == "tail" for pid in pids)
            return False

        wait_until(follows)
        assert monitor.process.poll() is None
        assert not monitor.file.is_read()
        kill(monitor.claude.pid)
        monitor.claude.wait()
        monitor.process.wait(30)
        assert monitor.lines() == []
    finally:
        end(monitor)


def test_it_removes_the_files_of_those_that_are_gone_and_no_others(home: Home) -> None:
    directory = home.folder / "monitors"
    directory.mkdir()
    gone = subprocess.Popen(["true"])
    gone.wait()
    living = f"{os.getpid()}@{HOST}"
    stays = [living, f"{living}.cursor", f"{gone.pid}@elsewhere", f"{gone.pid}@{HOST}.domain"]
    for name in (*stays, f"{gone.pid}@{HOST}", f"{gone.pid}@{HOST}.cursor"):
        (directory / name).touch()
    monitor = start(home, home.env["PATH"], directory)
    try:
        wait_until(monitor.file.is_read)
        assert sorted(path.name for path in directory.iterdir()) == sorted(
            [*stays, f"{monitor.claude.pid}@{HOST}"]
        )
    finally:
        end(monitor)


def test_a_file_of_an_earlier_claude_code_with_the_same_pid_is_not_taken_for_this_ones(home: Home) -> None:
    """Its reader is dead, or a process that was there before this Claude Code."""
    dead = subprocess.Popen(["true"])
    dead.wait()
    claude = subprocess.Popen(["sleep", "300"], cwd=home.folder)
    try:
        path = home.folder / f"{claude.pid}@{HOST}"
        for reader in (str(dead.pid), "1", "", "words"):
            path.write_text(f"{reader}\nan old line\n")
            assert not MonitorFile(home.folder, claude.pid).is_read()
        path.write_text(str(claude.pid))  # half of a first line
        assert not MonitorFile(home.folder, claude.pid).is_read()
        path.write_text(f"{claude.pid}\n")
        assert MonitorFile(home.folder, claude.pid).is_read()
    finally:
        kill(claude.pid)
        claude.wait()


def test_a_cursor_is_kept_for_one_claude_code_only(home: Home) -> None:
    process = subprocess.Popen(["sleep", "300"], cwd=home.folder)
    try:
        file = MonitorFile(home.folder, process.pid)
        assert file.cursor() is None
        file.keep_cursor(41)
        assert MonitorFile(home.folder, process.pid).cursor() == 41
        beside = home.folder / f"{process.pid}@{HOST}.cursor"
        beside.rename(home.folder / f"{os.getpid()}@{HOST}.cursor")
        assert MonitorFile(home.folder, os.getpid()).cursor() is None
    finally:
        kill(process.pid)
        process.wait()
