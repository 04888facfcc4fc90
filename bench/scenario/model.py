"""Scenarios, as they are read from data files; `bench/scenarios/README.md` describes those."""

from __future__ import annotations

import json
import random
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claudine_mcp.core.models import Severity
from claudine_mcp.core.wording import TYPES
from scenario.values import Table, WrongScenario


@dataclass(frozen=True, slots=True)
class Expected:
    """What must be found.

    Attributes:
        findings: any of them.
        since_s, by_s: when, in the scenario's time.
        run: in which run, "" for any, or for the machine.
        cleared_by_s: until when it must be over again; None: that does not matter.
    """

    findings: tuple[str, ...]
    since_s: float
    by_s: float
    run: str = ""
    why: str = ""
    least: Severity = Severity.NOTICE
    cleared_by_s: float | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario, as it was read."""

    name: str
    about: str
    path: Path
    values: dict[str, Any]
    lasts_s: float
    interval_s: float
    seeds: int
    expected: tuple[Expected, ...]
    allowed: frozenset[str]


def load(path: Path) -> list[Scenario]:
    """Read a file, or all files of a folder.

    Raises:
        WrongScenario: one cannot be understood; it says which, and why.
    """
    if path.is_dir():
        files = sorted(item for item in path.rglob("*") if item.suffix in {".toml", ".json"})
        return [scenario for file in files for scenario in load(file)]
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError) as error:
        raise WrongScenario(f"{path}: {error}") from None
    items = values if isinstance(values, list) else values.get("scenario", [values])
    return [_scenario(dict(item), path) for item in items]


def _scenario(values: dict[str, Any], path: Path) -> Scenario:
    name = values.get("name", path.stem)
    where = f"{path.name}: {name}"
    table = Table(values, where, random.Random(name))
    table.take("name")
    about = table.take("about", "")
    lasts_s, interval_s = table.seconds("lasts"), table.seconds("interval", 1)
    expected = tuple(
        _expected(Table(item, f"{where}.expect[{place}]", table.rng), lasts_s)
        for place, item in enumerate(table.take("expect", []))
    )
    allowed = frozenset(_full_name(name, where) for name in table.take("allow", []))
    scenario = Scenario(
        name, about, path, values, lasts_s, interval_s, int(table.number("seeds", 3)), expected, allowed
    )
    for key in ("settings", "machine", "run", "paused", "slept"):
        table.take(key)  # read where it is played
    table.done()
    return scenario


def _full_name(finding: str, where: str) -> str:
    name = finding if ":" in finding else f"task:{finding}"
    if name not in TYPES:
        raise WrongScenario(f"{where}: {finding!r} is none of {', '.join(sorted(TYPES))}")
    return name


def _expected(table: Table, lasts_s: float) -> Expected:
    found = table.take("finding", [])
    names = [found] if isinstance(found, str) else found
    findings = tuple(_full_name(name, table.where) for name in names)
    if not findings:
        raise WrongScenario(f"{table.where}: finding is missing")
    since_s = table.seconds("from", 0)
    by_s = table.seconds("by", lasts_s)
    if table.has("within"):
        by_s = since_s + table.seconds("within")
    expected = Expected(
        findings,
        since_s,
        by_s,
        table.take("run", ""),
        table.take("why", ""),
        Severity(table.take("severity", "notice")),
        table.seconds("cleared_by") if table.has("cleared_by") else None,
    )
    table.done()
    return expected
