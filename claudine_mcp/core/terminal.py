r"""What a terminal would have left of one line of output, as text that is safe to print anywhere.

A task may print anything: colours, progress bars that rewrite their line, half a character, a picture.
The line is treated as one row of a terminal that is as wide as it has to be; what moves the cursor within the
row is obeyed, everything else that speaks to a terminal is taken out, and what is left over that could still
act on a terminal or hide from its reader is spelt out (`\x1b`). Every step is linear in the line's length.

Two simplifications: a character is one column wide, and moves to another row are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

MAX_CHARS: Final = 2000
"""The longest line that is shown whole, in characters."""

_LEAST_CHARS: Final = 80  # less has no room for the mark and something at both ends of it
_COLUMNS: Final = 256  # how far the cursor can be sent without writing; a real terminal stops at its edge too
_TAB_STOP: Final = 8
_MOST_MOVES: Final = 50_000  # of a line with more of them, only the start and the end are played
_PLAYED_CHARS: Final = 40_000  # of each
_LONGEST_SEQUENCE_BYTES: Final = 4096  # how far back the start of a torn escape sequence is looked for
_BINARY_LEAST_BYTES: Final = 32
_BINARY_SHARE: Final = 0.3  # as in Perl's -B and those who copied it

# Escape sequences by ECMA-48 (section 5.4 for CSI) and xterm's "Control Sequences".
_MOVE: Final = r"\[([0-9]{0,4})(?:;([0-9]{0,4}))?([CDGHJKf`])"
_MOVES: Final = re.compile(rf"\r+|\x08+|\t+|\x1b{_MOVE}")
_IDLE: Final = re.compile(
    rf"\x1b(?!{_MOVE})(?:"
    r"\[[0-?]*+[ -/]*+[@-~]?"  # CSI, perhaps torn
    r"|\][^\x07\x1b]*+(?:\x07|\x1b\\)"  # OSC. One without an end loses its introducer only, and hides nothing
    r"|[PX^_][^\x1b]*+\x1b\\"  # DCS, SOS, PM, APC
    r"|[ -/]++[0-~]?"  # character sets and the like
    r"|[0-~]"
    r")?"
)
_SILENT: Final = b"\x07\x0e\x0f"  # bell, shift out, shift in
_WHOLE_SEQUENCE: Final = re.compile(
    rb"\x1b(?:\[[0-?]*+[ -/]*+[^0-?\x20-/]|\][^\x07\x1b]*+(?:\x07|\x1b.)|[PX^_][^\x1b]*+\x1b.|[ -/]++[0-~]"
    rb"|[^\[\]PX^_ -/])",
    re.DOTALL,
)
_NULS: Final = re.compile(rb"\x00{8,}")
_STRING_OPENERS: Final = frozenset((b"]", b"P", b"X", b"^", b"_"))
_NOT_TEXT: Final = bytes(set(range(0x20)) - set(b"\b\t\n\x0b\x0c\r\x1b" + _SILENT))

# C0 and C1 controls (a terminal takes U+009B for CSI), line separators, overrides of the writing direction,
# invisible tag characters, and what surrogateescape made of bytes that are not UTF-8.
_UNSAFE: Final = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\U000e0000-\U000e007f\ud800-\udfff]"
)
_SPACE: Final = " ".encode("utf-32-le")


class Shown(NamedTuple):
    """A line as it is shown.

    Attributes:
        text: without any control character but tab.
        left_out_bytes: how much of what the line shows is not in the text; 0 if it is whole.
    """

    text: str
    left_out_bytes: int


def render_line(raw: bytes, *, max_chars: int = MAX_CHARS) -> str:
    """What a terminal would have left of a line, in at most `max_chars` characters (80 are always allowed).

    Args:
        raw: one line with or without its newline, cut anywhere.
        max_chars: beyond it the middle is left out and counted.
    """
    return show(raw, max_chars=max_chars).text


def show(
    raw: bytes,
    *,
    as_is: bool = False,
    max_chars: int = MAX_CHARS,
    before_bytes: int = 0,
    before_is_least: bool = False,
) -> Shown:
    """A line as `render_line` gives it, and how much of it was left out.

    Args:
        raw: one line with or without its newline, cut anywhere.
        as_is: whether to spell out everything that was printed rather than act on it.
        max_chars: beyond it the middle is left out and counted.
        before_bytes: how much of the line comes before `raw`. It is counted, and the line shown from its end.
            A line that returned to its start since then was rewritten, and nothing is said to be missing.
        before_is_least: whether `before_bytes` may be more.
    """
    raw = raw.removesuffix(b"\n")
    if as_is:
        return _shortened(_decoded(raw), max_chars, before_bytes, before_is_least)
    raw = raw.rstrip(b"\r")
    if before_bytes and b"\r" in raw:
        raw, before_bytes = after_return(raw), 0
    plain = _NULS.sub(_counted_nuls, raw)
    if _is_binary(plain):
        size_bytes = len(raw) + before_bytes
        at_least = "at least " if before_bytes and before_is_least else ""
        return Shown(f"[binary, {at_least}{size_bytes:,} bytes]", size_bytes)
    text = _settled(_without_idle(plain))
    return _shortened(text, max_chars, before_bytes, before_is_least)


def after_return(raw: bytes) -> bytes:
    """What follows the first carriage return that has something after it; `raw` itself if there is none."""
    _, found, rest = raw.rstrip(b"\r\n").partition(b"\r")
    return rest if found else raw


def safe_cut(raw: bytes) -> int:
    """Where `raw`, whose line goes on, can be cut so that no character or escape sequence is torn.

    Returns:
        A length between 1 and that of `raw`: all of it if nothing is torn or if it begins with what is.
    """
    end = len(raw)
    lead = next((i for i in range(end - 1, max(end - 4, -1), -1) if raw[i] & 0xC0 != 0x80), -1)  # noqa: PLR2004
    if lead >= 0 and raw[lead] >= 0xC0 and lead + _character_bytes(raw[lead]) > end:  # noqa: PLR2004
        end = lead
    escape = raw.rfind(b"\x1b", max(0, end - _LONGEST_SEQUENCE_BYTES), end)
    # The escape that ends a string such as an OSC is a backslash's; the string began at the one before it.
    if escape > 0 and raw[escape + 1 : end] in {b"", b"\\"}:
        opener = raw.rfind(b"\x1b", max(0, escape - _LONGEST_SEQUENCE_BYTES), escape)
        escape = opener if opener >= 0 and raw[opener + 1 : opener + 2] in _STRING_OPENERS else escape
    if escape >= 0 and not _WHOLE_SEQUENCE.match(raw, escape, end):
        end = escape
    return end or len(raw)


def _character_bytes(lead: int) -> int:
    """How many bytes a UTF-8 character has, by its first (RFC 3629)."""
    return 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4  # noqa: PLR2004


def _counted_nuls(run: re.Match[bytes]) -> bytes:
    return b"[%s NULs]" % f"{len(run[0]):,}".encode()


def _is_binary(raw: bytes) -> bool:
    if len(raw) < _BINARY_LEAST_BYTES:
        return False
    controls = len(raw) - len(raw.translate(None, _NOT_TEXT))
    try:
        raw.decode()
        strangers = 0
    except UnicodeDecodeError:
        strangers = len(raw) - len(raw.decode(errors="ignore").encode())
    return controls + strangers > _BINARY_SHARE * len(raw)


def _decoded(raw: bytes) -> str:
    """Text in which each byte that is not UTF-8 is a lone surrogate, which `_visible` spells out."""
    return raw.decode(errors="surrogateescape")


def _without_idle(raw: bytes) -> str:
    """The text and what moves the cursor; a bell is looked at last, since it may end a sequence."""
    text = _IDLE.sub("", _decoded(raw)) if b"\x1b" in raw else _decoded(raw)
    for byte in _SILENT:
        text = text.replace(chr(byte), "")
    return text


class _Row:
    """One row of cells, each a UTF-32 unit, so that writing and erasing a run is a copy of memory.

    The cursor passes `_COLUMNS` only by writing. With `_blank` (everything left of it is known to be blank)
    this keeps any sequence of writes and erasures linear.
    """

    def __init__(self) -> None:
        self._cells = bytearray()
        self._blank = 0
        self.column = 0

    def write(self, text: str) -> None:
        at = 4 * self.column
        if at > len(self._cells):
            self._cells.extend(_SPACE * (self.column - len(self._cells) // 4))
        units = text.encode("utf-32-le", "surrogatepass")
        self._cells[at : at + len(units)] = units
        self._blank = min(self._blank, self.column)
        self.column += len(text)

    def forward_to(self, column: int) -> None:
        self.column = max(self.column, min(column, _COLUMNS))

    def move_to(self, column: int) -> None:
        if column > self.column:
            self.forward_to(column)
        else:
            self.column = max(0, column)

    def tab(self, count: int) -> None:
        stop = (self.column // _TAB_STOP + count) * _TAB_STOP
        self.column = stop if stop <= _COLUMNS else max(self.column, _COLUMNS) + 1

    def erase(self, mode: int) -> None:
        """Erase to the end (0), from the start up to and with the cursor (1), or all (2, 3)."""
        if mode != 1:
            del self._cells[4 * self.column :]
        if mode > 0:
            end = min(self.column + 1, len(self._cells) // 4)
            if end > self._blank:
                self._cells[4 * self._blank : 4 * end] = _SPACE * (end - self._blank)
            self._blank = max(self._blank, self.column + 1)

    def text(self) -> str:
        return self._cells.decode("utf-32-le", "surrogatepass").rstrip(" ")


def _settled(text: str) -> str:
    """The text after all its moves; unchanged, tabs and all, if it has none."""
    moves = text.count("\r") + text.count("\b") + text.count("\x1b")
    if not moves:
        return text
    if moves > _MOST_MOVES and len(text) > 2 * _PLAYED_CHARS:
        # What was drawn in between has been drawn over, as far as anyone would still look at it.
        end = text[-_PLAYED_CHARS:]
        text = text[:_PLAYED_CHARS] + end[max(end.find("\r"), 0) :]
    row = _Row()
    at = 0
    for move in _MOVES.finditer(text):
        if move.start() > at:
            row.write(text[at : move.start()])
        at = move.end()
        _play(row, move)
    if at < len(text):
        row.write(text[at:])
    return row.text()


def _play(row: _Row, move: re.Match[str]) -> None:
    match move[3] or move[0][0]:
        case "\r":
            row.column = 0
        case "\b":
            row.move_to(row.column - len(move[0]))
        case "\t":
            row.tab(len(move[0]))
        case "C":
            row.forward_to(row.column + (int(move[1] or 0) or 1))
        case "D":
            row.move_to(row.column - (int(move[1] or 0) or 1))
        case "H" | "f":
            row.move_to(int(move[2] or 1) - 1)
        case "J" | "K":
            row.erase(int(move[1] or 0))
        case _:
            row.move_to(int(move[1] or 1) - 1)


def _visible(text: str) -> str:
    return _UNSAFE.sub(_spelt, text)


def _spelt(unsafe: re.Match[str]) -> str:
    r"""One unsafe character as Python would write it; a byte that is not UTF-8 as `\xNN`."""
    character = unsafe[0]
    byte = ord(character) - 0xDC00
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else character.encode("unicode_escape").decode()  # noqa: PLR2004


def _shortened(text: str, max_chars: int, before_bytes: int, before_is_least: bool) -> Shown:
    max_chars = max(max_chars, _LEAST_CHARS)
    if not before_bytes and len(text) <= max_chars and len(visible := _visible(text)) <= max_chars:
        return Shown(visible, 0)
    room = max_chars - len(_mark(before_bytes + 4 * len(text), before_is_least))
    head = 0 if before_bytes else _fitting(text, room // 2)
    tail = len(text) - _fitting(reversed(text), room if before_bytes else room // 2)
    left_out_bytes = before_bytes + len(text[head:tail].encode(errors="surrogateescape"))
    mark = _mark(left_out_bytes, before_is_least)
    return Shown(f"{_visible(text[:head])}{mark}{_visible(text[tail:])}", left_out_bytes)


def _fitting(characters: Iterable[str], room: int) -> int:
    """How many of the characters fit into `room` once they are visible."""
    count = 0
    for character in characters:
        room -= len(_visible(character))
        if room < 0:
            break
        count += 1
    return count


def _mark(count: int, is_least: bool) -> str:
    return f"… [{'at least ' if is_least else ''}{count:,} more byte{'' if count == 1 else 's'}] …"
