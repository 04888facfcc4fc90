"""The output of a delegated Claude Code as a conversation that can be read."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.front.log_file import open_log
from claudine_mcp.front.logs import LogLine, LogPage, first_cursor
from claudine_mcp.workloads.claude_text import Narrator

WINDOW_BYTES = 2 * 2**20
"""How much of the output's end is looked at for its last lines."""
PIECE_BYTES = 2**20
BUDGET_CHARS = 60_000
STREAM = "stdout"


def words(path: Path, cursor: str | None, lines: int, *, run: int) -> LogPage:
    """Give the last lines of the conversation, or those after a cursor. Blocks.

    Raises:
        InvalidInput: the cursor does not come from an answer about this run.
    """
    return last_words(path, lines, run=run) if cursor is None else next_words(path, cursor, lines, run=run)


def last_words(path: Path, lines: int, *, run: int) -> LogPage:
    """Give the last lines of the conversation. Blocks.

    Args:
        path: the run's standard output.
        lines: how many at most.
        run: its number, for the cursor.
    """
    if not path.exists():
        return LogPage([], first_cursor([STREAM], run=run), truncated=False)
    with open_log(path) as log:
        begin = max(0, log.size_bytes - WINDOW_BYTES)
        data = os.pread(log.fd, log.size_bytes - begin, begin)
    if begin:
        begin += data.find(b"\n") + 1
        data = data[data.find(b"\n") + 1 :]
    whole = data.rfind(b"\n") + 1
    narrator = Narrator()
    told: deque[str] = deque(maxlen=max(1, lines) + 1)
    for line in data[:whole].splitlines():
        told.extend(narrator.tell(line))
    shown, cut = _newest_within_budget(list(told)[-lines:] if lines else [])
    notes = ["only the end of the conversation is shown"] if begin or cut or len(told) > lines else []
    return LogPage(_lines(shown), _cursor(run, begin + whole), truncated=bool(notes), notes=notes)


def next_words(path: Path, cursor: str, lines: int, *, run: int) -> LogPage:
    """Give what was said after the cursor. Blocks.

    Raises:
        InvalidInput: the cursor does not come from an answer about this run.
    """
    offset = _offset(cursor, run)
    if not path.exists():
        return LogPage([], cursor, truncated=False)
    with open_log(path) as log:
        if offset > log.size_bytes:
            raise InvalidInput(
                "cursor", "it stands beyond the end", "Give the nextCursor of an earlier answer."
            )
        data = os.pread(log.fd, PIECE_BYTES, offset)
        rest = log.size_bytes - offset - len(data)
    narrator = Narrator()
    shown: list[str] = []
    room = BUDGET_CHARS
    position = offset
    for line in data[: data.rfind(b"\n") + 1].splitlines(keepends=True):
        told = narrator.tell(line)
        size = sum(map(len, told))
        if shown and (len(shown) + len(told) > lines or size > room):
            return LogPage(_lines(shown), _cursor(run, position), truncated=True, more=True)
        shown += told
        room -= size
        position += len(line)
    return LogPage(
        _lines(shown), _cursor(run, position), truncated=False, more=rest > 0 and position > offset
    )


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
    if not cursor.startswith(begin) or not digits.isdecimal():
        raise InvalidInput(
            "cursor", f"{cursor[:60]!r} is none of this run", "Give the nextCursor of an earlier answer."
        )
    return int(digits)
