from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claudine_mcp.core.progress.model import PHASE_CHARS, Progress
from claudine_mcp.core.progress.report import Report, read_report


def told(percent: float, phase: str | None = None, *, is_of_phase: bool = False) -> Progress:
    return Progress("file", percent, phase=phase, is_of_phase=is_of_phase)


@pytest.mark.parametrize(
    ("text", "progress"),
    [
        ("40 building\n", told(40, "building")),
        ("40\n", told(40)),
        ("40", told(40)),
        ("0 getting ready\n", told(0, "getting ready")),
        ("40% building\n", told(40, "building")),
        ("  33.3   building  \n", told(33.3, "building")),
        ("10 a\n20 b\n\n\n", told(20, "b")),
        ("10 a\r\n20 b\r\n", told(20, "b")),
        ("100 done\n", told(100, "done", is_of_phase=True)),
        ("40 \x1b[31mred\x1b[0m\n", told(40, "\\x1b[31mred\\x1b[0m")),
        ("50 " + "x" * 500, told(50, "x" * PHASE_CHARS)),
    ],
)
def test_the_last_line_says_how_far_it_is(text: str, progress: Progress) -> None:
    assert read_report(text.encode()) == Report(progress, None)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("140 building", '"140 building" was ignored: 140 is not between 0 and 100'),
        ("-1", '"-1" was ignored: -1 is not between 0 and 100'),
        (
            "building",
            '"building" was ignored: a line is a percentage and what is being done, like: 40 building',
        ),
        (
            "40building",
            '"40building" was ignored: a line is a percentage and what is being done, like: 40 building',
        ),
        ("nan", '"nan" was ignored: a line is a percentage and what is being done, like: 40 building'),
        ("1e99", '"1e99" was ignored: a line is a percentage and what is being done, like: 40 building'),
        (
            "\x1b[2J",
            '"\\x1b[2J" was ignored: a line is a percentage and what is being done, like: 40 building',
        ),
    ],
)
def test_a_bad_line_is_ignored_and_said_to_be(line: str, problem: str) -> None:
    assert read_report(f"{line}\n".encode()) == Report(None, problem)
    assert read_report(f"30 before\n{line}\n".encode()) == Report(told(30, "before"), problem)
    assert read_report(f"{line}\n50 after\n".encode()) == Report(told(50, "after"), None)


def test_the_first_line_of_a_tail_is_not_believed() -> None:
    assert read_report(b"0 late\n", is_tail=True) == Report(None, None)
    assert read_report(b"0 late\n60 later\n", is_tail=True) == Report(told(60, "later"), None)


def test_an_empty_file_says_nothing() -> None:
    assert read_report(b"") == read_report(b"\n \n") == Report(None, None)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_percentage_or_a_reason(data: bytes) -> None:
    progress, problem = read_report(data)
    if progress is not None:
        assert progress.percent is not None
        assert 0 <= progress.percent <= 100
        assert progress.phase is None or progress.phase.isprintable()
    assert problem is None or problem.isprintable()
