"""`events`: what has happened, and what happens, for a monitor to read."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commandline import CommandLine
from support import stop_supervisor, wait_until


def begun(cli: CommandLine, following: subprocess.Popen[str]) -> None:
    """Wait until a follower has opened the registry and listens to the bell."""
    fds = Path(f"/proc/{following.pid}/fd")

    def listens() -> bool:
        for link in fds.iterdir():
            with contextlib.suppress(OSError):
                if "inotify" in str(link.readlink()):
                    return True
        return False

    wait_until(listens, what="the follower listens")


def lines_of(
    cli: CommandLine, following: subprocess.Popen[str], until: Callable[[dict[str, Any]], bool]
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while not found or not until(found[-1]):
        found.append(json.loads(cli.line(following)))
    return found


def test_the_past_is_told_oldest_first_a_line_an_event(cli: CommandLine) -> None:
    task_id = cli.ended("exit 3", "--name", "tests")

    lines = cli.out("events").splitlines()

    seqs = [int(line.split()[0]) for line in lines]
    assert seqs == sorted(seqs)
    (ended,) = (line for line in lines if " task:ended " in line)
    assert ended.split(maxsplit=4)[2:] == ["warning", "task:ended", f"tests ({task_id}) failed: exit code 3"]


def test_a_cursor_and_a_severity_leave_out_what_is_not_wanted(cli: CommandLine) -> None:
    cli.ended("exit 3")
    every = [json.loads(line) for line in cli.out("events", "--json", "--min-severity", "debug").splitlines()]

    def types(*options: str) -> list[str]:
        return [json.loads(line)["type"] for line in cli.out("events", "--json", *options).splitlines()]

    assert types() == [event["type"] for event in every if event["severity"] != "debug"]
    assert types("--min-severity", "warning") == ["task:ended"]
    assert types("--min-severity", "critical") == []
    assert types("--min-severity", "debug", "--after", str(every[0]["seq"])) == [
        event["type"] for event in every[1:]
    ]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--min-severity", "bad"], "'bad' is none. Give one of debug"),
        (["--after", "x"], "--after"),
        (["--after", "-1"], "after: -1 is no cursor"),
        (["--after", str(10**30), "--follow"], "is no cursor"),
    ],
)
def test_wrong_options_are_named(cli: CommandLine, options: list[str], complaint: str) -> None:
    assert complaint in cli.refused("events", *options)


def test_following_tells_what_happens_from_now_on_at_once(cli: CommandLine) -> None:
    cli.ended("true", "--name", "before")
    following = cli.start("events", "--follow", "--json")
    begun(cli, following)

    task_id = cli.submit("exit 3", "--name", "after")

    events = lines_of(cli, following, lambda event: event["type"] == "task:ended")
    assert {event.get("taskId") for event in events} <= {task_id, None}
    assert events[-1]["data"]["exitCode"] == 3
    assert following.poll() is None


def test_following_after_a_cursor_misses_nothing(cli: CommandLine) -> None:
    task_id = cli.ended("true")

    following = cli.start("events", "--follow", "--json", "--after", "0", "--min-severity", "debug")

    events = lines_of(cli, following, lambda event: event["type"] == "task:ended")
    assert [event["type"] for event in events if event.get("taskId") == task_id] == [
        "task:queued",
        "task:started",
        "task:ended",
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_following_ends_cleanly_by_a_signal(cli: CommandLine, number: signal.Signals) -> None:
    following = cli.start("events", "--follow")
    begun(cli, following)

    following.send_signal(number)

    assert following.communicate(timeout=30) == ("", "")
    assert following.returncode == 0


def test_following_ends_by_a_signal_while_its_reader_does_not_read(cli: CommandLine) -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    filler = b"x" * 65536
    try:
        while True:
            os.write(write_end, filler)
    except BlockingIOError:
        pass
    os.set_blocking(write_end, True)
    with os.fdopen(write_end, "w") as stdout:
        following = cli.start("events", "--follow", "--after", "0", "--min-severity", "debug", stdout=stdout)
    cli.ended("true")
    wait_until(lambda: "pipe" in wchan(following.pid), what="the follower is blocked")

    following.send_signal(signal.SIGTERM)

    assert following.wait(30) == 0
    os.close(read_end)


def wchan(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/wchan") as file:  # noqa: PTH123
            return file.read()
    except OSError:
        return ""


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_following_ends_when_its_reader_has_left_though_nothing_happens(cli: CommandLine, kind: str) -> None:
    # Node gives its children sockets where others give pipes.
    ours, theirs = os.pipe() if kind == "pipe" else (end.detach() for end in socket.socketpair())
    with os.fdopen(theirs, "w") as stdout:
        following = cli.start("events", "--follow", stdout=stdout)
    begun(cli, following)

    os.close(ours)

    assert following.wait(30) == 0
    assert following.stderr is not None
    assert following.stderr.read() == ""


def test_following_goes_on_with_a_registry_that_was_made_anew(cli: CommandLine) -> None:
    cli.ended("true", "--name", "before")
    following = cli.start("events", "--follow", "--json", "--min-severity", "debug")
    begun(cli, following)
    stop_supervisor(cli.home.state_dir)
    shutil.rmtree(cli.home.state_dir)

    task_id = cli.submit("true", "--name", "after")

    events = lines_of(cli, following, lambda event: event["type"] == "task:ended")
    assert {event["taskId"] for event in events if event["type"].startswith("task:")} == {task_id}


def test_following_does_not_make_a_removed_state_directory_again(cli: CommandLine) -> None:
    following = cli.start("events", "--follow")
    begun(cli, following)

    shutil.rmtree(cli.home.state_dir)

    assert "was removed or replaced (trying again)" in cli.line(following, "stderr")
    assert not cli.home.state_dir.exists()
    assert following.poll() is None


def test_what_cannot_be_opened_at_the_start_is_an_error(cli: CommandLine) -> None:
    cli.home.state_dir.mkdir()
    (cli.home.state_dir / "registry.db").write_text(
        "this is no database, and long enough to be looked at" * 100
    )

    done = cli.run("events", "--follow", expect=1)

    assert "is damaged" in done.stderr
