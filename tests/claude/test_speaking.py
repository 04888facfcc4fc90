"""A delegated Claude Code from the command line: what it asks is seen, answered and told, and so is what it is sent."""

from __future__ import annotations

import re
import subprocess

import pytest
from commandline import CommandLine
from fake_api import FakeApi
from support import wait_until

pytestmark = pytest.mark.claude

GATE = "until test -e open; do sleep 0.02; done"
"""A command that lasts until the test makes the file ``open``."""
LIMIT_S = 90
ASKS = re.compile(r"task (\w+) asks to use Bash \(touch made\): `claudine-mcp answer (\d+) allow` or `deny`")


def told_of_a_question(waiting: subprocess.Popen[str]) -> tuple[str, str]:
    """Read what a command says until it tells of a question; give the task and the question's number."""
    while not (found := ASKS.search(CommandLine.line(waiting, "stderr", LIMIT_S))):
        pass
    return found[1], found[2]


def using_a_tool(cli: CommandLine, task_id: str) -> None:
    wait_until(
        lambda: cli.json("status", task_id).get("phase", {}).get("name") == "tool",
        LIMIT_S,
        "a tool is running",
    )


def test_whoever_waits_is_told_of_a_question_and_how_to_answer_it(cli: CommandLine) -> None:
    waiting = cli.start("delegate", "--wait", "--ask-permission", "FAKE: bash touch made | text all done")
    task_id, number = told_of_a_question(waiting)
    others = [cli.start("wait", task_id), cli.start("logs", "-f", task_id)]
    for other in others:
        assert told_of_a_question(other) == (task_id, number)

    how = f"`claudine-mcp answer {number} allow` or `deny`"
    assert how in cli.out("list")
    assert how in cli.out("status", task_id)
    assert "touch made" in cli.out("status", task_id)
    overview = cli.out("status").partition("Waiting for a person\n")[2].splitlines()
    assert overview[1].split()[:2] == [number, task_id]
    row = cli.json("list")["tasks"][0]
    assert (str(row["question"]["alertId"]), row["question"]["summary"]) == (number, "Bash (touch made)")
    assert f"(these wait: {number})" in cli.refused("answer", "99999", "allow", code=3)

    assert cli.out("answer", number, "allow") == f"{number}: task {task_id} goes on with that answer"

    out, _ = waiting.communicate(timeout=LIMIT_S)
    assert waiting.returncode == 0
    assert "all done" in out
    for other in others:
        other.communicate(timeout=LIMIT_S)
        assert other.returncode == 0
    assert (cli.home.work / "made").exists()
    line = cli.refused("answer", number, "deny", code=3)
    assert f"{number} is no question that waits for an answer" in line
    assert "allow by the command line" in line
    assert "question" not in cli.json("list")["tasks"][0]


def test_what_is_denied_with_a_message_is_not_done_and_the_message_is_heard(
    cli: CommandLine, api: FakeApi
) -> None:
    task_id = cli.out("delegate", "--ask-permission", "FAKE: bash touch made | text done")
    waiting = cli.start("wait", task_id)
    _, number = told_of_a_question(waiting)

    cli.run("answer", number, "deny", "--message", "use the other folder")

    waiting.communicate(timeout=LIMIT_S)
    assert waiting.returncode == 0
    assert not (cli.home.work / "made").exists()
    assert api.told("use the other folder")
    assert "Bash (touch made)" in cli.out("status", task_id).partition("refused")[2]


def test_a_message_is_queued_while_a_tool_runs_and_then_read(cli: CommandLine, api: FakeApi) -> None:
    task_id = cli.out("delegate", "--allowed-tool", "Bash", f"FAKE: bash {GATE} | text done")
    using_a_tool(cli, task_id)

    assert cli.out("send", task_id, "mind the gap") == (
        f"{task_id}: delivered, and queued until the tool that it uses has answered, or the turn ends"
    )
    said = cli.fed("Größe ✓".encode(), "send", "--json", task_id, "-")
    assert '"queued": true' in said.stdout

    (cli.home.work / "open").touch()
    cli.run("wait", task_id)
    for words in ("mind the gap", "Größe ✓"):
        assert api.told(words)


def test_an_interrupt_stops_what_it_does_and_is_read(cli: CommandLine) -> None:
    task_id = cli.out("delegate", "--allowed-tool", "Bash", f"FAKE: bash {GATE} | text done")
    using_a_tool(cli, task_id)

    out = cli.out("send", "--interrupt", task_id, "FAKE: text stopped")

    assert out == f"{task_id}: delivered; what it was doing was stopped"
    cli.run("wait", task_id)
    assert cli.json("status", task_id)["result"] == "stopped"


def test_the_exit_code_tells_how_a_delegated_run_ended(cli: CommandLine) -> None:
    cli.run("delegate", "--wait", "FAKE: error 400", expect=1)
    done = cli.json("delegate", "--wait", "FAKE: text the answer")
    assert (done["outcome"], done["result"]) == ("succeeded", "the answer")
