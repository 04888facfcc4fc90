"""What is written for people and for programs: lines, tables, JSON. Nothing here knows what it means."""

from __future__ import annotations

import io
import json
import os
import select
import shutil
import stat
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from claudine_mcp.core.units import printable

PROGRAM = "claudine-mcp"
LEAST_CHARS = 12
"""Of a column that is shortened to fit the terminal."""
NAME_CHARS = 40
"""Of what stands before a value: it may come from a delegated run."""

GOOD, BAD, DIM, BOLD = "32", "31", "2", "1"
"""Select Graphic Rendition (ECMA-48): green, red, faint, bold."""


def prepare() -> None:
    """Make sure that whatever is written can be encoded: a path or a name may hold anything."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str = "") -> None:
    """Write a line of the result."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """Write a line that is not the result: to standard error."""
    sys.stdout.flush()
    sys.stderr.write(f"{PROGRAM}: {text}\n")
    sys.stderr.flush()


def say_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write one JSON document."""
    say(json.dumps(value, ensure_ascii=False, indent=2))


def close_quietly() -> None:
    """Stop writing: whoever read our output has left, and Python's last flush must not complain about it."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            os.dup2(devnull, stream.fileno())
    os.close(devnull)


def is_abandoned(descriptor: int) -> bool:
    """Whether nobody can read any more what is written there: the other end of the pipe or socket is closed."""
    mode = os.fstat(descriptor).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return False
    poll = select.poll()
    poll.register(descriptor, 0)
    return bool(poll.poll(0))  # POLLERR (a pipe), POLLHUP (a socket, closed in both directions) or POLLNVAL


def has_colours() -> bool:
    """Whether the output is a terminal whose user has not asked for plain text (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def styled(text: str, style: str) -> str:
    """Colour a text, where there are colours."""
    return f"\x1b[{style}m{text}\x1b[0m" if style and has_colours() else text


def table(
    headers: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    shorten: int | None = None,
    style_of: Mapping[str, str] | None = None,
) -> None:
    """Write aligned columns, the last one as long as it is.

    Args:
        headers: one for each column.
        rows: cells as text; control characters in them are spelt out.
        shorten: the column that gives way when a row does not fit the terminal; a file gets all of it.
        style_of: by cell text, how it is coloured.
    """
    clean = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(headers), *clean]) for i in range(len(headers))]
    if shorten is not None and sys.stdout.isatty():
        over = sum(widths) + 2 * (len(widths) - 1) - shutil.get_terminal_size().columns
        widths[shorten] = max(LEAST_CHARS, widths[shorten] - max(0, over))
        for row in clean:
            row[shorten] = shortened(row[shorten], widths[shorten])
    say(styled(_line(headers, widths), BOLD))
    for row in clean:
        # Styles are put on after padding: they have no width.
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        cells[-1] = row[-1]
        styles = [(style_of or {}).get(cell, "") for cell in row]
        say("  ".join(styled(cell, style) for cell, style in zip(cells, styles, strict=True)).rstrip())


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def fields(pairs: Iterable[tuple[str, str | None]]) -> None:
    """Write what is known of one thing, a line each; None is left out. Control characters are spelt out."""
    known = [
        (shortened(printable(name), NAME_CHARS), printable(value))
        for name, value in pairs
        if value is not None
    ]
    width = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        say(f"{styled(name.ljust(width), DIM)}  {value}")


def shortened(text: str, limit: int) -> str:
    """Shorten a text to at most `limit` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
