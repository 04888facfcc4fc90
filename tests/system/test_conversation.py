"""The conversation of a delegated run, page by page, whatever the lines of its output are like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from claude_recordings import answers, asks, line

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.front.conversation import BUDGET_CHARS, PIECE_BYTES, WINDOW_BYTES, words
from claudine_mcp.front.log_file import LogFile
from claudine_mcp.front.logs import LogPage
from claudine_mcp.host.holes import can_release, release_head
from claudine_mcp.workloads.claude_stream import RESULT_BYTES


def says(text: str) -> bytes:
    return line(asks({"type": "text", "text": text}))


def long_line(size: int) -> bytes:
    """A tool's answer of about this size, as of a picture that was read."""
    return line(answers("t1", "x" * size))


def log(tmp_path: Path, *lines: bytes) -> Path:
    path = tmp_path / "stdout.log"
    path.write_bytes(b"".join(lines))
    return path


def texts(page: LogPage) -> list[str]:
    return [line.text for line in page.lines]


def read_on(path: Path, cursor: str, *, ended: bool = False, lines: int = 100) -> tuple[list[str], str]:
    """Read page after page for as long as there is more at once; give all of it, and the last cursor."""
    found: list[str] = []
    for _ in range(1000):
        page = words(path, cursor, lines, run=1, ended=ended)
        found += texts(page)
        if not page.more:
            return found, page.next_cursor
        assert page.next_cursor != cursor, "it would be asked for the same for ever"
        cursor = page.next_cursor
    raise AssertionError("there is no end to it")


@pytest.mark.parametrize("size", [10, PIECE_BYTES, 3 * PIECE_BYTES, 5 * WINDOW_BYTES])
def test_a_line_of_any_length_is_passed_on_the_way_to_the_end(tmp_path: Path, size: int) -> None:
    path = log(tmp_path, says("before"), long_line(size), says("after"))
    found, cursor = read_on(path, "1:stdout=0")
    assert [found[0], found[-1]] == ["⏺ before", "⏺ after"]
    assert len(found) == 3
    assert cursor == f"1:stdout={path.stat().st_size}"


def test_what_was_released_is_told_of_and_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not can_release(tmp_path):
        pytest.skip("this file system cannot release a part of a file")
    path = log(tmp_path, *[says(f"word {number:04}") for number in range(200)])
    begin = len(says("word 0000")) * 100
    note = f"the first {begin:,} bytes were released (limits.maxLogBytes)"
    pieces_from = LogFile.pieces_from

    def late(self: LogFile, offset: int, **options: Any) -> Any:
        release_head(path, begin)
        return pieces_from(self, offset, **options)

    with monkeypatch.context() as patch:
        patch.setattr(LogFile, "pieces_from", late)
        page = words(path, "1:stdout=0", 2, run=1, ended=True)
    assert texts(page) == ["⏺ word 0100", "⏺ word 0101"]
    assert page.notes == [note]
    assert page.truncated
    later = words(path, page.next_cursor, 1, run=1, ended=True)
    assert (texts(later), later.notes) == (["⏺ word 0102"], [])
    last = words(path, None, 1000, run=1, ended=True)
    assert (len(last.lines), last.notes, last.truncated) == (100, [note], True)


def test_a_line_that_is_too_long_to_be_read_is_named_and_passed(tmp_path: Path) -> None:
    path = log(tmp_path, says("before"), long_line(RESULT_BYTES + 1000), says("after"))
    found, _ = read_on(path, "1:stdout=0")
    assert (found[0], found[-1]) == ("⏺ before", "⏺ after")
    assert "too long to be read" in found[1]
    assert len(found) == 3


def test_a_page_ends_before_what_has_no_room_on_it(tmp_path: Path) -> None:
    path = log(tmp_path, *[says(f"{n} " + "y" * (BUDGET_CHARS // 40)) for n in range(100)])
    found, _ = read_on(path, "1:stdout=0")
    assert [text.split()[1] for text in found] == [str(n) for n in range(100)]
    few, _ = read_on(path, "1:stdout=0", lines=3)
    assert few == found


def test_a_line_that_is_still_written_is_told_when_it_is_whole(tmp_path: Path) -> None:
    whole = says("after")
    path = log(tmp_path, says("before"), whole[:20])
    page = words(path, None, 10, run=1, ended=False)
    assert (texts(page), page.more) == (["⏺ before"], False)
    assert read_on(path, page.next_cursor) == ([], page.next_cursor)
    path.write_bytes(path.read_bytes() + whole[20:])
    assert read_on(path, page.next_cursor)[0] == ["⏺ after"]


def test_of_a_run_that_has_ended_a_torn_line_is_told_too(tmp_path: Path) -> None:
    path = log(tmp_path, says("before"), says("after").rstrip(b"\n"), b'\n{"type":"assis')
    page = words(path, None, 10, run=1, ended=True)
    assert texts(page) == ["⏺ before", "⏺ after", "[14 bytes that could not be read]"]
    assert read_on(path, "1:stdout=0", ended=True)[0] == texts(page)
    assert read_on(path, page.next_cursor, ended=True)[0] == []


@pytest.mark.parametrize("size", [WINDOW_BYTES - 3000, WINDOW_BYTES, WINDOW_BYTES + WINDOW_BYTES // 2])
def test_the_last_lines_are_there_though_one_is_longer_than_what_is_looked_at(
    tmp_path: Path, size: int
) -> None:
    long = says("z" * size)
    path = log(tmp_path, says("before"), long)
    page = words(path, None, 1, run=1, ended=False)
    assert texts(page)[0].startswith("⏺ zzzz")
    assert page.next_cursor == f"1:stdout={path.stat().st_size}"
    path = log(tmp_path, says("before"), long[:-1])
    page = words(path, None, 5, run=1, ended=False)
    path = log(tmp_path, says("before"), long)
    assert read_on(path, page.next_cursor)[0][-1].startswith("⏺ zzzz")


def test_only_the_end_is_shown_and_said_to_be(tmp_path: Path) -> None:
    path = log(tmp_path, *[says(f"line {n}") for n in range(50)])
    page = words(path, None, 3, run=1, ended=True)
    assert (texts(page), page.truncated) == (["⏺ line 47", "⏺ line 48", "⏺ line 49"], True)
    assert words(path, None, 50, run=1, ended=True).truncated is False
    assert texts(words(path, None, 0, run=1, ended=True)) == []


@pytest.mark.parametrize(
    "cursor", ["", "x", "2:stdout=0", "1:stderr=0", "1:stdout=-1", f"1:stdout={'9' * 5000}", "1:stdout=9999"]
)
def test_a_cursor_of_something_else_is_refused(tmp_path: Path, cursor: str) -> None:
    with pytest.raises(InvalidInput, match="cursor"):
        words(log(tmp_path, says("before")), cursor, 10, run=1, ended=True)


def test_what_is_not_there_yet_is_an_empty_page(tmp_path: Path) -> None:
    page = words(tmp_path / "stdout.log", None, 10, run=1, ended=False)
    assert (page.lines, page.next_cursor) == ([], "1:stdout=0")
    assert words(tmp_path / "stdout.log", page.next_cursor, 10, run=1, ended=False) == page
