"""`demo --claude`: what it promises, with the real Claude Code."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from claude_code import ClaudeCode
from commandline import CommandLine
from fake_api import FakeApi
from support import wait_until

pytestmark = pytest.mark.claude

LIMIT_S = 180
"""For what takes ten to twenty seconds."""
ASKS = "touch it-was-allowed"


@pytest.fixture
def temporary(cli: CommandLine) -> Path:
    """Where the demonstration makes its folder."""
    return Path(cli.home.env["TMPDIR"])


@pytest.fixture(autouse=True)
def scripted(api: FakeApi) -> FakeApi:
    """The fake API, which knows the prompts of the demonstration."""
    api.scripts = {
        "one word hello": "FAKE: text hello",
        ASKS: f"FAKE: bash {ASKS} | text done",
        "sh ./wait.sh": "FAKE: bash sh ./wait.sh | bash sh ./wait.sh | text it went on",
    }
    return api


def demo(cli: CommandLine, *options: str) -> tuple[int, str, str]:
    """Let it play to its end; give exit code, output and complaints."""
    out, err = cli.start("demo", "--claude", "--yes", *options).communicate(timeout=LIMIT_S)
    assert "Traceback" not in err
    return cli.started[-1].returncode, out, err


def left_behind(cli: CommandLine, temporary: Path) -> list[str]:
    """Give what is left of the demonstration: its folder, and what Claude Code keeps of sessions and projects."""
    user = Path(cli.home.env["HOME"])
    kept = [user / ".cache" / "claude-cli-nodejs"]
    kept += [user / ".claude" / name for name in ("projects", "session-env", "sessions", "shell-snapshots")]
    return [str(path) for folder in kept for path in folder.glob("*")] + [
        str(path) for path in temporary.glob("claudine-demo-*")
    ]


def test_it_says_what_it_may_cost_shows_what_became_of_each_and_leaves_nothing(
    cli: CommandLine, claude: ClaudeCode, api: FakeApi, temporary: Path
) -> None:
    programs = cli.home.folder / "bin"
    programs.mkdir()
    (programs / "claude").symlink_to(claude.argv[0])
    cli.home.env["PATH"] = f"{programs}:{cli.home.env['PATH']}"
    cli.home.configure()

    code, out, err = demo(cli)

    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert (
        f"the real Claude Code ({programs}/claude) under your own account, with the model haiku" in lines[0]
    )
    assert "4 times, each stopped once it has cost $0.25. So it costs little more than $1.00" in lines[0]
    assert f"asks a person to let it use Bash ({ASKS}); it is allowed" in out
    assert "while it used its tool" in out
    assert "is killed and resumed: failed (killed by signal 9 (SIGKILL) while it ran Bash" in out
    assert "it was started again, in the same session" in out
    table = {line[:21].strip(): line[21:].split(maxsplit=3) for line in lines[-5:-2]}
    assert [(name, row[:2], row[3]) for name, row in table.items()] == [
        ("answers", ["succeeded", "1"], "hello"),
        ("asks for permission", ["succeeded", "1"], "done"),
        ("is killed and resumed", ["succeeded", "2"], "it went on"),
    ]
    assert lines[-2].startswith("Claude Code says that this has cost $0.0")
    assert lines[-1] == "3 tasks, each ended as it should; no process and no file is left"
    assert left_behind(cli, temporary) == []
    assert not cli.home.state_dir.exists()
    assert {"haiku" in request.model for request in api.requests} == {True}


def test_it_allows_nothing_but_what_it_asked_for(
    cli: CommandLine, scripted: FakeApi, temporary: Path
) -> None:
    scripted.scripts[ASKS] = f"FAKE: bash touch something-else | bash {ASKS} | text done"

    code, out, err = demo(cli, "--json", "--model", "opus")

    assert code == 0
    assert "with the model opus" in err
    answer: dict[str, Any] = json.loads(out)
    assert (answer["asExpected"], answer["failures"]) == (True, [])
    row = next(task for task in answer["tasks"] if task["name"] == "asks for permission")
    assert [item["summary"] for item in row["permissionDenials"]] == ["touch something-else"]
    assert scripted.told(f"Only this is allowed: Bash with {ASKS}")
    assert {"opus" in request.model for request in scripted.requests} == {True}


def test_what_the_users_settings_allow_anyway_is_no_failure(cli: CommandLine) -> None:
    settings = Path(cli.home.env["HOME"]) / ".claude" / "settings.json"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text(json.dumps({"permissions": {"allow": ["Bash(touch:*)"]}}), encoding="utf-8")

    code, out, _ = demo(cli)

    assert code == 0
    assert "did not have to ask: your own settings of Claude Code allow that already" in out


def test_whoever_is_not_logged_in_is_told_so(cli: CommandLine, api: FakeApi, temporary: Path) -> None:
    del cli.home.env["ANTHROPIC_API_KEY"]

    code, _, err = demo(cli)

    assert code == 1
    assert err.count("Not logged in") == len(err.splitlines()) == 3
    assert api.requests == []
    assert left_behind(cli, temporary) == []


def test_an_interrupted_demo_leaves_nothing_either(cli: CommandLine, temporary: Path) -> None:
    process = cli.start("demo", "--claude", "--yes")
    while "it is allowed" not in cli.line(process, limit_s=LIMIT_S):
        pass

    process.send_signal(signal.SIGINT)

    _, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130, err
    wait_until(lambda: left_behind(cli, temporary) == [])
