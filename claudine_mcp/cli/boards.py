"""Where `demo` shows what goes on: a table that changes, or plain lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from claudine_mcp.cli.console import say
from claudine_mcp.cli.delegated import DOING
from claudine_mcp.core.units import human_duration, printable

Row = Mapping[str, Any]
COLOURS = {"succeeded": "green", "failed": "red", "cancelled": "yellow", "running": "cyan"}


class Board(Protocol):
    """Shows a play."""

    def show(self, rows: Sequence[Row]) -> None:
        """Show how the tasks are."""
        ...

    def say(self, text: str) -> None:
        """Tell what is being done."""
        ...

    @contextmanager
    def running(self) -> Generator[None]:
        """Be there while it is played."""
        ...


def standing(row: Row) -> str:
    """Say where a task is: its outcome once it has ended, else its state."""
    return row.get("outcome") or row["state"]


def because(row: Row) -> str:
    """Say why a task is where it is, or what it is doing, as far as that is known."""
    if row.get("reason"):
        return row["reason"]
    if "question" in row:
        return f"asks to use {row['question']['summary']}"
    phase: Mapping[str, Any] | None = row.get("phase")
    return "" if phase is None else " ".join([DOING[phase["name"]], *phase.get("tools", ())])


class Silent:
    """Shows nothing."""

    def show(self, rows: Sequence[Row]) -> None:
        """See `Board`."""

    def say(self, text: str) -> None:
        """See `Board`."""

    @contextmanager
    def running(self) -> Generator[None]:
        """See `Board`."""
        yield


class Plain(Silent):
    """Writes a line for whatever changes."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._seen: dict[str, str] = {}

    def show(self, rows: Sequence[Row]) -> None:
        """See `Board`."""
        for row in rows:
            text = standing(row)
            if text != "starting" and self._seen.get(row["name"]) != text:
                self._seen[row["name"]] = text
                reason = f" ({row['reason']})" if row.get("reason") else ""
                self.say(f"  {row['name']}: {text}{reason}")

    def say(self, text: str) -> None:
        """See `Board`."""
        say(printable(f"{time.monotonic() - self._began:4.1f} s  {text}"))
        sys.stdout.flush()  # whoever reads this by a pipe wants to see it now


class Live(Silent):
    """Keeps a table on the terminal, with what is being done above it."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - only for this
        from rich.live import Live as LiveTable  # noqa: PLC0415

        self._live = LiveTable(console=Console(highlight=False), refresh_per_second=8)

    def show(self, rows: Sequence[Row]) -> None:
        """See `Board`."""
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table("task", "is", "for", "because", expand=False)
        for row in rows:
            text = standing(row)
            took = row.get("runtimeSeconds")
            table.add_row(
                Text(printable(row["name"])),
                Text(text, style=COLOURS.get(text, "")),
                "" if took is None else human_duration(took),
                Text(printable(because(row))),
            )
        self._live.update(table)

    def say(self, text: str) -> None:
        """See `Board`."""
        self._live.console.print(printable(text), markup=False)

    @contextmanager
    def running(self) -> Generator[None]:
        """See `Board`."""
        with self._live:
            yield
