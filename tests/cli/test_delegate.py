"""`delegate` and what speaks with it, with a stand-in for Claude Code: what that is given, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commandline import CommandLine

from claudine_mcp.cli.delegated import DOING
from claudine_mcp.workloads.claude_state import Phase


def told(cli: CommandLine) -> str:
    """Give the prompt that the stand-in was given."""
    message: dict[str, Any] = json.loads((cli.home.work / "message").read_bytes())
    return message["message"]["content"]


def test_it_prints_the_id_of_a_task_and_nothing_else(cli: CommandLine, claude: Path) -> None:
    task_id = cli.out("delegate", "fix the tests\nand the docs")
    cli.until(task_id)

    view = cli.json("status", task_id)
    assert (view["kind"], view["name"], view["outcome"]) == ("claude", "fix the tests", "succeeded")
    assert told(cli) == "fix the tests\nand the docs"


def test_every_option_reaches_claude_code_or_the_task(cli: CommandLine, claude: Path) -> None:
    first = cli.submit("sleep 600")
    (cli.home.work / "below").mkdir()

    view = cli.json(
        "delegate",
        *("--cwd", "below", "--name", "a name", "--priority", "P2", "--label", "a", "--label", "b"),
        *("--model", "haiku", "--permission-mode", "plan", "--ask-permission"),
        *("--allowed-tool", "Read", "--allowed-tool", "Bash(git log:*)", "--disallowed-tool", "Write"),
        *("--append-system-prompt", "be brief", "--max-turns", "3", "--max-budget-usd", "1.5"),
        *("--extra-arg", "--effort", "--extra-arg", "low"),
        *("--depends-on", f"{first}:end", "--not-before", "2020-01-01T00:00:00Z"),
        *("--timeout", "30m", "--on-timeout", "cancel"),
        "the prompt",
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
    arguments = cli.home.lines("below/arguments")
    for flag, value in (
        ("--model", "haiku"),
        ("--permission-mode", "plan"),
        ("--allowedTools", "Read,Bash(git log:*)"),
        ("--disallowedTools", "Write"),
        ("--append-system-prompt", "be brief"),
        ("--max-turns", "3"),
        ("--max-budget-usd", "1.5"),
        ("--effort", "low"),
        ("--session-id", whole["sessionId"]),
    ):
        assert arguments[arguments.index(flag) + 1] == value
    assert "--permission-prompt-tool" in arguments


def test_a_question_is_put_as_configured_unless_an_option_says_otherwise(
    cli: CommandLine, claude: Path
) -> None:
    cli.home.configure(claude={"command": str(claude), "askPermission": True})

    for options, asks in (([], True), (["--no-ask-permission"], False)):
        cli.run("delegate", "--wait", *options, "the prompt")
        assert ("--permission-prompt-tool" in cli.home.lines("arguments")) is asks


def test_the_same_session_goes_on_in_another_task(cli: CommandLine, claude: Path) -> None:
    first = cli.json("delegate", "--wait", "the prompt")
    second = cli.json("delegate", "--wait", "--continue-from", first["taskId"], "more")

    assert second["sessionId"] == first["sessionId"]
    arguments = cli.home.lines("arguments")
    assert arguments[arguments.index("--resume") + 1] == first["sessionId"]


@pytest.mark.parametrize(
    ("mode", "is_the_same"), [([], True), (["--mode", "resume"], True), (["--mode", "fresh"], False)]
)
def test_a_retry_goes_on_in_the_session_or_begins_anew(
    cli: CommandLine, claude: Path, mode: list[str], is_the_same: bool
) -> None:
    first = cli.json("delegate", "--wait", "the prompt")
    again = cli.json("retry", *mode, "--wait", first["taskId"])

    assert (again["run"], again["sessionId"] == first["sessionId"]) == (2, is_the_same)
    assert (told(cli) == "the prompt") is not is_the_same


def test_servers_are_read_from_a_file(cli: CommandLine, claude: Path) -> None:
    cli.home.configure(claude={"command": str(claude), "allowedMcpServers": ["tiny"]})
    file = cli.home.work / "servers.json"
    file.write_text('{"mcpServers": {"tiny": {"command": "true"}}}')

    cli.run("delegate", "--wait", "--mcp-config", "servers.json", "the prompt")

    assert "--mcp-config" in cli.home.lines("arguments")


@pytest.mark.parametrize("options", [["-"], ["--prompt-file", "-"], ["--prompt-file", "/dev/stdin"]])
def test_a_prompt_comes_from_standard_input(cli: CommandLine, claude: Path, options: list[str]) -> None:
    prompt = "- a list\n- Größe ✓ \U0001f600\n"

    cli.fed(prompt.encode(), "delegate", "--wait", *options)

    assert told(cli) == prompt


def test_a_prompt_comes_from_a_file(cli: CommandLine, claude: Path) -> None:
    (cli.home.work / "prompt.md").write_text("# title\n\ntext", encoding="utf-8")

    cli.run("delegate", "--wait", "--prompt-file", "prompt.md")

    assert told(cli) == "# title\n\ntext"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "PROMPT: it is missing. Give it as an argument, - for standard input, or --prompt-file"),
        (["one", "--prompt-file", "x"], "PROMPT: it is given twice"),
        ([" \n"], "PROMPT: it is empty"),
        (["--prompt-file", "nowhere"], "--prompt-file: nowhere: No such file or directory"),
        (["--prompt-file", "."], "--prompt-file: .: Is a directory"),
        (["--mcp-config", "nowhere", "x"], "--mcp-config: nowhere: No such file or directory"),
        (["--mcp-config", "/dev/null", "x"], "--mcp-config: /dev/null is no JSON"),
        (["--permission-mode", "sudo", "x"], "--permission-mode: 'sudo' is none. Give one of default"),
        (
            ["--permission-mode", "bypassPermissions", "x"],
            "--permission-mode: bypassPermissions lets it do anything",
        ),
        (["--allowed-tool", "--x", "x"], "--allowed-tool: one of them is no rule"),
        (["--disallowed-tool", "", "x"], "--disallowed-tool: one of them is no rule"),
        (["--max-turns", "0", "x"], "--max-turns: 0 is too few"),
        (["--max-turns", "many", "x"], "--max-turns"),
        (["--max-budget-usd", "0", "x"], "--max-budget-usd: 0.0 is no amount to spend"),
        (["--extra-arg", "--settings", "x"], "--extra-arg: --settings may change what"),
        (["--timeout", "30", "x"], "--timeout: 30 means 30 milliseconds"),
        (["--depends-on", "nonesuch", "x"], "--depends-on: there is no task 'nonesuch'"),
        (["--cwd", "nowhere", "x"], "nowhere does not exist"),
        (["--worktree", "x"], "worktree: "),
    ],
)
def test_what_is_wrong_is_named_by_its_option_and_nothing_is_stored(
    cli: CommandLine, claude: Path, arguments: list[str], complaint: str
) -> None:
    assert complaint in cli.refused("delegate", *arguments)
    assert cli.home.query("SELECT count(*) FROM tasks") in ([], [(0,)])


def test_a_prompt_that_is_no_utf8_or_too_long_is_refused(cli: CommandLine, claude: Path) -> None:
    for data, complaint in (
        (b"caf\xe9", "PROMPT: byte 4 is not UTF-8"),
        ("ü".encode() * 6 * 2**20, "PROMPT: it is longer than 10,485,760 bytes"),
    ):
        assert complaint in cli.fed(data, "delegate", "-", expect=2).stderr
    assert cli.home.query("SELECT count(*) FROM tasks") in ([], [(0,)])


def test_a_claude_that_is_missing_is_told_before_anything_is_stored(cli: CommandLine) -> None:
    cli.home.configure(claude={"command": "no-such-claude"})

    assert "claude.command: there is no 'no-such-claude' on the PATH" in cli.refused("delegate", "x")
    assert cli.home.query("SELECT count(*) FROM tasks") == [(0,)]


def test_an_unknown_task_to_continue_from_is_not_found(cli: CommandLine, claude: Path) -> None:
    assert "there is no task 'nonesuch'" in cli.refused(
        "delegate", "--continue-from", "nonesuch", "x", code=3
    )
    command = cli.ended("true")
    assert "--continue-from: task" in cli.refused("delegate", "--continue-from", command, "x")
    assert "--mode: task" in cli.refused("retry", "--mode", "resume", command)
    assert "--mode: 'again' is none" in cli.refused("retry", "--mode", "again", command)


def test_the_status_of_a_delegated_task_tells_its_answer_and_its_cost(cli: CommandLine, claude: Path) -> None:
    task_id = cli.json("delegate", "--wait", "the prompt")["taskId"]
    cli.run("retry", "--wait", task_id)

    lines = cli.out("status", task_id).splitlines()
    assert lines[-3:] == ["", "first line", "second line"]
    known = dict(line.split("  ", 1) for line in lines[:-3])
    assert known["model"].strip() == "a-model"
    assert "cost" in known
    page = cli.json("list", "--kind", "claude")
    assert [row["taskId"] for row in page["tasks"]] == [task_id]


def test_a_message_to_what_cannot_read_it_says_why_not(cli: CommandLine, claude: Path) -> None:
    command, queued = (
        cli.submit("sleep 600"),
        cli.out("delegate", "--not-before", "2999-01-01T00:00:00Z", "x"),
    )
    ended = cli.json("delegate", "--wait", "the prompt")["taskId"]
    cli.until(command, "running")

    assert "only a delegated Claude Code can be spoken to" in cli.refused("send", command, "hello", code=1)
    assert "it is queued. It can be spoken to while it runs" in cli.refused("send", queued, "hello", code=1)
    line = cli.refused("send", ended, "hello", code=1)
    assert "it is ended. `claudine-mcp retry` goes on in the same session" in line
    assert "message: it is empty" in cli.refused("send", ended, " ")
    assert "there is no task 'nonesuch'" in cli.refused("send", "nonesuch", "hello", code=3)
    assert "Missing argument 'MESSAGE'" in cli.refused("send", ended)


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (
            ["7", "allow"],
            3,
            "7 is no question that waits for an answer: there is no such alert (these wait: none)",
        ),
        (["7", "maybe"], 2, "ACTION: 'maybe' is none. Give one of allow, cancel, continue, deny, hibernate"),
        (["7", "continue"], 3, "7 is no open alert: there is none (open are: none)"),
        (["7", "cancel", "--snooze", "1h"], 2, "--snooze: it means nothing with cancel"),
        (["x", "allow"], 2, "ALERT"),
        (["7"], 2, "Missing argument 'ACTION'"),
        (["7", "allow", "--message", "go"], 2, "message: what is allowed is done without a word"),
    ],
)
def test_an_answer_that_fits_nothing_is_refused(
    cli: CommandLine, arguments: list[str], code: int, complaint: str
) -> None:
    assert complaint in cli.refused("answer", *arguments, code=code)


def test_whatever_a_run_does_has_words() -> None:
    assert set(DOING) == set(Phase)
