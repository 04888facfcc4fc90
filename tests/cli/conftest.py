"""The command line for each test, and the end of what it has started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from commandline import CommandLine
from support import Home

STAND_IN = r"""#!/bin/sh
if [ "$1" = --version ]; then echo "2.1.328 (Claude Code)"; exit; fi
printf '%s\n' "$@" > arguments
for word; do
  [ "$flag" = --session-id ] && touch "$CLAUDE_CONFIG_DIR/projects/p/$word.jsonl"
  flag=$word
done
read -r line
printf '%s\n' "$line" > message
cat <<'END'
{"type":"system","subtype":"init","session_id":"s","model":"a-model","cwd":".","tools":[]}
{"type":"assistant","message":{"id":"m","role":"assistant","content":[{"type":"text","text":"first line"}]}}
{"type":"result","subtype":"success","is_error":false,"result":"first line\nsecond line","total_cost_usd":0.25}
END
cat > /dev/null
"""
"""Notes its arguments and the prompt, keeps a transcript, answers once, and ends with its input."""


@pytest.fixture
def cli(home: Home) -> Iterator[CommandLine]:
    line = CommandLine(home)
    yield line
    line.end()


@pytest.fixture
def claude(cli: CommandLine) -> Path:
    """The stand-in, as the configured Claude Code."""
    path = cli.home.folder / "claude"
    path.write_text(STAND_IN, encoding="ascii")
    path.chmod(0o755)
    kept = cli.home.folder / "claude-config"
    (kept / "projects" / "p").mkdir(parents=True)
    cli.home.env["CLAUDE_CONFIG_DIR"] = str(kept)
    cli.home.configure(claude={"command": str(path)})
    return path
