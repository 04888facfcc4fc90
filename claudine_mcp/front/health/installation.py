"""The installation: Python, packages, SQLite, the program on PATH, and how a client is told of it."""

from __future__ import annotations

import re
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from pathlib import Path

import claudine_mcp
from claudine_mcp.front.health.findings import Finding, ok, problem, warning

PYTHON = (3, 11)
SQLITE = (3, 37)
"""The registry's tables are STRICT, which came then (sqlite.org/stricttables.html)."""
PROGRAM = "claudine-mcp"
REINSTALL = f"Install it again with its dependencies: pip install --force-reinstall {PROGRAM}"

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)[^;<>=~!]*([^;]*)(;.*)?")
_BOUND = re.compile(r"(>=|~=|==|<=|<|>|!=)\s*([0-9][0-9.]*)")


def look_at_installation(env: Mapping[str, str]) -> list[Finding]:
    """Look at everything that was installed."""
    return [
        python(sys.version_info[:3]),
        packages(),
        sqlite(sqlite3.sqlite_version_info, has_json=_has_json()),
        source(),
        on_path(shutil.which(PROGRAM, path=env.get("PATH")), Path(sys.executable)),
    ]


def python(version: tuple[int, ...]) -> Finding:
    """Judge the version of Python."""
    text = f"Python {'.'.join(map(str, version))} at {sys.executable}"
    if version[:2] < PYTHON:
        return problem("python", text, f"Install with Python {'.'.join(map(str, PYTHON))} or later.")
    return ok("python", text)


def packages() -> Finding:
    """See that every dependency is there, in a version that will do."""
    try:
        requirements = metadata.requires(PROGRAM) or []
    except metadata.PackageNotFoundError:
        return warning("packages", f"{PROGRAM} runs from its source without being installed", REINSTALL)
    return judge_packages(requirements, _installed)


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def judge_packages(requirements: Iterable[str], installed: Callable[[str], str | None]) -> Finding:
    """Judge dependencies.

    Args:
        requirements: as package metadata has them: `mcp~=2.3`; those with a marker are optional.
        installed: gives the version of a package, None if it is not there.
    """
    wrong: list[str] = []
    seen: list[str] = []
    for requirement in requirements:
        match = _REQUIREMENT.fullmatch(requirement)
        if match is None or (match[3] and "extra" in match[3]):
            continue
        name, bounds = match[1], match[2]
        version = installed(name)
        if version is None:
            wrong.append(f"{name} is missing")
        elif not satisfies(version, bounds):
            wrong.append(f"{name} is {version}, but {bounds.strip()} is needed")
        seen.append(f"{name} {version}")
    if wrong:
        return problem("packages", "; ".join(wrong), REINSTALL)
    return ok("packages", ", ".join(seen))


def satisfies(version: str, bounds: str) -> bool:
    """Whether a version fits bounds like `>=4.10,<5` or `~=2.3`, as far as its numbers tell."""
    have = _numbers(version)
    for sign, text in _BOUND.findall(bounds):
        want = _numbers(text)
        width = max(len(have), len(want))
        left, right = (numbers + (0,) * (width - len(numbers)) for numbers in (have, want))
        fits = {
            ">=": left >= right,
            "<=": left <= right,
            ">": left > right,
            "<": left < right,
            "!=": left != right,
            "==": left == right,
            "~=": left >= right and have[: len(want) - 1] == want[:-1],
        }[sign]
        if not fits:
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()


def sqlite(version: tuple[int, ...], *, has_json: bool) -> Finding:
    """Judge the SQLite that Python was built with."""
    text = f"SQLite {'.'.join(map(str, version))}, {'with' if has_json else 'without'} JSON"
    if version < SQLITE or not has_json:
        needed = f"{'.'.join(map(str, SQLITE))} with JSON"
        return problem("sqlite", text, f"Use a Python whose SQLite is {needed} or later.")
    return ok("sqlite", text)


def _has_json() -> bool:
    connection = sqlite3.connect(":memory:")
    try:
        return connection.execute("SELECT value FROM json_each('[7]')").fetchone() == (7,)
    except sqlite3.Error:
        return False
    finally:
        connection.close()


def source() -> Finding:
    """Say where the program was imported from."""
    return ok("program", f"{PROGRAM} {claudine_mcp.__version__} from {Path(claudine_mcp.__file__).parent}")


def on_path(found: str | None, executable: Path) -> Finding:
    """Judge what a client gets that starts `claudine-mcp` by name.

    Args:
        found: what is first on PATH by this name.
        executable: the Python that runs this.
    """
    register = f"To register it with Claude Code: claude mcp add claudine -- {PROGRAM}"
    own = executable.parent / PROGRAM
    if found is None:
        return warning(
            "path",
            f"{PROGRAM} is not on PATH",
            f"Register it by its whole path: claude mcp add claudine -- {own}"
            if own.exists()
            else f"Register it as: claude mcp add claudine -- {executable} -P -m claudine_mcp",
        )
    if own.exists() and not own.samefile(found):
        return warning(
            "path",
            f"{found} is first on PATH, which is another installation than this one ({own})",
            "Remove one of the two, or register the one that you mean by its whole path.",
        )
    return ok("path", f"{PROGRAM} is {found}", register)
