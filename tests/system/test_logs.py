from __future__ import annotations

import ctypes
import errno
import os
import socket
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.terminal import show
from claudine_mcp.front.log_file import LogFile, open_log
from claudine_mcp.front.logs import LogPage, cursor_run, first_cursor, read_from, tail

MB = 2**20
PUNCH_HOLE = 0x02 | 0x01  # FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, linux/falloc.h

Paths = dict[str, Path]


@pytest.fixture
def paths() -> Iterator[Paths]:
    # Not tmp_path, which outlives the run: some of these files are big.
    with tempfile.TemporaryDirectory() as folder:
        yield {name: Path(folder, f"{name}.log") for name in ("stdout", "stderr")}


def texts(page: LogPage, stream: str = "stdout") -> list[str]:
    return [line.text for line in page.lines if line.stream == stream]


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def release_head(path: Path, size_bytes: int) -> None:
    with path.open("r+b") as file:
        libc = ctypes.CDLL(None, use_errno=True)
        if not hasattr(libc, "fallocate"):
            pytest.skip("this system has no fallocate")
        done = libc.fallocate(file.fileno(), PUNCH_HOLE, ctypes.c_long(0), ctypes.c_long(size_bytes))
        if done != 0 and ctypes.get_errno() == errno.EOPNOTSUPP:
            pytest.skip("this file system cannot release a part of a file")
        assert done == 0


def peak_bytes(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# The last lines


def test_no_file_is_no_output_yet(paths: Paths) -> None:
    page = tail(paths, 100, run=3)
    assert page == LogPage([], "3:stdout=0:stderr=0", truncated=False)
    assert page.next_cursor == first_cursor(paths, run=3)
    assert read_from(paths, page.next_cursor, 100, run=3) == page


def test_tail_gives_the_last_lines_of_each_stream(paths: Paths) -> None:
    append(paths["stdout"], b"".join(b"out %d\n" % n for n in range(10)))
    append(paths["stderr"], b"err 0\nerr 1\n")
    page = tail(paths, 3, run=1)
    assert texts(page) == ["out 7", "out 8", "out 9"]
    assert texts(page, "stderr") == ["err 0", "err 1"]
    assert page.truncated
    assert page.notes == ["stdout: 60 bytes in all; the last 3 lines are shown"]
    assert page.next_cursor == "1:stdout=60:stderr=12"


def test_a_file_that_is_shown_whole_is_not_truncated(paths: Paths) -> None:
    append(paths["stdout"], b"a\n\nb\n")
    page = tail(paths, 3, run=1)
    assert texts(page) == ["a", "", "b"]
    assert not page.truncated
    assert not page.notes


@pytest.mark.parametrize("budget_bytes", [1, 2, 7, 30, 31, 32, 65_536, 1_000_000])
@pytest.mark.parametrize("count", [0, 1, 2, 5, 100, 10**20])
def test_tail_is_the_end_of_the_file_however_small_the_window(
    paths: Paths, budget_bytes: int, count: int
) -> None:
    lines = ["one", "", "three", "four and more", "five"]
    append(paths["stdout"], "".join(f"{line}\n" for line in lines).encode())
    page = tail(paths, count, run=1, budget_bytes=budget_bytes)
    shown = texts(page)
    assert len(shown) <= min(count, 5)
    assert page.truncated == (shown != lines and count > 0)
    for text, line in zip(reversed(shown), reversed(lines), strict=False):
        mark, _, end = text.rpartition(" …")
        missing = len(line) - len(end)
        assert line.endswith(end)
        assert mark == (f"… [{missing} more byte{'s' * (missing > 1)}]" if missing else "")
    assert page.next_cursor == "1:stdout=30:stderr=0"


def test_a_last_line_without_newline_is_shown_and_given_again_once_it_is_whole(paths: Paths) -> None:
    append(paths["stdout"], b"whole\nPassword:")
    page = tail(paths, 2, run=1)
    assert texts(page) == ["whole", "Password:"]
    assert page.notes == ["stdout: the last line is not complete yet; the cursor gives it again once it is"]
    assert texts(read_from(paths, page.next_cursor, 9, run=1)) == []
    append(paths["stdout"], b" ****\n")
    assert texts(read_from(paths, page.next_cursor, 9, run=1)) == ["Password: ****"]

    append(paths["stdout"], b"half")
    assert texts(tail(paths, 2, run=1, partial=False)) == ["whole", "Password: ****"]
    ended = tail(paths, 1, run=1, ended=True)
    assert texts(ended) == ["half"]
    assert texts(read_from(paths, ended.next_cursor, 9, run=1, ended=True)) == []


def test_no_lines_is_the_cursor_that_follows_from_now_on(paths: Paths) -> None:
    append(paths["stdout"], b"old\nolder\nhalf")
    page = tail(paths, 0, run=1)
    assert (page.lines, page.notes, page.truncated) == ([], [], False)
    append(paths["stdout"], b" and half\n")
    assert texts(read_from(paths, page.next_cursor, 9, run=1)) == ["half and half"]


def test_a_line_longer_than_the_window_is_shown_from_its_end(paths: Paths) -> None:
    append(paths["stdout"], b"first\n" + b"x" * 1000 + b"end\nlast\n")
    page = tail(paths, 3, run=1, budget_bytes=100)
    assert texts(page) == ["… [909 more bytes] …" + "x" * 91 + "end", "last"]
    assert page.truncated
    assert page.notes == [
        "stdout: 1,015 bytes in all; the last 2 lines are shown",
        "stdout: 1 line is shortened",
    ]


def test_after_a_torn_last_line_the_cursor_goes_on_with_the_rest_of_it(paths: Paths) -> None:
    append(paths["stdout"], b"x" * 1000)
    page = tail(paths, 3, run=1, budget_bytes=100, partial=False)
    assert texts(page) == ["… [900 more bytes] …" + "x" * 100]
    append(paths["stdout"], b"rest\nnext\n")
    assert texts(read_from(paths, page.next_cursor, 9, run=1)) == ["… rest", "next"]


def test_when_tailing_the_newest_lines_fill_the_page_and_a_quiet_stream_keeps_its_lines(paths: Paths) -> None:
    append(paths["stdout"], b"".join(b"%0100d\n" % n for n in range(2000)))
    append(paths["stderr"], b"the reason\n")
    page = tail(paths, 2000, run=1)
    assert texts(page, "stderr") == ["the reason"]
    assert texts(page)[-1] == f"{1999:0100}"
    assert 50_000 < sum(len(line.text) + 32 for line in page.lines) <= 60_000
    count = len(texts(page))
    assert page.notes == [f"stdout: 202,000 bytes in all; the last {count} lines are shown"]


def test_characters_outside_ascii_count_for_what_they_cost(paths: Paths) -> None:
    append(paths["stdout"], ("漢" * 1000 + "\n").encode() * 50)
    page = tail(paths, 50, run=1)
    assert sum(len(line.text.encode()) for line in page.lines) <= 60_000


def test_a_page_too_small_for_a_line_still_has_one_of_each_stream(paths: Paths) -> None:
    for path in paths.values():
        append(path, b"x" * 500 + b"\n" + b"y" * 500 + b"\n")
    page = tail(paths, 2, run=1, budget_chars=10)
    assert [line.text for line in page.lines] == ["y" * 500] * 2
    page = read_from(paths, first_cursor(paths, run=1), 2, run=1, budget_chars=10)
    assert [line.text for line in page.lines] == ["x" * 500] * 2
    assert page.next_cursor == "1:stdout=501:stderr=501"


@pytest.mark.parametrize("raw", [False, True])
def test_what_is_shown_is_what_a_person_wants_or_everything(paths: Paths, raw: bool) -> None:
    printed = b" 10%\r\x1b[K 99%\r\n\x1b[31mred\x1b[m\n"
    append(paths["stdout"], printed)
    shown = [" 10%\\r\\x1b[K 99%\\r", "\\x1b[31mred\\x1b[m"] if raw else [" 99%", "red"]
    assert texts(tail(paths, 9, run=1, raw=raw)) == shown
    assert texts(read_from(paths, first_cursor(paths, run=1), 9, run=1, raw=raw)) == shown


# Reading on


def test_reading_on_gives_whole_lines_and_then_what_follows(paths: Paths) -> None:
    append(paths["stdout"], b"a\nb\nc\nd")
    page = read_from(paths, first_cursor(paths, run=1), 2, run=1)
    assert (texts(page), page.next_cursor, page.more, page.truncated) == (
        ["a", "b"],
        "1:stdout=4:stderr=0",
        True,
        True,
    )
    assert page.notes == ["stdout: 3 more bytes follow; read on with the cursor"]
    page = read_from(paths, page.next_cursor, 2, run=1)
    assert (texts(page), page.more, page.truncated, page.notes) == (["c"], False, False, [])
    assert texts(read_from(paths, page.next_cursor, 2, run=1)) == []
    page = read_from(paths, page.next_cursor, 2, run=1, ended=True)
    assert texts(page) == ["d"]
    assert page.next_cursor == "1:stdout=7:stderr=0"


def test_when_reading_on_the_oldest_lines_fill_the_page(paths: Paths) -> None:
    append(paths["stdout"], b"".join(b"%0100d\n" % n for n in range(2000)))
    append(paths["stderr"], b"".join(b"%0100d\n" % n for n in range(2000)))
    cursor, pages, seen = first_cursor(paths, run=1), 0, dict[str, list[str]](stdout=[], stderr=[])
    more = True
    while more:
        page = read_from(paths, cursor, 5000, run=1)
        assert sum(len(line.text) + 32 for line in page.lines) <= 60_000
        for stream in seen:
            seen[stream] += texts(page, stream)
        cursor, more, pages = page.next_cursor, page.more, pages + 1
        assert page.truncated == more
    assert seen == {stream: [f"{n:0100}" for n in range(2000)] for stream in paths}
    assert 8 < pages < 12


def test_a_very_long_line_comes_in_pieces_that_show_where_it_goes_on(paths: Paths) -> None:
    append(paths["stdout"], "abcdéfgh\nij".encode())
    page = read_from(paths, first_cursor(paths, run=1), 9, run=1, budget_bytes=5)
    assert texts(page) == ["abcd …", "… éfgh"]


def test_the_pieces_of_a_progress_bar_show_its_states(paths: Paths) -> None:
    append(paths["stdout"], b"".join(b"%3d%% of it\r" % n for n in range(101)) + b"\ndone\n")
    page = read_from(paths, first_cursor(paths, run=1), 99, run=1, budget_bytes=256)
    assert texts(page)[-2:] == ["… 100% of it", "done"]
    assert all(" of it" in text or len(text) < 16 for text in texts(page)[:-1])


def test_a_stream_that_is_not_asked_for_stays_where_it_is(paths: Paths) -> None:
    append(paths["stdout"], b"out\n")
    append(paths["stderr"], b"err\n")
    page = read_from({"stdout": paths["stdout"]}, first_cursor(paths, run=1), 9, run=1)
    assert page.next_cursor == "1:stdout=4:stderr=0"
    assert texts(read_from(paths, page.next_cursor, 9, run=1), "stderr") == ["err"]


FRAGMENTS = st.sampled_from(
    [
        b"a",
        b"bc\n",
        b"\n",
        b"\r",
        b"\r\n",
        b"\x1b[31m",
        b"\x1b]0;t\x07",
        b"\x1b",
        "é漢🎉".encode(),
        b"\xff",
        b"\0" * 9,
    ]
)
APPENDS = st.lists(st.lists(FRAGMENTS, max_size=12).map(b"".join), max_size=12)


@settings(max_examples=200)
@given(
    APPENDS, st.integers(1, 40), st.lists(st.integers(1, 5), min_size=1), st.integers(1, 400), st.booleans()
)
def test_any_sequence_of_appends_and_reads_gives_the_lines_of_one_read(
    appends: list[bytes], budget_bytes: int, counts: list[int], budget_chars: int, raw: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder, name) for name in ("stdout", "stderr")}
        start = first_cursor(paths, run=1)
        seen: dict[str, list[str]] = {"stdout": [], "stderr": []}
        cursor, reads = start, 0

        def read(*, ended: bool) -> bool:
            nonlocal cursor, reads
            count = counts[reads % len(counts)]
            page = read_from(
                paths,
                cursor,
                count,
                run=1,
                raw=raw,
                ended=ended,
                budget_bytes=budget_bytes,
                budget_chars=budget_chars,
            )
            for stream in seen:
                seen[stream] += texts(page, stream)
            cursor, reads = page.next_cursor, reads + 1
            return page.more

        for number, data in enumerate(appends):
            append(paths["stdout" if number % 3 else "stderr"], data)
            read(ended=False)
        while read(ended=True):
            pass
        assert not read(ended=True)

        whole = read_from(paths, start, 10**9, run=1, raw=raw, ended=True, budget_bytes=budget_bytes)
        assert seen == {stream: texts(whole, stream) for stream in seen}
        assert cursor == whole.next_cursor


@settings(max_examples=200)
@given(APPENDS, st.integers(1, 40), st.data())
def test_each_byte_is_in_exactly_one_piece(
    appends: list[bytes], longest_bytes: int, data: st.DataObject
) -> None:
    printed = b"".join(appends)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "stdout.log")
        append(path, printed)
        offset = data.draw(st.integers(0, len(printed)))
        with open_log(path) as log:
            pieces = list(log.pieces_from(offset, longest_bytes=longest_bytes, ended=True))
            for piece in pieces:
                assert piece.start == offset
                assert len(piece.raw) <= longest_bytes
                assert printed[offset : piece.end] == piece.raw + b"\n" * piece.has_newline
                offset = piece.end
            assert offset == len(printed)


def test_a_file_that_shrinks_while_it_is_read_just_ends(paths: Paths) -> None:
    append(paths["stdout"], b"a\n" * 100)
    with open_log(paths["stdout"]) as log:
        os.truncate(paths["stdout"], 5)
        assert [piece.raw for piece in log.pieces_from(0, longest_bytes=100, ended=False)] == [b"a", b"a"]


@settings(max_examples=200)
@given(APPENDS, st.integers(0, 8))
def test_tail_and_then_reading_on_leaves_nothing_out(appends: list[bytes], count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = {"stdout": Path(folder, "stdout.log")}
        append(paths["stdout"], b"".join(appends))
        page = tail(paths, count, run=1, partial=False)
        append(paths["stdout"], b"rest\nlast\n")
        after = read_from(paths, page.next_cursor, 99, run=1)
        lines = (b"".join(appends) + b"rest\nlast\n").split(b"\n")[:-1]
        expected = [show(line).text for line in lines]
        shown = texts(page) + texts(after)
        assert shown == expected[len(expected) - len(shown) :]
        assert len(texts(page)) == min(count, len(expected) - len(texts(after)))


# What must be refused


@pytest.mark.parametrize(
    "cursor",
    ["", "rubbish", "1", "1:stdout", "1:stdout=", "1:stdout=-1", "1:stdout=0:stdout=0", "1:stdout=0 ",
     "1:stdout=0\n", "one:stdout=0", "1:stdout=1" + "0" * 30, "\u0661:stdout=0", "1:stdout=0" * 1000,
     "1:STDOUT=0", "1::=0"],
)  # fmt: skip
def test_rubbish_is_no_cursor(paths: Paths, cursor: str) -> None:
    with pytest.raises(InvalidInput, match="is not a cursor of a log") as caught:
        read_from({"stdout": paths["stdout"]}, cursor, 10, run=1)
    assert caught.value.field == "cursor"
    assert len(str(caught.value)) < 200
    with pytest.raises(InvalidInput):
        cursor_run(cursor)


def test_a_cursor_of_something_else_is_refused(paths: Paths) -> None:
    append(paths["stdout"], b"four")
    for cursor, problem in {
        "1:stdout=5:stderr=0": "it stands at byte 5 of stdout, which has 4",
        "1:stdout=0:stderr=1": "it stands at byte 1 of stderr, which has 0",
        "2:stdout=0:stderr=0": "it belongs to run 2, not to run 1",
        "1:stdout=0": "it says nothing of stderr",
        "1:other=0": "it says nothing of stderr and stdout",
    }.items():
        with pytest.raises(InvalidInput, match=problem) as caught:
            read_from(paths, cursor, 10, run=1)
        assert caught.value.field == "cursor"
    assert cursor_run("2:stdout=0:stderr=0") == 2


def test_a_number_of_lines_that_makes_no_sense_is_refused(paths: Paths) -> None:
    with pytest.raises(InvalidInput, match="lines: -1 is negative"):
        tail(paths, -1, run=1)
    with pytest.raises(InvalidInput, match="lines: 0 is too few"):
        read_from(paths, first_cursor(paths, run=1), 0, run=1)


@pytest.mark.parametrize("kind", ["fifo", "symlink", "dangling symlink", "directory", "socket"])
def test_only_a_regular_file_is_read(paths: Paths, kind: str) -> None:
    path = paths["stderr"]
    server = socket.socket(socket.AF_UNIX)
    append(paths["stdout"], b"fine\n")
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "symlink":
            path.symlink_to(paths["stdout"])
        case "dangling symlink":
            path.symlink_to("nowhere")
        case "directory":
            path.mkdir()
        case _:
            server.bind(str(path))
    with server:
        with pytest.raises(InvalidInput, match=r"stderr.log is not a regular file"):
            tail(paths, 10, run=1)
        with pytest.raises(InvalidInput, match=r"stderr.log is not a regular file"):
            read_from(paths, first_cursor(paths, run=1), 10, run=1)


def test_a_file_that_cannot_be_read_says_so(paths: Paths) -> None:
    paths["stdout"] = paths["stdout"].with_name("n" * 300)
    with pytest.raises(OSError, match="too long"):
        tail(paths, 10, run=1)
    paths["stdout"] = paths["stderr"] / "stdout.log"
    append(paths["stderr"], b"x\n")
    assert tail(paths, 10, run=1).next_cursor == "1:stdout=0:stderr=2"


def test_no_descriptor_stays_open(paths: Paths) -> None:
    append(paths["stdout"], b"x\n" * 10)
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(20):
        tail(paths, 3, run=1)
        read_from(paths, first_cursor(paths, run=1), 3, run=1)
    assert len(list(Path("/dev/fd").iterdir())) == before


# Heads that were released


def test_a_released_head_is_skipped_and_reported(paths: Paths) -> None:
    lines = [f"line {n:04}" for n in range(2000)]  # ten bytes each
    append(paths["stdout"], "".join(f"{line}\n" for line in lines).encode())
    release_head(paths["stdout"], 10_000)
    note = "stdout: the first 10,000 bytes were released (limits.maxLogBytes)"
    page = tail(paths, 5000, run=1, budget_chars=10**6)
    assert texts(page) == lines[1000:]
    assert page.notes == ["stdout: 20,000 bytes in all; the last 1,000 lines are shown", note]
    assert page.truncated

    for offset in (0, 5, 9000, 9999):
        page = read_from(paths, f"1:stdout={offset}:stderr=0", 5, run=1)
        assert texts(page) == lines[1000:1005]
        assert note in page.notes
    page = read_from(paths, "1:stdout=10000:stderr=0", 1500, run=1, budget_chars=10**6)
    assert (texts(page), page.notes, page.truncated) == (lines[1000:], [], False)
    assert tail(paths, 10, run=1).notes == ["stdout: 20,000 bytes in all; the last 10 lines are shown"]


def test_what_goes_while_it_is_read_is_told_of_and_never_shown_as_nuls(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(paths["stdout"], "".join(f"line {n:04}\n" for n in range(2000)).encode())
    pieces_from = LogFile.pieces_from

    def late(self: LogFile, offset: int, **options: Any) -> Any:
        release_head(paths["stdout"], 10_000)
        return pieces_from(self, offset, **options)

    monkeypatch.setattr(LogFile, "pieces_from", late)
    page = read_from(paths, first_cursor(paths, run=1), 2, run=1)
    assert texts(page) == ["line 1000", "line 1001"]
    assert "stdout: the first 10,000 bytes were released (limits.maxLogBytes)" in page.notes


def test_a_log_released_to_its_end_has_nothing_to_show(paths: Paths) -> None:
    append(paths["stdout"], b"line\n" * 4096)
    release_head(paths["stdout"], 5 * 4096)
    note = "stdout: the first 20,480 bytes were released (limits.maxLogBytes)"
    assert tail(paths, 10, run=1) == LogPage([], "1:stdout=20480:stderr=0", truncated=True, notes=[note])
    page = read_from(paths, first_cursor(paths, run=1), 10, run=1)
    assert page == LogPage([], "1:stdout=20480:stderr=0", truncated=True, notes=[note])
    append(paths["stdout"], b"new\n")
    assert texts(read_from(paths, page.next_cursor, 10, run=1)) == ["new"]


def test_nuls_that_were_printed_are_not_a_released_head(paths: Paths) -> None:
    append(paths["stdout"], bytes(5000) + b"text\n")
    page = read_from(paths, first_cursor(paths, run=1), 10, run=1)
    assert (texts(page), page.notes) == (["[5,000 NULs]text"], [])


def test_a_line_whose_beginning_was_released_counts_from_there(paths: Paths) -> None:
    append(paths["stdout"], b"x" * 20_000 + b"\n")
    release_head(paths["stdout"], 8192)
    page = tail(paths, 1, run=1, budget_bytes=100)
    assert texts(page)[0].startswith("… [11,709 more bytes] …xxx")
    assert "stdout: the first 8,192 bytes were released (limits.maxLogBytes)" in page.notes


# What would not fit into memory


@pytest.mark.parametrize("beginning", [b"", b"the first line\n"], ids=["released", "with a hole"])
def test_two_gigabytes_cost_no_more_than_what_is_shown(paths: Paths, beginning: bytes) -> None:
    append(paths["stdout"], beginning)
    os.truncate(paths["stdout"], 2**31)
    append(paths["stdout"], b"\n" + b"".join(b"line %d\n" % n for n in range(1000)))
    size_bytes = paths["stdout"].stat().st_size
    cursor = f"1:stdout={2**31 + 1}:stderr=0"

    def work() -> None:
        page = tail(paths, 100, run=1)
        assert texts(page) == [f"line {n}" for n in range(900, 1000)]
        assert page.notes == [f"stdout: {size_bytes:,} bytes in all; the last 100 lines are shown"]
        assert texts(read_from(paths, cursor, 2, run=1)) == ["line 0", "line 1"]
        assert tail(paths, 10**9, run=1).truncated
        page = read_from(paths, first_cursor(paths, run=1), 20, run=1)
        assert texts(page)[0] == ("the first line" if beginning else "")
        assert page.more

    assert peak_bytes(work) < 20 * MB


@pytest.mark.parametrize(
    "unit", [b"x", b"\0", b"\xff\x01", b"50%\r", b"\x1b[31m", b"\x1b]0;", "漢".encode(), b"a\b"], ids=repr
)
def test_a_line_of_a_hundred_megabytes_costs_no_more_than_what_is_shown(paths: Paths, unit: bytes) -> None:
    block = unit * (MB // len(unit))
    with paths["stdout"].open("wb") as file:
        file.write(b"before\n")
        for _ in range(100):
            file.write(block)
        file.write(b"the end\nafter\n")

    def work() -> None:
        for raw in (False, True):
            page = tail(paths, 10, run=1, raw=raw)
            assert texts(page)[-1] == "after"
            assert len(page.lines) == 2
            assert sum(len(line.text) for line in page.lines) < 3000
            page = read_from(paths, first_cursor(paths, run=1), 3, run=1, raw=raw)
            assert page.more
            assert texts(page)[0] == "before"
            assert sum(len(line.text) for line in page.lines) <= 60_000

    assert peak_bytes(work) < 20 * MB


def test_a_hundred_megabytes_of_one_line_can_be_read_to_its_end(paths: Paths) -> None:
    with paths["stdout"].open("wb") as file:
        for _ in range(100):
            file.write(b"x" * MB)
        file.write(b"\nafter\n")
    cursor, pages, last = first_cursor(paths, run=1), 0, ""
    more = True
    while more:
        page = read_from(paths, cursor, 1000, run=1)
        cursor, more, pages, last = page.next_cursor, page.more, pages + 1, page.lines[-1].text
    assert last == "after"
    assert pages < 40


def test_only_the_nearest_megabytes_are_searched_for_the_start_of_a_line(paths: Paths) -> None:
    append(paths["stdout"], b"x" * (6 * MB))
    assert texts(tail(paths, 1, run=1))[0].startswith("… [at least 4,")
