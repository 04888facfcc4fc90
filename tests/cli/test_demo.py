"""`demo`: what it promises, with everything real."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from commandline import CommandLine
from support import wait_until

from claudine_mcp.cli.scenario import CANCELLED, FAILS, KILLED, WORKS


@pytest.fixture
def temporary(cli: CommandLine) -> Path:
    """Where the demo makes its folder; the state directory's fixture sees that no process of it is left."""
    folder = cli.home.folder / "tmp"
    folder.mkdir()
    cli.home.env["TMPDIR"] = str(folder)
    return folder


def test_every_task_ends_as_it_should_and_nothing_is_left(cli: CommandLine, temporary: Path) -> None:
    done = cli.run("demo")

    assert done.stdout.splitlines()[-1] == "5 tasks, each ended as it should; no process and no file is left"
    assert "the server was killed with SIGKILL" in done.stdout
    assert "the last task is running" in done.stdout
    assert done.stderr == ""
    assert list(temporary.iterdir()) == []
    assert not cli.home.state_dir.exists()


def test_its_json_tells_what_became_of_each(cli: CommandLine, temporary: Path) -> None:
    answer = json.loads(cli.out("demo", "--json"))

    assert (answer["asExpected"], answer["failures"]) == (True, [])
    assert [(task["name"], task["outcome"]) for task in answer["tasks"]] == [
        ("works", "succeeded"),
        ("fails", "failed"),
        ("is killed", "failed"),
        ("is cancelled, with its grandchildren", "cancelled"),
        ("outlives its server", "succeeded"),
    ]


def test_an_interrupted_demo_leaves_nothing_either(cli: CommandLine, temporary: Path) -> None:
    demo = cli.start("demo")
    while "running" not in cli.line(demo):
        pass

    demo.send_signal(signal.SIGINT)

    demo.communicate(timeout=60)
    assert demo.returncode == 130
    wait_until(lambda: list(temporary.iterdir()) == [])


@pytest.mark.parametrize(
    ("act", "row", "holds"),
    [
        (WORKS, {"outcome": "succeeded", "exitCode": 0}, True),
        (WORKS, {"outcome": "failed", "exitCode": 1}, False),
        (WORKS, {}, False),
        (FAILS, {"outcome": "failed", "exitCode": 3}, True),
        (FAILS, {"outcome": "failed", "exitCode": 1}, False),
        (KILLED, {"outcome": "failed", "signal": 9}, True),
        (KILLED, {"outcome": "failed", "exitCode": 137}, False),
        (CANCELLED, {"outcome": "cancelled"}, True),
        (CANCELLED, {"outcome": "interrupted"}, False),
    ],
)
def test_an_outcome_that_is_not_the_expected_one_is_seen(act, row, holds) -> None:  # noqa: ANN001
    assert act.holds(row) is holds
