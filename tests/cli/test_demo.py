"""`demo`: what it promises, with everything real."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import uuid
from pathlib import Path

import pytest
from commandline import CommandLine
from support import WAIT_S, wait_until

from claudine_mcp.cli.claude_records import forget_project, forget_session
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
    ("options", "env", "code", "complaint"),
    [
        (["--claude"], {"PATH": "/nowhere"}, 2, "claude.command: there is no 'claude' on the PATH"),
        (["--claude"], {"CLAUDINE_DEPTH": "1"}, 1, "this is a delegated Claude Code already"),
        (["--model", "opus"], {}, 2, "--model: only --claude has a use for it"),
        (["--yes"], {}, 2, "--yes: only --claude has a use for it"),
    ],
)
def test_what_cannot_be_played_is_refused_before_it_begins(
    cli: CommandLine, options: list[str], env: dict[str, str], code: int, complaint: str
) -> None:
    cli.home.env |= env

    assert complaint in cli.refused("demo", *options, code=code)


def test_at_a_terminal_nothing_is_started_that_costs_money_before_the_user_agrees(
    cli: CommandLine, claude: Path, temporary: Path
) -> None:
    terminal, slave = pty.openpty()
    with os.fdopen(slave, "r+b", buffering=0) as end:
        process = subprocess.Popen(
            cli.argv("demo", "--claude"), env=cli.home.env, stdin=end, stdout=end, stderr=end
        )
    seen = b""
    while b"Go on? [y/N]:" not in seen:
        seen += os.read(terminal, 4096)
    os.write(terminal, b"n\n")

    assert process.wait(WAIT_S) == 130
    os.close(terminal)
    assert f"the real Claude Code ({claude})".encode() in seen.replace(b"\r\n", b"")
    assert list(temporary.iterdir()) == []
    assert not (cli.home.work / "arguments").exists()


def test_without_a_terminal_it_starts_nothing_that_costs_money_unless_told_so(
    cli: CommandLine, claude: Path
) -> None:
    assert "Give it to go on without a question" in cli.refused("demo", "--claude", code=2)
    assert not (cli.home.work / "arguments").exists()


def test_claude_codes_records_of_a_session_are_removed_and_those_of_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, other = str(uuid.uuid4()), str(uuid.uuid4())
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "sessions").mkdir()
    for session, pid in ((ours, 11), (other, 12)):
        project = tmp_path / f"projects/-elsewhere-{pid}"
        cache = tmp_path / f"cache/claude-cli-nodejs/-elsewhere-{pid}"
        for folder in (project / "memory", cache, tmp_path / "session-env" / session):
            folder.mkdir(parents=True)
        (project / f"{session}.jsonl").touch()
        (tmp_path / f"sessions/{pid}.json").write_text(json.dumps({"pid": pid, "sessionId": session}))
        (tmp_path / f"sessions/{pid}.abc.key").touch()
    (tmp_path / "sessions/13.json").write_text("torn")

    forget_session(ours)
    forget_project(Path("/elsewhere/11"))

    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_dir()}
    sessions = {f"sessions/{name}" for name in ("12.json", "12.abc.key", "13.json")}
    assert left == {f"projects/-elsewhere-12/{other}.jsonl", *sessions}
    for pattern, name in (
        ("projects/*", "-elsewhere-12"),
        ("session-env/*", other),
        ("cache/*/*", "-elsewhere-12"),
    ):
        assert [path.name for path in tmp_path.glob(pattern)] == [name]
    with pytest.raises(ValueError, match="UUID"):
        forget_session("")


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
