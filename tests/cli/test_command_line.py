"""What all commands share: help, errors, pipes, colours."""

from __future__ import annotations

import os
import pty
import subprocess

import pytest
from commandline import CommandLine

import claudine_mcp

COMMANDS = [
    *("run", "delegate", "send", "answer", "list", "status", "logs", "metrics", "wait", "cancel"),
    *(
        "suspend",
        "resume",
        "hibernate",
        "pause",
        "reserve",
        "checkpoints",
        "restore",
        "retry",
        "rm",
        "events",
        "doctor",
        "supervise",
        "demo",
        "config",
    ),
]


def test_the_help_lists_every_command(cli: CommandLine) -> None:
    text = cli.out("--help")

    listed = [line.split()[0] for line in text.partition("Commands:")[2].splitlines() if line.strip()]
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(cli: CommandLine, command: str) -> None:
    for option in ("-h", "--help"):
        code, out, err = cli.here(command, option)
        assert (code, err) == (0, "")
        assert out.startswith(f"Usage: claudine-mcp {command} ")


def test_the_version_is_told(cli: CommandLine) -> None:
    assert cli.out("--version") == f"claudine-mcp {claudine_mcp.__version__}"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["bogus"], "No such command 'bogus'"),
        (["list", "--bogus"], "No such option: --bogus"),
        (["status", "one", "two"], "unexpected extra argument"),
        (["cancel"], "Missing argument 'ID'"),
        (["logs", "x", "--tail", "many"], "--tail"),
    ],
)
def test_wrong_usage_is_one_line_that_names_the_help(
    cli: CommandLine, arguments: list[str], complaint: str
) -> None:
    line = cli.refused(*arguments)

    assert complaint in line
    assert "--help` tells more" in line


@pytest.mark.parametrize(
    ("variable", "value"), [("CLAUDINE_HOME", "relative"), ("CLAUDINE_HOME", "/proc/nowhere")]
)
def test_a_state_directory_that_cannot_be_is_refused_without_a_traceback(
    cli: CommandLine, variable: str, value: str
) -> None:
    done = cli.run("list", expect=None, **{variable: value})

    assert done.returncode in {1, 2}
    assert len(done.stderr.splitlines()) == 1
    assert value in done.stderr


def test_a_pipe_that_closes_early_is_no_error(cli: CommandLine) -> None:
    for _ in range(3):
        cli.submit("true")
    read_end, write_end = os.pipe()
    os.close(read_end)

    for arguments in (
        ["list"],
        ["status"],
        ["events", "--min-severity", "debug"],
        ["list", "--json"],
        ["--help"],
    ):
        done = subprocess.run(
            cli.argv(*arguments),
            env=cli.home.env,
            stdout=write_end,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), arguments
    os.close(write_end)


def on_a_terminal(cli: CommandLine, *arguments: str, **env: str) -> str:
    """Give what is printed on a terminal that is 80 columns wide."""
    terminal, slave = pty.openpty()
    with os.fdopen(slave, "w") as stdout:
        process = subprocess.Popen(
            cli.argv(*arguments), env={**cli.home.env, "TERM": "xterm", "COLUMNS": "80", **env}, stdout=stdout
        )
    parts: list[bytes] = []
    try:
        while part := os.read(terminal, 65536):
            parts.append(part)
    except OSError:  # the other side is closed
        pass
    os.close(terminal)
    assert process.wait(30) == 0
    return b"".join(parts).decode()


def test_colours_are_for_terminals_whose_user_wants_them(cli: CommandLine) -> None:
    cli.ended("exit 3", "--name", "a very long name " * 10)

    coloured = on_a_terminal(cli, "list")
    assert "\x1b[31m" in coloured
    assert "…" in coloured
    for plain in (
        on_a_terminal(cli, "list", NO_COLOR="1"),
        on_a_terminal(cli, "list", TERM="dumb"),
        cli.out("list"),
    ):
        assert "\x1b" not in plain


def test_names_that_the_terminal_cannot_show_are_written_all_the_same(cli: CommandLine) -> None:
    cli.ended("true", "--name", "Größe ✓")

    done = cli.run("list", PYTHONIOENCODING="ascii")

    assert r"Gr\xf6\xdfe \u2713" in done.stdout


def test_a_damaged_registry_is_told_in_one_line(cli: CommandLine) -> None:
    cli.home.state_dir.mkdir()
    (cli.home.state_dir / "registry.db").write_bytes(b"not a database " * 1000)

    assert "it is damaged" in cli.refused("list", code=1)


def test_supervise_works_under_its_own_name(cli: CommandLine) -> None:
    done = cli.run("supervise", "--once")

    assert "epoch 1" in done.stderr
