"""Pages of a run's output: the last lines of each stream, or those after a cursor.

Whatever was printed, a page costs a few MB of reading at most and holds at most `budget_chars`. All of this
blocks: call it in a worker thread.
"""

from __future__ import annotations

import re
import reprlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Final, NamedTuple

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.terminal import after_return, show
from claudine_mcp.front.log_file import LogFile, Piece, open_log

BUDGET_BYTES: Final = 256 * 1024
"""How much of each stream `tail` looks at; in `read_from` the longest piece of a line."""

BUDGET_CHARS: Final = 60_000
"""What a page may hold. A result of an MCP tool is limited to 25,000 tokens by Claude Code."""

_PAGE_BYTES: Final = 4 * 1024 * 1024  # read of one stream by `read_from`
_LINE_CHARS: Final = 32  # what JSON puts around a line: {"stream":"stdout","text":""},
_CURSOR: Final = re.compile(r"([0-9]{1,9})((?::[a-z]{1,16}=[0-9]{1,18}){1,8})")
_CURSOR_RIGHT: Final = "Give the nextCursor of an earlier answer, or none to see the last lines"


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line, or a piece of a very long line, of one stream."""

    stream: str
    text: str


@dataclass(frozen=True, slots=True)
class LogPage:
    """What was read.

    Attributes:
        lines: stream after stream, in the order of the file within each.
        next_cursor: for `read_from`; stands after what is shown here.
        truncated: whether something is not shown: before the first line, within the lines, or (on reading on)
            after the last line.
        notes: what a person should know about that.
        more: when reading on, whether another page can be had at once.
    """

    lines: list[LogLine]
    next_cursor: str
    truncated: bool
    notes: list[str] = field(default_factory=list[str])
    more: bool = False


def first_cursor(streams: Iterable[str], *, run: int) -> str:
    """The cursor that stands before everything a run has printed."""
    return _written(run, dict.fromkeys(streams, 0))


def cursor_run(cursor: str) -> int:
    """The number of the run that a cursor belongs to.

    Raises:
        InvalidInput: it is no cursor.
    """
    return _parsed(cursor)[0]


def tail(
    paths: Mapping[str, Path],
    lines: int,
    *,
    run: int,
    raw: bool = False,
    ended: bool = False,
    partial: bool = True,
    budget_bytes: int = BUDGET_BYTES,
    budget_chars: int = BUDGET_CHARS,
) -> LogPage:
    """The last `lines` lines of each stream; where they do not fit, the newest of them.

    A line that is longer than the window is shown from its end. A last line without a newline is shown and,
    since it may grow, given again by the cursor once it is whole.

    Args:
        paths: stream name (lower-case letters) to file; a file that does not exist has no output yet.
        lines: how many; 0 gives only the cursor that stands at the end.
        run: number of the run, which the cursor will name.
        raw: whether to spell out control characters rather than obey them.
        ended: whether nothing more will be written, so that a last line without a newline is whole.
        partial: whether to show such a line although it may grow.
        budget_bytes: how much of each stream is looked at.
        budget_chars: how much all lines may take. One line of each stream is shown in any case.

    Raises:
        InvalidInput: `lines` is negative, or a path is something else than a regular file.
    """
    if lines < 0:
        raise InvalidInput("lines", f"{lines} is negative", "Give 0 or more")
    views: list[_View] = []
    for stream, path in paths.items():
        with open_log(path) as log:
            found = log.last_lines(lines, budget_bytes)
        view = _View(stream, log, log.size_bytes)
        if found and not (found[-1].has_newline or ended or found[-1].before_bytes):
            view.next_offset = found[-1].start
            if not partial:
                found.pop()
            elif lines:
                view.notes.append("the last line is not complete yet; the cursor gives it again once it is")
        view.render(reversed(found[-lines:] if lines else []), lines, budget_chars, as_is=raw)
        views.append(view)
    for view, kept in zip(views, _kept(views, budget_chars), strict=True):
        view.entries = view.entries[:kept][::-1]
        if lines:
            view.say_what_is_before()
    return _page(views, run, {})


def read_from(
    paths: Mapping[str, Path],
    cursor: str,
    lines: int,
    *,
    run: int,
    raw: bool = False,
    ended: bool = False,
    budget_bytes: int = BUDGET_BYTES,
    budget_chars: int = BUDGET_CHARS,
) -> LogPage:
    """Up to `lines` lines of each stream after the cursor; where they do not fit, the oldest of them.

    Whoever goes on with `next_cursor` gets every byte of every line exactly once, and in the same lines,
    however often they ask. Only whole lines are given; one that is longer than `budget_bytes` comes in pieces
    of that size, with an ellipsis where it goes on.

    Args:
        paths: stream name to file; a file that does not exist has no output yet. A stream that only the
            cursor names stays where it is.
        cursor: `next_cursor` of an earlier page, or `first_cursor`.
        lines: how many, at least 1.
        run: number of the run, which the cursor has to name.
        raw: whether to spell out control characters rather than obey them.
        ended: whether nothing more will be written (found out before this is called), so that a last line
            without a newline is whole.
        budget_bytes: the longest piece of a line; to be the same in every call.
        budget_chars: how much all lines may take. One line of each stream is given in any case.

    Raises:
        InvalidInput: the cursor is none, is another run's or stands beyond the end; `lines` is not positive;
            a path is something else than a regular file.
    """
    if lines < 1:
        raise InvalidInput("lines", f"{lines} is too few", "Give 1 or more")
    named, offsets = _parsed(cursor)
    if named != run:
        raise InvalidInput("cursor", f"it belongs to run {named}, not to run {run}", _CURSOR_RIGHT)
    if missing := paths.keys() - offsets:
        raise InvalidInput("cursor", f"it says nothing of {' and '.join(sorted(missing))}", _CURSOR_RIGHT)
    views: list[_View] = []
    has_lost = False
    for stream, path in paths.items():
        offset = offsets[stream]
        with open_log(path) as log:
            if offset > log.size_bytes:
                where = f"it stands at byte {offset:,} of {stream}, which has {log.size_bytes:,}"
                raise InvalidInput("cursor", where, _CURSOR_RIGHT)
            view = _View(stream, log, max(offset, log.released_bytes))
            if offset < log.released_bytes:
                view.say_released()
            pieces = log.pieces_from(offset, longest_bytes=budget_bytes, ended=ended)
            view.more = view.render(pieces, lines, budget_chars, as_is=raw)
            has_lost |= log.has_lost(offset)
        views.append(view)
    if has_lost:  # to the limit of logs, while it was read
        return read_from(
            paths,
            cursor,
            lines,
            run=run,
            raw=raw,
            ended=ended,
            budget_bytes=budget_bytes,
            budget_chars=budget_chars,
        )
    _keep_oldest(views, budget_chars)
    return _page(views, run, offsets)


class _Entry(NamedTuple):
    piece: Piece
    text: str
    is_shortened: bool

    @property
    def cost(self) -> int:
        """Bytes of UTF-8, since a character outside ASCII takes more tokens, and the JSON around them."""
        return len(self.text.encode()) + _LINE_CHARS


@dataclass(slots=True)
class _View:
    """What was found of one stream, before all of them have to fit into one page."""

    stream: str
    log: LogFile
    next_offset: int
    entries: list[_Entry] = field(default_factory=list[_Entry])
    notes: list[str] = field(default_factory=list[str])
    is_cut: bool = False
    more: bool = False

    def render(self, pieces: Iterable[Piece], lines: int, budget_chars: int, *, as_is: bool) -> bool:
        """Take as many pieces as could possibly be shown; whether there are others."""
        cost = size_bytes = 0
        for piece in pieces:
            if len(self.entries) >= lines or cost > budget_chars or size_bytes >= _PAGE_BYTES:
                return True
            entry = _rendered(piece, as_is=as_is)
            self.entries.append(entry)
            cost += entry.cost
            size_bytes += len(piece.raw)
        return False

    def say_what_is_before(self) -> None:
        """Note what comes before the first line that is shown."""
        size_bytes, shown = self.log.size_bytes, len(self.entries)
        start = (
            self.entries[0].piece.start - self.entries[0].piece.before_bytes if shown else self.next_offset
        )
        if shown and start > 0:
            count = f"{shown:,} lines are" if shown > 1 else "line is"
            self.notes.insert(0, f"{size_bytes:,} bytes in all; the last {count} shown")
        if 0 < start <= self.log.released_bytes:
            self.say_released()
        self.is_cut = start > 0

    def say_released(self) -> None:
        """Note that what came first is gone."""
        self.is_cut = True
        self.notes.append(released_note(self.log))


def _keep_oldest(views: Sequence[_View], budget_chars: int) -> None:
    """Leave in each stream what fits; what does not follows with the next page."""
    for view, kept in zip(views, _kept(views, budget_chars), strict=True):
        view.more |= kept < len(view.entries)
        del view.entries[kept:]
        if view.entries:
            view.next_offset = view.entries[-1].piece.end
        if view.more:
            view.is_cut = True
            view.notes.append(
                f"{view.log.size_bytes - view.next_offset:,} more bytes follow; read on with the cursor"
            )


def released_note(log: LogFile) -> str:
    """Say that the beginning of a stream is gone."""
    return f"the first {log.released_bytes:,} bytes were released (limits.maxLogBytes)"


def _rendered(piece: Piece, *, as_is: bool) -> _Entry:
    # What a piece without its line's beginning says before the next return has been drawn over.
    raw = after_return(piece.raw) if piece.continues and not as_is else piece.raw
    shown = show(raw, as_is=as_is, before_bytes=piece.before_bytes, before_is_least=piece.before_is_least)
    text = f"{'… ' if piece.continues else ''}{shown.text}{' …' if piece.goes_on else ''}"
    return _Entry(piece, text, bool(shown.left_out_bytes or piece.before_bytes))


def _kept(views: Sequence[_View], budget_chars: int) -> list[int]:
    """How many entries each stream may keep: an equal share of the budget, and what others leave."""
    costs = [sum(entry.cost for entry in view.entries) for view in views]
    kept = [0] * len(views)
    for done, index in enumerate(sorted(range(len(views)), key=costs.__getitem__)):
        share = budget_chars // (len(views) - done)
        running = list(accumulate(entry.cost for entry in views[index].entries))
        kept[index] = max(bisect_right(running, share), min(1, len(running)))
        budget_chars -= running[kept[index] - 1] if running else 0
    return kept


def _page(views: Sequence[_View], run: int, offsets: Mapping[str, int]) -> LogPage:
    notes: list[str] = []
    for view in views:
        if shortened := sum(entry.is_shortened for entry in view.entries):
            view.notes.append(
                "1 line is shortened" if shortened == 1 else f"{shortened:,} lines are shortened"
            )
            view.is_cut = True
        notes += (f"{view.stream}: {note}" for note in view.notes)
    return LogPage(
        lines=[LogLine(view.stream, entry.text) for view in views for entry in view.entries],
        next_cursor=_written(run, {**offsets, **{view.stream: view.next_offset for view in views}}),
        truncated=any(view.is_cut for view in views),
        notes=notes,
        more=any(view.more for view in views),
    )


def _written(run: int, offsets: Mapping[str, int]) -> str:
    return f"{run}" + "".join(f":{stream}={offset}" for stream, offset in offsets.items())


def _parsed(cursor: str) -> tuple[int, dict[str, int]]:
    match = _CURSOR.fullmatch(cursor)
    pairs = [pair.split("=") for pair in match[2][1:].split(":")] if match else []
    offsets = {stream: int(offset) for stream, offset in pairs}
    if not match or len(offsets) < len(pairs):
        raise InvalidInput("cursor", f"{reprlib.repr(cursor)} is not a cursor of a log", _CURSOR_RIGHT)
    return int(match[1]), offsets
