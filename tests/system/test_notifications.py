"""The user's own program, told of what happens."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support import Home, ended, wait_for

from claudine_mcp.front.submit import CommandRequest

NOTES = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read() + '\\n')"


def told(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def notes(home: Home) -> Path:
    """The file into which the program of `home` writes what it is told."""
    path = home.folder / "notes"
    home.configure(notifications={"command": [sys.executable, "-c", NOTES, str(path)]})
    return path


async def test_it_is_told_of_every_end_and_warning_once_and_of_nothing_else(home: Home, notes: Path) -> None:
    async with home.front() as front:
        first = await front.submit_command(CommandRequest("sleep 0.3"))
        await ended(front, first)
        await wait_for(lambda: told(notes))
        second = await front.submit_command(CommandRequest("exit 3", name="breaks"))
        await ended(front, second)
        await wait_for(lambda: len(told(notes)) == 2)
        cursor = told(notes)[1]["seq"]
        await wait_for(
            lambda: home.query("SELECT value FROM meta WHERE key = 'notified'") == [(str(cursor),)]
        )
        await home.kill_supervisor()
        third = await front.submit_command(CommandRequest("true"))
        await ended(front, third)
        await wait_for(lambda: len(told(notes)) == 3)
    events = told(notes)
    assert [(event["type"], event["taskId"]) for event in events] == [
        ("task:ended", task.id) for task in (first, second, third)
    ]
    assert events[1]["severity"] == "warning"
    assert "breaks" in events[1]["message"]
    assert events[1]["data"]["exitCode"] == 3


async def test_the_supervisor_stays_until_the_program_has_been_told(home: Home) -> None:
    notes = home.folder / "notes"
    slow = "import time; time.sleep(0.5);" + NOTES
    home.configure(
        notifications={"command": [sys.executable, "-c", slow, str(notes)]}, supervisor={"idleExit": "100ms"}
    )
    async with home.front() as front:
        for _ in range(3):
            await ended(front, await front.submit_command(CommandRequest("true")))
        await wait_for(lambda: len(told(notes)) == 3)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        pytest.param(["/no/such/program"], "cannot be started", id="missing"),
        pytest.param(
            [sys.executable, "-c", "import sys; sys.exit('out of paper')"], "out of paper", id="fails"
        ),
        pytest.param([sys.executable, "-c", "import time; time.sleep(60)"], "was ended", id="hangs"),
    ],
)
async def test_one_that_does_not_work_is_named_in_the_log_and_holds_nothing_up(
    home: Home, command: list[str], words: str
) -> None:
    home.configure(notifications={"command": command, "commandTimeout": 1000})
    log = home.state_dir / "supervisor.log"
    async with home.front() as front:
        for _ in range(2):
            await ended(front, await front.submit_command(CommandRequest("true")))
        await wait_for(lambda: log.read_text().count(words) == 2)
    assert "notifications.command" in log.read_text()
    assert "Traceback" not in log.read_text()
