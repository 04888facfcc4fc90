"""The real Claude Code and the fake API that it talks to, for each test its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from claude_code import ClaudeCode, claude_code
from fake_api import FakeApi
from support import kill, processes_of, session_folder


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """The fake API, serving."""
    with FakeApi() as served:
        yield served


@pytest.fixture
def claude(claude_argv: list[str], api: FakeApi) -> Iterator[ClaudeCode]:
    """Claude Code in a folder of the test's own; whatever it started must be gone at the end."""
    folder = Path(tempfile.mkdtemp(dir=session_folder()))
    try:
        with claude_code(claude_argv, folder, api.url) as code:
            yield code
    finally:
        left = processes_of(folder)
        for pid in left:
            kill(pid)
        shutil.rmtree(folder)
    assert not left, f"processes were left running: {left}"
