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

WHYS = frozenset(
    {
        "",
        *("model", "tool", "permission", "rate-limit", "overload", "after-result", "background"),
        *("busy", "blocked", "stopped", "unknown"),
        *("limit", "reserve", "exhaustion", "pressure", "rate", "full", "disk", "cpu"),
    }
)
"""What a finding can give as its `why` or its `cause`."""


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
    if isinstance(values, dict) and "scenario" in values:
        if len(values) > 1:
            others = ", ".join(repr(key) for key in values if key != "scenario")
            raise WrongScenario(f"{path}: {others} beside [[scenario]] belongs into one")
        values = values["scenario"]
    items = values if isinstance(values, list) else [values]
    return [_scenario(item, path, place) for place, item in enumerate(items)]


def _scenario(values: Any, path: Path, place: int) -> Scenario:
    if not isinstance(values, dict):
        raise WrongScenario(f"{path}: the scenario at place {place + 1} is no table, but {values!r}")
    name = Table(values, f"{path.name}[{place}]", random.Random()).text("name", path.stem)
    where = f"{path.name}: {name}"
    table = Table(values, where, random.Random(name))
    table.take("name")
    about = table.text("about")
    lasts_s, interval_s = table.some_seconds("lasts"), table.some_seconds("interval", 1)
    expected = tuple(
        _expected(Table(item, f"{where}.expect[{number}]", table.rng), lasts_s)
        for number, item in enumerate(table.items("expect"))
    )
    allowed = frozenset(_full_name(finding, f"{where}.allow") for finding in table.texts("allow"))
    seeds = table.count("seeds", 3)
    scenario = Scenario(name, about, path, values, lasts_s, interval_s, seeds, expected, allowed)
    for key in ("settings", "machine", "run", "paused", "slept"):
        table.take(key)  # read where it is played
    table.done()
    return scenario


def _full_name(finding: str, where: str) -> str:
    # "task:" is understood; "overload" can be nothing but the machine's.
    names = [name for name in TYPES if finding in {name, name.partition(":")[2]}]
    if not names:
        raise WrongScenario(f"{where}: {finding!r} is none of {', '.join(sorted(TYPES))}")
    return names[0]


def _expected(table: Table, lasts_s: float) -> Expected:
    findings = tuple(_full_name(name, f"{table.where}.finding") for name in table.texts("finding"))
    if not findings:
        raise WrongScenario(f"{table.where}: finding is missing")
    since_s = table.seconds("from", 0)
    if table.has("within") and table.has("by"):
        raise WrongScenario(f"{table.where}: write within or by, not both")
    by_s = since_s + table.seconds("within") if table.has("within") else table.seconds("by", lasts_s)
    if by_s <= since_s:
        raise WrongScenario(f"{table.where}: by ({by_s:g} s) is not after from ({since_s:g} s)")
    severity = table.text("severity", Severity.NOTICE)
    if severity not in set(Severity):
        raise WrongScenario(f"{table.where}.severity: {severity!r} is none of {', '.join(Severity)}")
    expected = Expected(
        findings,
        since_s,
        by_s,
        table.text("run"),
        table.text("why"),
        Severity(severity),
        table.seconds("cleared_by") if table.has("cleared_by") else None,
    )
    if expected.why not in WHYS:
        raise WrongScenario(
            f"{table.where}.why: {expected.why!r} is none of {', '.join(sorted(WHYS - {''}))}"
        )
    table.done()
    return expected
