"""What becomes of the messages that a run is sent, as far as its output tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from claude_recordings import INIT, RESULT, asks, known, line

from claudine_mcp.workloads.base import Fate
from claudine_mcp.workloads.claude_follower import ClaudeFollower
from claudine_mcp.workloads.claude_state import MAX_MESSAGES


def lifecycle(identifier: str, step: str) -> dict[str, Any]:
    return {"type": "command_lifecycle", "command_uuid": identifier, "state": step, "session_id": "s-1"}


def follower(tmp_path: Path, *said: dict[str, Any]) -> ClaudeFollower:
    made = ClaudeFollower(None, 0.0, tmp_path)
    made.feed(b"".join(map(line, said)), 0.0)
    return made


def test_a_version_that_only_repeats_its_messages_is_understood(tmp_path: Path) -> None:
    message = {"role": "user", "content": "hello"}
    said = {"type": "user", "message": message, "uuid": "u-1", "isReplay": True}
    run = follower(tmp_path, INIT, said)
    assert run.fate_of("u-1") is Fate.READ
    assert follower(tmp_path, INIT, {**said, "isReplay": False}).fate_of("u-1") is None


def test_a_message_that_an_interrupt_has_put_back_waits_again(tmp_path: Path) -> None:
    steps = [lifecycle("u-1", step) for step in ("queued", "started", "queued")]
    assert follower(tmp_path, INIT, *steps).fate_of("u-1") is Fate.WAITING


def test_of_too_many_messages_those_are_forgotten_last_that_wait() -> None:
    read = [lifecycle(f"read-{n}", "completed") for n in range(2 * MAX_MESSAGES)]
    state = known(INIT, lifecycle("first", "queued"), *read)
    assert len(state.messages) == MAX_MESSAGES
    assert state.messages["first"] == "queued"
    waiting = [lifecycle(f"waiting-{n}", "queued") for n in range(2 * MAX_MESSAGES)]
    assert len(known(INIT, *waiting).messages) == MAX_MESSAGES


def test_messages_come_after_the_first_word_that_it_says_of_its_session(tmp_path: Path) -> None:
    run = follower(tmp_path)
    run.feed(b"a warning of some wrapper\n", 0.0)
    assert not run.takes_messages()
    run.feed(line(lifecycle("u-1", "queued")), 0.0)
    assert run.takes_messages()


def test_that_the_model_has_answered_is_remembered_in_later_runs(tmp_path: Path) -> None:
    assert "answered" not in follower(tmp_path, INIT).seen()
    failed = {**asks(), "is_api_error_message": True, "error": "overloaded"}
    assert "answered" not in follower(tmp_path, INIT, failed, {**RESULT, "is_error": True}).seen()
    assert follower(tmp_path, INIT, asks()).seen()["answered"]
    assert ClaudeFollower(None, 0.0, tmp_path, had_answered=True).seen()["answered"]
