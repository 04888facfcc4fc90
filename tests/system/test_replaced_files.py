"""A task may put a FIFO in the place of any file of its run: nobody waits at it, and no link is followed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from claude_recordings import INIT
from followed_runs import stage
from support import Home

from claudine_mcp.core.evidence import ExitRecord
from claudine_mcp.executors.local import RunDirectory
from claudine_mcp.host.files import open_regular, regular_bytes
from claudine_mcp.workloads.claude_follower import ClaudeFollower


def replace_by_fifo(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


async def test_the_output_of_a_run_is_not_waited_for(home: Home) -> None:
    async with stage(home, 2) as on:
        first, second = on.watchers
        replace_by_fifo(first.seen.path / "stdout.log")
        on.say(second, INIT)
        on.notes.read()
        on.now[0] += 1
        await on.notes.write()
        assert await on.model(second) == INIT["model"]
        assert await on.model(first) is None


def test_what_a_run_complained_of_is_not_waited_for(tmp_path: Path) -> None:
    replace_by_fifo(tmp_path / "stderr.log")
    follower = ClaudeFollower(None, 0.0, tmp_path)
    follower.finish()
    judgement = follower.judge(ExitRecord("keeper", 1, None, 1.0), stop_reason=None)
    assert judgement.outcome.value == "failed"


@pytest.mark.parametrize("what", ["fifo", "link", "folder"])
def test_records_of_a_keeper_are_believed_only_of_files(tmp_path: Path, what: str) -> None:
    (tmp_path / "other").write_text(json.dumps({"source": "keeper", "code": 0, "signal": None, "at": 1.0}))
    for name in ("exit", "keeper.log"):
        path = tmp_path / name
        match what:
            case "fifo":
                replace_by_fifo(path)
            case "link":
                path.symlink_to("other")
            case _:
                path.mkdir()
        assert regular_bytes(path) == 0
        with pytest.raises(FileNotFoundError, match="has taken the place"):
            os.close(open_regular(path))
    directory = RunDirectory(tmp_path)
    assert directory.exit() is None
    assert directory.keeper_log() == ""
