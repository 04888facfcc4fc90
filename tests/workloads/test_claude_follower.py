"""A run of Claude Code, followed: what its supervisor asks of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from claudine_mcp.workloads.base import Fate
from claudine_mcp.workloads.claude_follower import ClaudeFollower

MESSAGE = "6f1ed002-ab5b-5595-9014-1c2b3a4d5e6f"


@pytest.mark.parametrize(
    ("steps", "fate"),
    [
        ([], None),
        (["queued"], Fate.WAITING),
        (["queued", "started"], Fate.READ),
        (["queued", "started", "completed"], Fate.READ),
        (["queued", "started", "cancelled"], Fate.READ),
        (["queued", "discarded"], Fate.LOST),
        (["refused"], Fate.LOST),
    ],
)
def test_what_became_of_a_message_is_what_was_said_of_it_last(
    tmp_path: Path, steps: list[str], fate: Fate | None
) -> None:
    follower = ClaudeFollower(None, 0.0, tmp_path)
    for step in ["queued", "started"]:
        follower.feed(lifecycle("another", step), 1.0)
    for step in steps:
        follower.feed(lifecycle(MESSAGE, step), 2.0)

    assert follower.fate_of(MESSAGE) is fate


def lifecycle(identifier: str, step: str) -> bytes:
    return (
        json.dumps({"type": "command_lifecycle", "command_uuid": identifier, "state": step}).encode() + b"\n"
    )
