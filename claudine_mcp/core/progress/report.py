"""What a task has told itself of its progress: lines like `40 building`, appended to the file $CLAUDINE_PROGRESS."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from claudine_mcp.core.progress.model import FILE, PHASE_CHARS, Progress
from claudine_mcp.core.units import describe, printable

_LINE: Final = re.compile(r"([+-]?[0-9]{1,9}(?:\.[0-9]{1,9})?) ?%?(?:\s+(.*))?")
_FORM: Final = "a line is a percentage and what is being done, like: 40 building"


class Report(NamedTuple):
    """What the file says.

    Attributes:
        progress: by its last good line, None if there is none.
        problem: what is wrong with its last line, None if that is good.
    """

    progress: Progress | None
    problem: str | None


def read_report(data: bytes, *, is_tail: bool = False) -> Report:
    """Read the file.

    Args:
        data: its content, or the end of it.
        is_tail: whether something before it was left out, so that the first line may be a part of one.
    """
    lines = data.decode("utf-8", "replace").splitlines()
    if is_tail:
        lines = lines[1:]
    problem: str | None = None
    for line in reversed(lines):
        text = line.strip()
        if not text:
            continue
        found = _read_line(text)
        if isinstance(found, Progress):
            return Report(found, problem)
        problem = problem or found
    return Report(None, problem)


def _read_line(text: str) -> Progress | str:
    """Give what a line says, or what is wrong with it."""
    found = _LINE.fullmatch(text)
    if found is None:
        return f"{describe(text)} was ignored: {_FORM}"
    percent = float(found[1])
    if not 0 <= percent <= 100:  # noqa: PLR2004 - per cent
        return f"{describe(text)} was ignored: {found[1]} is not between 0 and 100"
    phase = printable((found[2] or "").strip())[:PHASE_CHARS]
    return Progress(FILE, percent, phase=phase or None, is_of_phase=percent >= 100)  # noqa: PLR2004
