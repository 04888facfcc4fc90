"""The detection bench: its scenarios can be read, the short ones are told rightly, mistakes are named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[2] / "bench"
PROGRAM = BENCH / "detection.py"


def detect(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROGRAM), *arguments], capture_output=True, text=True, check=False, timeout=300
    )


@pytest.mark.parametrize("name", ["silence", "claude", "machine"])
def test_the_scenarios_of_the_repository_are_told_rightly(name: str) -> None:
    done = detect("--scenarios", str(BENCH / "scenarios" / f"{name}.toml"), "--seeds=1")
    assert done.returncode == 0, done.stdout + done.stderr


LEAK: dict[str, Any] = {
    "name": "leak",
    "lasts": "1h",
    "interval": "5s",
    "run": {"memory": {"ramp": {"from": "200MB", "rise": "25MB"}}},
    "expect": [{"finding": "memory-leak", "by": "1h"}],
}


def written(folder: Path, **changes: Any) -> str:
    path = folder / "scenario.json"
    path.write_text(json.dumps([{**LEAK, **changes}]), encoding="utf-8")
    return str(path)


def test_scenarios_from_elsewhere_are_played(tmp_path: Path) -> None:
    done = detect("--scenarios", written(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 scenarios" in done.stdout


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"expect": []}, "false:\n  leak (seed 0): task:memory-leak of run"),
        ({"expect": [{"finding": "memory-leak", "by": "5m"}]}, "missed:\n  leak (seed 0): task:memory-leak"),
    ],
    ids=["nothing was expected", "it comes too late"],
)
def test_what_is_told_wrongly_is_named(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    done = detect("--scenarios", written(tmp_path, **changes), "--seeds=1")
    assert done.returncode == 1
    assert says in done.stdout


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"run": {"memry": 3}}, "'memry' means nothing here"),
        ({"run": {"memory": {"rampp": {}}}}, "name one shape of"),
        ({"run": {"memory": {"ramp": {"from": 1}}}}, "rise is missing"),
        ({"lasts": "soon"}, "'soon' is no duration"),
        ({"settings": {"stallThreshhold": "1m"}}, "stallThreshold"),
        ({"run": {"activity": [{"phase": "thinking"}]}}, "write stage for others"),
        ({"expect": [{"finding": "memory-leek"}]}, "memory-leek"),
    ],
    ids=["key", "shape", "number", "duration", "setting", "phase", "finding"],
)
def test_a_scenario_that_cannot_be_understood_says_where(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    done = detect("--scenarios", written(tmp_path, **changes))
    assert done.returncode == 2
    assert "scenario.json: leak" in done.stderr
    assert says in done.stderr
