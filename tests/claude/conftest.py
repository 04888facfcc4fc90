"""The real Claude Code and the fake API that it talks to, for each test its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from claude_code import ClaudeCode, claude_env
from commandline import CommandLine
from fake_api import FakeApi
from support import Home


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """The fake API, serving."""
    with FakeApi() as served:
        yield served


@pytest.fixture
def claude(claude_argv: list[str], home: Home, api: FakeApi) -> Iterator[ClaudeCode]:
    """Claude Code in the folder of `home`, where nothing may be left running."""
    code = ClaudeCode(claude_argv, claude_env(home.folder, api.url), home.work, home.folder)
    try:
        yield code
    finally:
        code.end()


@pytest.fixture
def claude_home(home: Home, claude: ClaudeCode) -> Home:
    """A state directory whose clients have Claude Code's environment, and whose tasks start that Claude Code."""
    home.env = claude.env | {name: home.env[name] for name in ("CLAUDINE_HOME", "CLAUDINE_CONFIG")}
    # A failure of the API is an end here; test_requeue.py is about what happens otherwise.
    home.configure(claude={"command": claude.argv[0], "maxResumes": 0})
    return home


@pytest.fixture
def cli(claude_home: Home) -> Iterator[CommandLine]:
    """The command line in that state directory, and the end of what it has started."""
    line = CommandLine(claude_home)
    yield line
    line.end()
