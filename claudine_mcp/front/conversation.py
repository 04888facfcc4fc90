"""The output of a delegated Claude Code as a conversation that can be read."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.front.log_file import LogFile, Piece, open_log
from claudine_mcp.front.logs import LogLine, LogPage, first_cursor, released_note
from claudine_mcp.workloads.claude_stream import RESULT_BYTES
from claudine_mcp.workloads.claude_text import Narrator

WINDOW_BYTES = 2 * 2**20
"""How much of the output's end is looked at for its last lines."""
PIECE_BYTES = 2**20
"""How much is read for one page, or a line, if that is longer."""
BUDGET_CHARS = 60_000
STREAM = "stdout"
MAX_DIGITS = 18


def words(path: Path, cursor: str | None, lines: int, *, run: int, ended: bool) -> LogPage:
    """Give the last lines of the conversation, or those after a cursor. Blocks.

    Args:
        path: the run's standard output.
        cursor: `next_cursor` of an earlier page, None for the last lines.
        lines: how many at most.
        run: its number, for the cursor.
        ended: whether nothing will be added, so that a last line without a newline is whole.

    Raises:
        InvalidInput: the cursor does not come from an answer about this run.
    """
    offset = None if cursor is None else _offset(cursor, run)
    if not path.exists():
        return LogPage([], cursor or first_cursor([STREAM], run=run), truncated=False)
    with open_log(path) as log:
        if offset is None:
            return _last(log, lines, run=run, ended=ended)
        if offset > log.size_bytes:
            raise InvalidInput(
                "cursor", "it stands beyond the end", "Give the nextCursor of an earlier answer."
            )
        page = _next(log, offset, lines, run=run, ended=ended)
        if not log.has_lost(offset):
            return page
    return words(path, cursor, lines, run=run, ended=ended)  # its beginning went while it was read


def _last(log: LogFile, lines: int, *, run: int, ended: bool) -> LogPage:
    pieces = [_whole(log, piece) for piece in log.last_lines(WINDOW_BYTES, WINDOW_BYTES)]
    rest = pieces.pop() if pieces and not (ended or pieces[-1].has_newline) else None
    if len(pieces) > 1 and pieces[0].before_bytes:
        del pieces[0]
    narrator = Narrator()
    told: deque[str] = deque(maxlen=max(1, lines) + 1)
    for piece in pieces:
        told.extend(narrator.tell(piece.raw) if not piece.before_bytes else [_too_long(piece)])
    shown, cut = _newest_within_budget(list(told)[-lines:] if lines else [])
    is_cut = cut or len(told) > lines or bool(pieces and pieces[0].start > log.released_bytes)
    notes = ["only the end of the conversation is shown"] if is_cut else []
    if not is_cut and log.released_bytes:
        notes.append(released_note(log))
    end = rest.start if rest else pieces[-1].end if pieces else log.size_bytes
    return LogPage(_lines(shown), _cursor(run, end), truncated=bool(notes), notes=notes)


def _next(log: LogFile, offset: int, lines: int, *, run: int, ended: bool) -> LogPage:
    narrator = Narrator()
    shown: list[str] = []
    room = BUDGET_CHARS
    notes = [released_note(log)] if offset < log.released_bytes else []
    position = offset = max(offset, log.released_bytes)
    for piece in log.pieces_from(offset, longest_bytes=RESULT_BYTES, ended=ended):
        if piece.goes_on:
            told: list[str] = []
        else:
            told = [_too_long(piece)] if piece.continues else narrator.tell(piece.raw)
        size = sum(map(len, told))
        if shown and (len(shown) + len(told) > lines or size > room):
            return LogPage(_lines(shown), _cursor(run, position), truncated=True, notes=notes, more=True)
        shown += told
        room -= size
        position = piece.end
        if position - offset >= PIECE_BYTES:
            return LogPage(
                _lines(shown), _cursor(run, position), truncated=bool(notes), notes=notes, more=True
            )
    return LogPage(_lines(shown), _cursor(run, position), truncated=bool(notes), notes=notes)


def _whole(log: LogFile, piece: Piece) -> Piece:
    """Give the line that the window has cut, if it is not too long; else the piece as it is."""
    size = piece.before_bytes + len(piece.raw)
    if not piece.before_bytes or piece.before_is_least or size > RESULT_BYTES:
        return piece
    start = piece.start - piece.before_bytes
    return piece._replace(start=start, raw=log.read(start, start + size), before_bytes=0)


def _too_long(piece: Piece) -> str:
    return f"[the end of a line that is too long to be read: {len(piece.raw):,} bytes]"


def _lines(texts: list[str]) -> list[LogLine]:
    return [LogLine(STREAM, text) for text in texts]


def _newest_within_budget(texts: list[str]) -> tuple[list[str], bool]:
    room = BUDGET_CHARS
    kept: list[str] = []
    for text in reversed(texts):
        room -= len(text)
        if room < 0:
            break
        kept.append(text)
    return kept[::-1], len(kept) < len(texts)


def _cursor(run: int, offset: int) -> str:
    return f"{run}:{STREAM}={offset}"


def _offset(cursor: str, run: int) -> int:
    begin = f"{run}:{STREAM}="
    digits = cursor.removeprefix(begin).partition(":")[0]
    is_number = digits.isascii() and digits.isdecimal() and len(digits) <= MAX_DIGITS
    if not cursor.startswith(begin) or not is_number:
        raise InvalidInput(
            "cursor", f"{cursor[:60]!r} is none of this run", "Give the nextCursor of an earlier answer."
        )
    return int(digits)
