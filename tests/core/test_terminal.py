from __future__ import annotations

import tracemalloc
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from claudine_mcp.core.terminal import after_return, render_line, safe_cut, show

ESC = b"\x1b"
TABLE = [
    # what was printed, what is shown
    (b"plain text\n", "plain text"),
    (b"", ""),
    (b"\n", ""),
    (b"windows\r\n", "windows"),
    (b"windows twice\r\r\n", "windows twice"),
    (b"a\tb", "a\tb"),
    ("naïve, 漢字 🎉".encode(), "naïve, 漢字 🎉"),
    # returning, and writing over what was there
    (b" 10%\r 50%\r100%", "100%"),
    (b" 10%\r 50%\r100%\r\n", "100%"),
    (b"Downloading\rDone", "Doneloading"),
    (b"Downloading\r\x1b[KDone", "Done"),
    (b"Downloading\x1b[2K\rDone", "Done"),
    (b"Downloading\r           \rDone", "Done"),
    (b"Downloading\x1b[1G\x1b[0KDone", "Done"),
    (b"abcdef\x1b[4D\x1b[1K", "   def"),
    (b"abc\x1b[2Kx", "   x"),
    (b"abcdef\x1b[1K\rxy\x1b[1Kz", "  z"),
    (b"caf\xe9s\rC", "Caf\\xe9s"),
    (b"old screen\x1b[2J\x1b[Hnew", "new"),
    (b"\x1b[12;5Hx", "    x"),
    (b"a\x1b[3Cb", "a   b"),
    (b"a\x1b[999999Cb", "ab"),
    (b"a\x1b[9999Cb", "a" + " " * 255 + "b"),
    (b"a\tb\rc", "c       b"),
    (b"a\tb\x1b[Kc\r", "a       bc"),
    # backspace
    (b"spin |\b/\b-\b\\\b done", "spin  done"),
    (b"\b\b\bx", "x"),
    (b"_\bU_\bN", "UN"),
    # what only speaks to a terminal
    (b"\x1b[1;31merror:\x1b[0m no", "error: no"),
    (b"\x1b[38:2::255:0:0mred\x1b[m", "red"),
    (b"\x1b[?25lhidden\x1b[?25h", "hidden"),
    (b"\x1b]0;title\x07text", "text"),
    (b"\x1b]8;;http://x/\x1b\\link\x1b]8;;\x1b\\", "link"),
    (b"\x1bPq#0;2;0;0;0~~@@\x1b\\picture", "picture"),
    (b"\x1b_apc\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\x", "x"),
    (b"\x1b(B\x1b)0\x1b=\x1b7text\x1b8\x1bM", "text"),
    (b"ding\x07\x0e\x0f", "ding"),
    # torn
    (b"text\x1b", "text"),
    (b"text\x1b[", "text"),
    (b"text\x1b[1;3", "text"),
    (b"text\x1b]0;tit", "text0;tit"),
    (b"\x1b\x1b[m[31mtext", "[31mtext"),
    (b"\x82\xactext", "\\x82\\xactext"),
    (b"text\xe2\x82", "text\\xe2\\x82"),
    # what cannot be shown
    (b"a\x01b\x7f", "a\\x01b\\x7f"),
    (b"two\nlines", "two\\nlines"),
    (b"a\x00b", "a\\x00b"),
    (b"\x00" * 5000 + b"text", "[5,000 NULs]text"),
    (b"caf\xe9", "caf\\xe9"),
    (b"8-bit \x9b31m and \xc2\x9b31m", "8-bit \\x9b31m and \\x9b31m"),
    (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
    ("if \u202etpyrc\u2066 \u2028".encode(), "if \\u202etpyrc\\u2066 \\u2028"),
    ("\U000e0041".encode(), "\\U000e0041"),
    (bytes(range(256)) * 16, "[binary, 4,096 bytes]"),
    ("some UTF-16, as Windows has it".encode("utf-16"), "[binary, 62 bytes]"),
]

# Building blocks that meet each other in unlikely ways, and rubbish.
FRAGMENTS = st.sampled_from(
    [b"a", b"bcd", b"\r", b"\b", b"\t", b"\n", b"\0", b"\0" * 9, b"\xff", b"\xe2\x82\xac", b"\xc2\x9b", ESC]
    + [
        ESC + tail
        for tail in (b"[", b"]", b"P", b"[K", b"[1K", b"[2K", b"[2J", b"[3C", b"[2D", b"[5G", b"[9;", b"\\")
    ]
    + [b"\x07", b"[31m", b"1;2", b"\x1b[0m", "\u202e".encode(), "\U000e0041".encode(), b"x" * 300]
)
PRINTED = st.one_of(st.binary(max_size=400), st.lists(FRAGMENTS, max_size=40).map(b"".join))


@pytest.mark.parametrize(("raw", "text"), TABLE)
def test_a_line_is_shown_as_a_terminal_would_have_left_it(raw: bytes, text: str) -> None:
    assert render_line(raw) == text


@given(PRINTED, st.integers(-1, 400), st.booleans(), st.integers(0, 10**12), st.booleans())
@example(b"\xff" * 30 + b"\r" + b"x", 80, False, 5, True)
def test_whatever_was_printed_its_text_is_safe_and_bounded(
    raw: bytes, max_chars: int, as_is: bool, before_bytes: int, is_least: bool
) -> None:
    shown = show(raw, as_is=as_is, max_chars=max_chars, before_bytes=before_bytes, before_is_least=is_least)
    assert not [c for c in shown.text if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} and c != "\t"]
    assert len(shown.text) <= max(max_chars, 80)
    shown.text.encode()


@given(PRINTED)
def test_a_line_cut_at_any_byte_is_still_safe(raw: bytes) -> None:
    for cut in range(len(raw)):
        assert "\x1b" not in render_line(raw[:cut]) + render_line(raw[cut:])


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"))))
def test_ordinary_text_is_unchanged_with_or_without_colours(text: str) -> None:
    assert render_line(text.encode()) == text
    coloured = b"\x1b[1m" + b"\x1b[31m".join(c.encode() for c in text) + b"\x1b[0m"
    assert render_line(coloured, max_chars=10_000) == text


MOVES = st.sampled_from(
    ["a", "bc", "def", "\r", "\b", "\b\b", "\t"]
    + [f"\x1b[{n}{final}" for n in ("", "0", "1", "2", "7") for final in "CDGK"]
    + ["\x1b[J", "\x1b[1J", "\x1b[2J", "\x1b[H", "\x1b[3;4H"]
)


@settings(max_examples=500)
@given(st.lists(MOVES, max_size=30))
def test_moves_and_erasures_do_what_the_plainest_model_does(moves: list[str]) -> None:
    cells: dict[int, str] = {}
    column = 0
    for move in moves:
        final, number = move[-1], move[2:-1].rpartition(";")[2] if move[0] == "\x1b" else ""
        count = int(number or 1)
        if move == "\r":
            column = 0
        elif move[0] == "\b":
            column = max(0, column - len(move))
        elif move == "\t":
            column = column // 8 * 8 + 8
        elif move[0] != "\x1b":
            for character in move:
                cells[column] = character
                column += 1
        elif final in "CD":
            column = max(0, column + max(count, 1) * (1 if final == "C" else -1))
        elif final in "GH":
            column = max(count, 1) - 1
        else:
            mode = int(number or 0)
            kept = {0: lambda at: at < column, 1: lambda at: at > column}.get(mode, lambda _: False)  # noqa: B023
            cells = {at: character for at, character in cells.items() if kept(at)}
    expected = "".join(cells.get(at, " ") for at in range(max(cells, default=-1) + 1)).rstrip()
    printed = "".join(moves)
    shown = render_line(printed.encode())
    assert shown.expandtabs().rstrip() == expected


def test_a_long_line_is_shortened_in_the_middle_and_says_by_how_much() -> None:
    shown = show(b"head" + b"x" * 100_000 + b"tail")
    assert shown.text.startswith("headxxx")
    assert shown.text.endswith("xxxtail")
    kept = len(shown.text) - len(f"… [{shown.left_out_bytes:,} more bytes] …")
    assert f"… [{shown.left_out_bytes:,} more bytes] …" in shown.text
    assert kept + shown.left_out_bytes == 100_008
    assert 1990 <= len(shown.text) <= 2000


def test_what_is_left_out_is_counted_in_bytes_even_if_they_are_not_text() -> None:
    shown = show(("é" * 3000).encode() + b"\xff" * 1000)
    head, tail = shown.text.count("é"), shown.text.count("\\xff")
    assert shown.left_out_bytes == 2 * (3000 - head) + 1000 - tail


def test_the_end_of_a_line_says_how_much_comes_before_it() -> None:
    assert render_line(b"end") == "end"
    assert show(b"end", before_bytes=1) == ("… [1 more byte] …end", 1)
    assert show(b"end", before_bytes=104_855_600).text == "… [104,855,600 more bytes] …end"
    assert show(b"end", before_bytes=5000, before_is_least=True).text == "… [at least 5,000 more bytes] …end"
    long = show(b"x" * 5000 + b"end", before_bytes=1000)
    assert long.text.endswith("xxxend")
    assert long.left_out_bytes == 6003 - (len(long.text) - len("… [9,999 more bytes] …"))
    binary = show(bytes(64), as_is=False, before_bytes=10)
    assert binary.text == "… [10 more bytes] …[64 NULs]"
    assert show(b"\x01" * 64, before_bytes=10).text == "[binary, 74 bytes]"
    assert show(b"\x01" * 64, before_bytes=9, before_is_least=True).text == "[binary, at least 73 bytes]"


def test_a_progress_bar_that_went_on_for_hours_shows_its_last_state_only() -> None:
    assert show(b"orn 98%\r 99%\r100%", before_bytes=10**9) == ("100%", 0)
    assert show(b"no return after all\r", before_bytes=7).left_out_bytes == 7


def test_as_is_spells_out_everything() -> None:
    assert show(b"\x1b[31m10%\r20%\t\x07\xff\\\r\n", as_is=True).text == "\\x1b[31m10%\\r20%\t\\x07\\xff\\\\r"
    assert show(bytes(10), as_is=True).text == "\\x00" * 10
    assert show(b"\x00" * 10_000, as_is=True).left_out_bytes > 9000


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (b"abc", b"abc"),
        (b"abc\xe2\x82", b"abc"),
        (b"abc\xe2\x82\xac", b"abc\xe2\x82\xac"),
        (b"abc\xf0\x9f\x8e", b"abc"),
        (b"abc\xc3", b"abc"),
        (b"abc\x82\x82\x82\x82", b"abc\x82\x82\x82\x82"),
        (b"\xe2\x82", b"\xe2\x82"),
        (b"abc\x1b", b"abc"),
        (b"abc\x1b[1;3", b"abc"),
        (b"abc\x1b[1;31m", b"abc\x1b[1;31m"),
        (b"abc\x1b(", b"abc"),
        (b"abc\x1b(B", b"abc\x1b(B"),
        (b"abc\x1b7", b"abc\x1b7"),
        (b"abc\x1b]0;title", b"abc"),
        (b"abc\x1b]0;title\xe2", b"abc"),
        (b"abc\x1b]0;title\x1b", b"abc"),
        (b"abc\x1b]0;title\x1b\\", b"abc\x1b]0;title\x1b\\"),
        (b"abc\x1b]0;title\x07d", b"abc\x1b]0;title\x07d"),
        (b"abc\x1b\x1b", b"abc\x1b"),
        (b"\x1b[1", b"\x1b[1"),
        (b"", b""),
    ],
)
def test_a_safe_cut_tears_neither_characters_nor_sequences(raw: bytes, kept: bytes) -> None:
    assert raw[: safe_cut(raw)] == kept


@given(PRINTED.filter(bool))
def test_a_safe_cut_always_gets_on(raw: bytes) -> None:
    assert 1 <= safe_cut(raw) <= len(raw)


def test_after_a_return_begins_the_next_state() -> None:
    assert after_return(b"torn\rnew\rnewer") == b"new\rnewer"
    assert after_return(b"torn\r\n") == b"torn\r\n"
    assert after_return(b"") == b""


@pytest.mark.parametrize(
    "unit",
    [b"x", b"a\r", b"a\b", b"\t", b"\x1b[m", b"\x1b", b"\x1b]", b"x\x1b[1K", b"x\x1b[2K", b"\x1b[9999Cx\r",
     b"\0", b"\0\0\0\0\0\0\0\0a", b"abc\xff", b"abcd\xff\r", "漢\r".encode(), b"\x1b]0;t\x07a", b"\x01"],
    ids=repr,
)  # fmt: skip
def test_a_megabyte_of_anything_takes_a_bounded_amount_of_memory(unit: bytes) -> None:
    raw = unit * (2**20 // len(unit))
    tracemalloc.start()
    try:
        assert len(render_line(raw)) <= 2000
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 32 * 2**20


def test_a_spinner_that_never_stops_keeps_what_was_said_before_it() -> None:
    raw = b"compiling " + b"|\b/\b-\b\\\b" * 60_000 + b"done"
    assert render_line(raw).startswith("compiling")
    assert render_line(b"start " + b"\r 50% of it" * 60_000) == " 50% of it"
