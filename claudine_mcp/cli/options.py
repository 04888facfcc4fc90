"""Options that several commands have, and what is made of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated

import typer

from claudine_mcp.cli.words import since
from claudine_mcp.front.filters import TaskFilter, filter_of

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON, in the field names of the tools.")]
TaskId = Annotated[str, typer.Argument(metavar="ID", help="A task's id, or the beginning of it.")]
Reason = Annotated[str | None, typer.Option(help="Why, for the record.")]

StateOption = Annotated[
    list[str] | None, typer.Option("--state", help="queued, running, ended, …; may be repeated.")
]
OutcomeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--outcome", help="succeeded, failed, cancelled, interrupted, not_started, skipped; may be repeated."
    ),
]
KindOption = Annotated[list[str] | None, typer.Option("--kind", help="command or claude; may be repeated.")]
PriorityOption = Annotated[str | None, typer.Option("--priority", help="P0, P1 or P2.")]
LabelOption = Annotated[str | None, typer.Option("--label", help="One of its labels.")]
CwdOption = Annotated[str | None, typer.Option("--cwd", help="Its working directory, exactly.")]
TextOption = Annotated[str | None, typer.Option("--text", help="Part of its name or id.")]
SinceOption = Annotated[
    str | None, typer.Option("--since", help='Submitted since: "2h" ago, or an RFC 3339 time.')
]


def task_filter(
    *,
    state: Sequence[str] | None,
    outcome: Sequence[str] | None,
    kind: Sequence[str] | None,
    priority: str | None,
    label: str | None,
    cwd: str | None,
    text: str | None,
    submitted_since: str | None,
) -> TaskFilter:
    """Make a filter of the options.

    Raises:
        InvalidInput: one of them is wrong.
    """
    values = {
        "state": list(state or ()) or None,
        "outcome": list(outcome or ()) or None,
        "kind": list(kind or ()) or None,
        "priority": priority,
        "label": label,
        "cwd": None if cwd is None else os.path.abspath(cwd),  # noqa: PTH100 - without following links
        "text": text,
        "since": since(submitted_since),
    }
    chosen = filter_of({name: value for name, value in values.items() if value is not None})
    chosen.criteria()
    return chosen
