"""What a session is told of events without having asked: short, on one line, and with where to look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from claudine_mcp.core.alerts import ENDED, asks_permission, is_alert
from claudine_mcp.core.models import Event

POINTER_CHARS = 400
"""Claude Code cuts a line of a monitor at 500 characters."""
ENTRY_CHARS = 180
NOTICE_ENTRIES = 10
"""How many events a notice names; the others it counts."""
LOOK = "ListTasks shows all"
HEADING = "An automatic notice about background tasks, not the user's words:"


def pointer(events: Sequence[Event]) -> str:
    """Give one line of at most `POINTER_CHARS` characters about some events, at least one.

    All are named if they fit; otherwise they are counted, and the most severe are named.
    """
    if len(events) == 1:
        return _entry(events[0], POINTER_CHARS)
    entries = [_entry(event, ENTRY_CHARS) for event in _most_severe_first(events)]
    whole = "; ".join(entries)
    if len(whole) <= POINTER_CHARS:
        return whole
    line, rest = f"{_counts(events)}. ", f" … {LOOK}"
    for entry in entries:
        if len(line) + len(entry) + len("; ") + len(rest) > POINTER_CHARS:
            break
        line += f"{entry}; "
    return line.rstrip("; ")[: POINTER_CHARS - len(rest)] + rest


def notice(events: Sequence[Event]) -> str:
    """Give several lines about some events, at least one, for where there is room."""
    named = _most_severe_first(events)[:NOTICE_ENTRIES]
    lines = [HEADING, *(f"- {_entry(event, POINTER_CHARS)}" for event in named)]
    if len(events) > len(named):
        lines.append(f"These are the most severe of {len(events)} ({_counts(events)}); {LOOK}.")
    return "\n".join(lines)


def one_line(text: str) -> str:
    """Give a text, such as a name that may hold anything, as one printable line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _entry(event: Event, limit: int) -> str:
    """Say what happened and where to look; the words are cut, the rest is kept."""
    alert = f"alert {event.seq}" if is_alert(event) else ""
    if asks_permission(event):
        look = f"ask the user, then AnswerAlert {event.seq}"
    elif event.task_id is not None:
        look = ": ".join(filter(None, [alert, f"TaskStatus {event.task_id}"]))
    else:
        look = ": ".join(filter(None, [alert, "SystemStatus"]))
    words = one_line(event.message)
    room = limit - len(look) - len(" []")
    return f"{words if len(words) <= room else words[: room - 1] + '…'} [{look}]"


def _most_severe_first(events: Sequence[Event]) -> list[Event]:
    """Sort them; before all, what stands still until a person answers, and is refused if nobody does."""
    return sorted(events, key=lambda event: (not asks_permission(event), -event.severity.rank, event.seq))


def _counts(events: Sequence[Event]) -> str:
    ends = Counter(str(event.data.get("outcome")) for event in events if event.type == ENDED)
    others = Counter(event.type for event in events if event.type != ENDED)
    parts = [f"{count} {outcome.replace('_', ' ')}" for outcome, count in ends.most_common()]
    if ends:
        noun = "task has" if ends.total() == 1 else "tasks have"
        parts = [f"{ends.total()} {noun} ended ({', '.join(parts)})"]
    return ", ".join([*parts, *(f"{count} of {kind}" for kind, count in others.most_common())])
