"""What a delegated run wants to do, as a person reads it before allowing it."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from claudine_mcp.cli import asking, console
from claudine_mcp.cli.delegated import INPUT_CHARS, question_fields
from claudine_mcp.core.units import format_time
from claudine_mcp.front.views import QuestionView


def question(summary: str = "Bash (true)", **given: str) -> QuestionView:
    until = format_time(time.time() + 60)
    return QuestionView(
        alert_id=12, tool="Bash", summary=summary, input=given, since=format_time(time.time()), until=until
    )


def test_neither_the_names_nor_the_values_of_its_input_can_rewrite_what_is_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = question(**{"x\x1b[2K\ranswer": "a\x1b[2Kb\r", "n" * 500: "long"})
    console.fields(question_fields(asked))
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\r" not in shown
    assert "x\\x1b[2K\\ranswer" in shown
    assert max(map(len, shown.splitlines())) < 200


def test_of_a_long_command_both_ends_are_shown_and_what_is_missing_is_counted() -> None:
    short = dict(question_fields(question(command="true; " * 2000 + "rm -rf ~")))
    assert short["  command"] == "true; " * 2000 + "rm -rf ~"
    long = dict(question_fields(question(command="true; " * INPUT_CHARS + "rm -rf ~")))["  command"]
    assert long is not None
    assert len(long) < INPUT_CHARS + 100
    assert long.startswith("true; ")
    assert long.endswith("rm -rf ~")


async def test_a_command_that_names_a_tool_of_ours_is_told_as_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask_once(_front: object, _ids: object, tell: Callable[[object, QuestionView], None]) -> None:
        tell(SimpleNamespace(id="t1"), question("Bash (grep -r TaskLogs src\x1b[2K)"))

    monkeypatch.setattr(asking, "follow_questions", ask_once)
    await asking.tell_questions(None, ["t1"])()  # pyright: ignore[reportArgumentType]
    told = capsys.readouterr().err
    assert "Bash (grep -r TaskLogs src\\x1b[2K)" in told
    assert "claudine-mcp answer 12 allow" in told
