"""What becomes of the messages that a run is sent, as far as its output tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from claude_recordings import INIT, RESULT, asks, known, line

from claudine_mcp.workloads.claude_follower import ClaudeFollower
from claudine_mcp.workloads.claude_state import MAX_MESSAGES


def fate(identifier: str, step: str) -> dict[str, Any]:
    return {"type": "command_lifecycle", "command_uuid": identifier, "state": step, "session_id": "s-1"}


def follower(tmp_path: Path, *said: dict[str, Any]) -> ClaudeFollower:
    made = ClaudeFollower(None, 0.0, tmp_path)
    made.feed(b"".join(map(line, said)), 0.0)
    return made


@pytest.mark.parametrize(
    ("steps", "has_arrived", "is_unread"),
    [
        ([], False, False),
        (["queued"], True, True),
        (["queued", "started"], True, False),
        (["queued", "started", "completed"], True, False),
        (["queued", "started", "cancelled"], True, False),
        (["queued", "started", "queued"], True, True),
        (["queued", "discarded"], False, True),
        (["refused"], False, True),
    ],
)
def test_a_message_has_arrived_when_it_is_queued_and_is_read_when_it_is_started(
    tmp_path: Path, steps: list[str], has_arrived: bool, is_unread: bool
) -> None:
    run = follower(tmp_path, INIT, *(fate("u-1", step) for step in steps))
    assert (run.has_message("u-1"), run.is_unread("u-1")) == (has_arrived, is_unread)
    assert not run.has_message("u-2")


def test_a_version_that_only_repeats_its_messages_is_understood(tmp_path: Path) -> None:
    message = {"role": "user", "content": "hello"}
    said = {"type": "user", "message": message, "uuid": "u-1", "isReplay": True}
    run = follower(tmp_path, INIT, said)
    assert (run.has_message("u-1"), run.is_unread("u-1")) == (True, False)
    assert not follower(tmp_path, INIT, {**said, "isReplay": False}).has_message("u-1")


def test_of_too_many_messages_those_are_forgotten_last_that_wait() -> None:
    read = [fate(f"read-{n}", "completed") for n in range(2 * MAX_MESSAGES)]
    state = known(INIT, fate("first", "queued"), *read)
    assert len(state.messages) == MAX_MESSAGES
    assert state.messages["first"] == "queued"
    waiting = [fate(f"waiting-{n}", "queued") for n in range(2 * MAX_MESSAGES)]
    assert len(known(INIT, *waiting).messages) == MAX_MESSAGES


def test_messages_come_after_the_first_word_that_it_says_of_its_session(tmp_path: Path) -> None:
    run = follower(tmp_path)
    run.feed(b"a warning of some wrapper\n", 0.0)
    assert not run.takes_messages()
    run.feed(line(fate("u-1", "queued")), 0.0)
    assert run.takes_messages()


def test_that_the_model_has_answered_is_remembered_in_later_runs(tmp_path: Path) -> None:
    assert "answered" not in follower(tmp_path, INIT).seen()
    failed = {**asks(), "is_api_error_message": True, "error": "overloaded"}
    assert "answered" not in follower(tmp_path, INIT, failed, {**RESULT, "is_error": True}).seen()
    assert follower(tmp_path, INIT, asks()).seen()["answered"]
    assert ClaudeFollower(None, 0.0, tmp_path, had_answered=True).seen()["answered"]
