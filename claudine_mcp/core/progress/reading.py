"""What one line of output says of progress, by the table of `formats`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from claudine_mcp.core.progress.formats import (
    AT_ONCE,
    FEW_STEPS,
    LIKELY,
    MEASURES,
    PHASES,
    STAMP,
    STEPS,
    UNMISTAKABLE,
    Format,
)
from claudine_mcp.core.progress.model import PHASE_CHARS
from claudine_mcp.core.units import printable

FEW: Final = 20
"""So many at most are steps, each of which is something else, and not items."""
LONGEST_CHARS: Final = 1024
"""A line that is longer is no progress, and is not read: what a row takes may grow faster than its line."""
MOST_COUNTED: Final = 10**12
"""A total beyond that, as it is written, counts nothing that will ever be complete."""

_NAME_CHARS: Final = 60
_WORDS: Final = 4
_LONE_NUMBER: Final = re.compile(r"(?:^|\s)[\d.,]+(?:[KMGT]i?B?)?(?=\s|$)")
_ANY_COUNT: Final = re.compile(r"\d ?/ ?\d|\d (?:out )?of \d")
_NEXT_WORDS: Final = re.compile(r"(?:[A-Za-z]+ ?){0,3}")
_OF_SOMETHING: Final = re.compile(r"of [A-Za-z]")
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z'-]*")
_ELLIPSIS: Final = re.compile(r" *(?:(?<!\.)\.{2,}|…|:)$")
_DIGITS: Final = re.compile(r"\d+")
_SCALE: Final = {"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}


class Reading(NamedTuple):
    """What a line says of one counter.

    Attributes:
        format: the row of the table that it fits.
        name: which counter of that format.
        value: how much is complete; of steps, the number of the one that has begun.
        total: of how much; 100 where a percentage is told.
        phase: what is being done, if it says so; safe, and one line.
        is_percent: whether it tells a percentage.
        is_steps: whether it counts steps, and `value` is the one that has begun.
        needs: how many growing values it takes until this is believed.
    """

    format: Format
    name: str
    value: float
    total: float
    phase: str | None
    is_percent: bool
    is_steps: bool
    needs: int


def readings(line: str) -> list[Reading]:
    """Give what a line says: the step that has begun, if it names one, and how far that is, if it says so.

    Args:
        line: as a terminal would show it.
    """
    text = line.rstrip()
    if len(text) > LONGEST_CHARS:
        return []
    stamp = STAMP.match(text)
    text = rest = text[stamp.end() :] if stamp else text
    step, span = _first(STEPS, text)
    if step is not None:
        rest = f"{text[: span[0]]} {text[span[1] :]}".strip()
    item, _ = _first(UNMISTAKABLE, rest)
    is_certain = item is not None
    if step is None:
        count, span = _first(FEW_STEPS, text)
        if count is None or (item is not None and item.value == count.value):
            pass  # there is none, or it is what pytest ends its lines with
        elif count.is_steps:
            step, rest = count, text[: span[0]] + text[span[1] :]
        else:
            item = item or count
    if item is None:
        item, _ = _first(LIKELY, rest)
    if item is not None and step is not None:
        item = item._replace(is_steps=False)
        step = step._replace(needs=AT_ONCE) if is_certain else step
    return [found for found in (step, item) if found is not None]


def phase_in(line: str) -> str | None:
    """Give what a line says is being done, where it does not say how far."""
    for pattern in PHASES:
        found = pattern.match(line)
        if found is not None:
            return found["phase"]
    return None


def _first(rows: Sequence[Format], text: str) -> tuple[Reading | None, tuple[int, int]]:
    """Give what the first row that fits says, and where."""
    has_percent, has_count = "%" in text, "/" in text or " of " in text
    for row in rows:
        if not row.may_fit(has_percent=has_percent, has_count=has_count):
            continue
        found = row.pattern.search(text)
        reading = None if found is None else _read(row, found, text)
        if found is not None and reading is not None:
            return reading, found.span()
    return None, (0, 0)


def _read(row: Format, found: re.Match[str], text: str) -> Reading | None:
    """Give what a line that fits says; None if it cannot be progress."""
    groups = {name: value for name, value in found.groupdict().items() if value is not None}
    number = "done" if "done" in groups else "percent"
    value, total = _amount(groups)
    if not 0 <= value <= total or total < 1 or _written(groups.get("total", "0")) > MOST_COUNTED:
        return None
    name = groups.get("name", "")
    after = text[found.end("total" if number == "done" else number) :] if row.words == "beside" else ""
    if row.words != "nowhere" and _is_measure(name, after):
        return None
    if row.is_alone and not _is_alone(number, name, groups, text):
        return None
    is_steps = row.is_steps or (row.is_few_steps and total <= FEW)
    return Reading(
        row,
        _DIGITS.sub("#", name).strip().casefold()[:_NAME_CHARS],
        value,
        total,
        _phase(row, groups, is_steps=is_steps),
        is_percent="done" not in groups,
        is_steps=is_steps,
        needs=row.needs,
    )


def _amount(groups: Mapping[str, str]) -> tuple[float, float]:
    """Give how much is complete, and of how much. A line without a number says that a count begins."""
    if "done" not in groups:
        return float(groups.get("percent", 0)), 100.0
    return _number(groups["done"]) + _number(groups.get("more", "0")), _number(groups["total"])


def _number(text: str) -> float:
    return _written(text) * _SCALE.get(text[-1], 1.0)


def _written(text: str) -> float:
    """Give a number without regard to its unit."""
    try:
        return float(text.rstrip("kKMGTPE").replace(",", ""))
    except ValueError:  # more than one point
        return -1.0


def _is_measure(before: str, after: str) -> bool:
    """Whether the words beside a number say that it measures something else than progress."""
    following = _NEXT_WORDS.match(after.lstrip("%]) "))
    words = following[0] if following else ""
    return bool(MEASURES.search(before) or MEASURES.search(words) or _OF_SOMETHING.match(words))


def _is_alone(number: str, name: str, groups: Mapping[str, str], text: str) -> bool:
    """Whether a line is about this one number: neither a row of a table nor a date."""
    if number == "percent":
        return not _LONE_NUMBER.search(name)
    return len(_ANY_COUNT.findall(text)) == 1 and not (len(groups["done"]) > 1 and groups["done"][0] == "0")


def _phase(row: Format, groups: Mapping[str, str], *, is_steps: bool) -> str | None:
    """Give what is being done: of a step all that it says, else the words that begin it."""
    told, name = groups.get("phase", ""), groups.get("name", "")
    if not is_steps:
        return _words(told) or _words(name) or row.phase
    text = printable(_ELLIPSIS.sub("", (told or name).strip().split("  ")[0]))[:PHASE_CHARS]
    return f"{text} {groups['done']}/{groups['total']}" if _PLAIN.fullmatch(text) else text or row.phase


def _words(text: str) -> str:
    """Give the plain words with which a text begins, a few of them."""
    words: list[str] = []
    for word in text.strip(" \t-:>|").split()[:_WORDS]:
        plain = word.rstrip(".…:,")
        if not _PLAIN.fullmatch(plain):
            break
        words.append(plain)
        if plain != word:
            break
    return " ".join(words)
