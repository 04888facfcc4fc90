"""`events`: what has happened and, with --follow, what happens; one line an event."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from claudine_mcp.cli.client import while_supervised, with_front
from claudine_mcp.cli.console import is_abandoned, note
from claudine_mcp.cli.options import AsJson
from claudine_mcp.cli.showing import event_line
from claudine_mcp.cli.words import DONE, told
from claudine_mcp.core.errors import ClaudineError, InvalidInput
from claudine_mcp.core.models import Event, Severity
from claudine_mcp.front.following import (
    RegistryReplaced,
    check_cursor,
    events_page,
    follow_events,
    newest_event,
)
from claudine_mcp.front.front import Front
from claudine_mcp.front.views import event_view, shown

RETRY_S = 2.0


def events(
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on for ever.")] = False,
    after: Annotated[
        int | None,
        typer.Option(help="Only those after this number. Default: all; with --follow: from now on."),
    ] = None,
    min_severity: Annotated[
        str, typer.Option(help="debug, info, notice, warning, error or critical.")
    ] = Severity.INFO.value,
    as_json: AsJson = False,
) -> int:
    """Show what has happened, or what happens.

    A line an event, oldest first: number, time, severity, type, message.
    """
    try:
        least = Severity(min_severity)
    except ValueError:
        right = f"Give one of {', '.join(Severity)}."
        raise InvalidInput("minSeverity", f"{min_severity!r} is none", right) from None
    if after is not None:
        check_cursor(after)
    writer = Writer(as_json=as_json)
    if follow:
        return _follow(writer, after, least)

    async def show(front: Front) -> int:
        cursor, more = after or 0, True
        while more:
            page = await events_page(front, cursor, min_severity=least)
            cursor, more = page.cursor, page.more
            for event in page.events:
                writer.write(event)
        return DONE

    return with_front(show)


class Writer:
    """Writes events, each at once.

    Attributes:
        cursor: after the last event that was written, None before the first.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self.cursor: int | None = None

    def write(self, event: Event) -> None:
        """Write one event."""
        line = (
            json.dumps(shown(event_view(event)), ensure_ascii=False) if self._as_json else event_line(event)
        )
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        self.cursor = event.seq


def _follow(writer: Writer, after: int | None, least: Severity) -> int:
    """Follow until nobody listens any more. What is out of reach for a while is tried again."""
    leave_at_once_by_signals()
    directory: Path | None = None

    async def show(front: Front) -> None:
        nonlocal directory, after
        directory = front.state_dir
        if after is None:
            after = await newest_event(front)
        begin = after if writer.cursor is None else writer.cursor
        following = partial(
            follow_events, front, begin, writer.write, min_severity=least, enough=nobody_listens
        )
        await while_supervised(front, following)

    while not nobody_listens():
        try:
            # One that was removed is not made again only to watch it.
            if directory is None or directory.is_dir():
                with_front(show)
        except (ClaudineError, OSError) as error:
            if directory is None or isinstance(error, BrokenPipeError):
                raise
            if isinstance(error, RegistryReplaced):
                after, writer.cursor = 0, None
            note(told(f"{error} (trying again)"))
        if not nobody_listens():
            time.sleep(RETRY_S)
    return DONE


def leave_at_once_by_signals() -> None:
    """End with success by each signal that asks for an end, unless it is ignored.

    Not by an exception: one that comes while a slow reader keeps us waiting in write() would wait, too. There
    is nothing to clean up, since nothing of the registry is being written.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda _number, _frame: os._exit(DONE))


def nobody_listens() -> bool:
    """Whether whoever read our output has left."""
    return is_abandoned(sys.stdout.fileno())
