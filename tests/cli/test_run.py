"""`claudine-mcp run`."""

from __future__ import annotations

import signal
import subprocess

import anyio
import pytest
from commandline import CommandLine
from support import wait_until


def test_it_prints_the_id_alone_and_the_task_outlives_it(cli: CommandLine) -> None:
    done = cli.run("run", "--", "sh", "-c", "echo done > result")

    assert done.stderr == ""
    cli.until(done.stdout.strip())
    assert cli.home.lines("result") == ["done"]


def test_one_word_with_spaces_is_for_the_shell_and_several_words_are_not(cli: CommandLine) -> None:
    assert cli.json("run", "--", "echo $((1+1)); true")["command"] == "echo $((1+1)); true"
    assert cli.json("run", "--", "echo", "$((1+1))")["command"] == ["echo", "$((1+1))"]
    assert cli.json("run", "--shell", "true")["command"] == "true"
    assert cli.json("run", "true")["command"] == ["true"]


def test_options_after_the_command_are_the_commands_own(cli: CommandLine) -> None:
    view = cli.json("run", "echo", "-n", "--json", "--wait", "--name", "x")

    assert view["command"] == ["echo", "-n", "--json", "--wait", "--name", "x"]


def test_every_option_reaches_the_task(cli: CommandLine) -> None:
    first = cli.submit("sleep 600")
    (cli.home.work / "below").mkdir()

    view = cli.json(
        "run",
        *("--cwd", "below", "--name", "a name", "--priority", "P2", "--label", "a", "--label", "b"),
        *("--env", "GREETING=hello=there", "--merge-streams", "--restartable"),
        *("--depends-on", f"{first}:end", "--not-before", "2020-01-01T00:00:00Z"),
        *("--timeout", "30m", "--on-timeout", "cancel"),
        *("--shell", "echo $GREETING; pwd; echo error >&2"),
    )
    assert view["state"] == "queued"
    cli.run("cancel", first)
    cli.until(view["taskId"])

    whole = cli.json("status", view["taskId"])
    assert (whole["name"], whole["priority"], whole["labels"]) == ("a name", "P2", ["a", "b"])
    assert whole["cwd"] == str(cli.home.work / "below")
    assert whole["dependsOn"] == [{"taskId": first, "on": "end"}]
    assert whole["notBefore"] == "2020-01-01T00:00:00.000Z"
    assert (whole["timeoutSeconds"], whole["onTimeout"]) == (1800, "cancel")
    assert cli.out("logs", view["taskId"]).splitlines() == [
        "hello=there",
        str(cli.home.work / "below"),
        "error",
    ]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "CMD: it is missing"),
        (["--shell", "true", "true"], "CMD: it is given twice"),
        (["no-such-program-anywhere"], '"no-such-program-anywhere" is not on PATH'),
        (["--env", "NAME", "true"], "--env: 'NAME' has no value"),
        (["--env", "CLAUDINE_RUN=1", "true"], "--env: CLAUDINE_RUN is set by claudine-mcp itself"),
        (["--priority", "high", "true"], "--priority: 'high' is none. Give P0"),
        (["--timeout", "300", "true"], '--timeout: 300 means 300 milliseconds. Did you mean "300s"'),
        (["--on-timeout", "cancel", "true"], "--on-timeout: there is no timeout"),
        (["--depends-on", "nonesuch", "true"], "--depends-on: there is no task 'nonesuch'"),
        (["--depends-on", "x:often", "true"], "--depends-on:"),
        (["--not-before", "tomorrow", "true"], '--not-before: "tomorrow" is not a time'),
        (["--cwd", "nowhere", "true"], "nowhere does not exist"),
        (["--label", "", "true"], "--label:"),
        (["--name", "two\nlines", "true"], "--name: it must be one line"),
        (["--bogus", "true"], "No such option: --bogus"),
    ],
)
def test_what_is_wrong_is_named_by_its_option_and_nothing_is_stored(
    cli: CommandLine, arguments: list[str], complaint: str
) -> None:
    assert complaint in cli.refused("run", *arguments)
    assert cli.home.query("SELECT count(*) FROM tasks") in ([], [(0,)])


@pytest.mark.parametrize(("command", "code"), [("exit 0", 0), ("exit 7", 1), ("kill -KILL $$", 1)])
def test_waiting_exits_as_the_task_ended(cli: CommandLine, command: str, code: int) -> None:
    cli.run("run", "--wait", "--shell", command, expect=code)


def test_waiting_shows_each_stream_where_it_belongs(cli: CommandLine) -> None:
    done = cli.run("run", "--wait", "--shell", "echo one; echo error >&2; printf 'no newline'")

    assert done.stdout == "one\nno newline\n"
    assert "error\n" in done.stderr
    assert "succeeded (exit code 0" in done.stderr


def test_waiting_for_json_prints_the_ended_task_only(cli: CommandLine) -> None:
    view = cli.json("run", "--wait", "--shell", "echo noise; exit 3", expect=1)

    assert (view["outcome"], view["exitCode"]) == ("failed", 3)


def test_an_interrupt_ends_the_waiting_and_not_the_task(cli: CommandLine) -> None:
    waiting = cli.start("run", "--wait", "--shell", "echo begun; sleep 600")
    assert cli.line(waiting) == "begun\n"

    waiting.send_signal(signal.SIGINT)

    _, said = waiting.communicate(timeout=30)
    assert waiting.returncode == 130
    ((task_id, state),) = cli.home.query("SELECT id, state FROM tasks")
    assert state == "running"
    assert f"task {task_id} goes on; `claudine-mcp cancel {task_id}` ends it" in said
    assert "Traceback" not in said


async def test_waiting_starts_a_supervisor_when_the_one_there_was_is_killed(cli: CommandLine) -> None:
    flag = cli.home.work / "go-on"
    waiting = cli.start(
        "run", "--wait", "--shell", f"echo begun; while [ ! -e {flag} ]; do sleep 0.05; done; echo end"
    )
    assert cli.line(waiting) == "begun\n"
    before = cli.home.epoch()

    await cli.home.kill_supervisor()
    wait_until(lambda: cli.home.epoch() > before)
    await anyio.Path(flag).touch()

    assert cli.line(waiting) == "end\n"
    waiting.communicate(timeout=30)
    assert waiting.returncode == 0


def test_from_a_directory_that_was_removed_it_says_so(cli: CommandLine) -> None:
    gone = cli.home.folder / "gone"
    gone.mkdir()
    line = cli.argv("run", "true")

    script = 'cd "$0" && rmdir "$0" && exec "$@"'
    done = subprocess.run(
        ["sh", "-c", script, str(gone), *line], env=cli.home.env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "--cwd:" in done.stderr
    assert "does not exist" in done.stderr
