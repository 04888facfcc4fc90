"""`config`: what is in force, and what is wrong with a file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from claudine_mcp.cli.console import note, say, say_json, table
from claudine_mcp.cli.options import AsJson
from claudine_mcp.cli.words import DONE, FAILED
from claudine_mcp.core.units import human_duration, human_size
from claudine_mcp.front.configuration import problems_of_file, settings_with_origins, user_file

config = typer.Typer(help="Show or check the configuration.", no_args_is_help=True)

_BYTES = frozenset(
    {"limits.maxMemoryPerTask", "limits.criticalMemory", "limits.systemMemoryReserve", "limits.maxLogBytes"}
)
_DURATIONS = (
    "Interval",
    "Threshold",
    "Timeout",
    "Grace",
    "Spacing",
    "ageing",
    "idleExit",
    ".tasks",
    ".logs",
    ".samples",
)


@config.command("show")
def show(as_json: AsJson = False) -> int:
    """Show each setting in force with its origin.

    An origin is "default", a preset, a file, or ConfigureMonitoring, which changes settings at run time.
    """
    resolved = settings_with_origins(os.environ)
    values = resolved.settings.flat()
    if as_json:
        say_json({key: {"value": value, "origin": resolved.origins[key]} for key, value in values.items()})
        return DONE
    rows = [[key, _shown(key, value), resolved.origins[key]] for key, value in values.items()]
    table(["KEY", "VALUE", "ORIGIN"], rows)
    path = user_file(os.environ)
    note(f"the user's file is {path}" + ("" if path.exists() else ", which does not exist"))
    return DONE


def _shown(key: str, value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, int) or isinstance(value, bool):
        return text
    if key in _BYTES:
        return f"{text} ({human_size(value)})"
    return f"{text} ({human_duration(value / 1000)})" if key.endswith(_DURATIONS) else text


@config.command("check")
def check(
    file: Annotated[Path, typer.Argument(help="The user's file, or a project's .claudine.json.")],
    as_json: AsJson = False,
) -> int:
    """Say all that is wrong with a file.

    Exits with 0 if nothing is, else with 1.
    """
    problems = problems_of_file(file)
    if as_json:
        say_json({"file": str(file), "problems": problems})
    elif problems:
        for problem in problems:
            say(problem)
    else:
        say(f"{file}: nothing is wrong with it")
    return FAILED if problems else DONE
