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
    assert "1 scenario," in done.stdout


def test_a_recorded_series_is_played_from_its_points(tmp_path: Path) -> None:
    points = [["0s", "200MB"], ["10m", "300MB"], ["12m", "3GB"], ["30m", "3GB"]]
    run = {"memory": {"points": {"at": points}}}
    expect = {"finding": "high-memory", "from": "11m", "within": "2m"}
    done = detect("--scenarios", written(tmp_path, run=run, expect=expect), "--seeds=1")
    assert done.returncode == 0, done.stdout + done.stderr


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
        ({"run": {"memry": 3}}, "'memry' means nothing here; did you mean 'memory'?"),
        ({"run": {"memory": {"rampp": {}}}}, "name one shape of"),
        ({"run": {"memory": {"ramp": {"from": 1}}}}, "rise is missing"),
        ({"lasts": "soon"}, "'soon' is no duration"),
        ({"settings": {"stallThreshhold": "1m"}}, "stallThreshold"),
        ({"run": {"activity": [{"phase": "thinking"}]}}, "write stage for others"),
        ({"run": {"activity": [{"repeat": [{"phase": "model"}]}]}}, "run[0].activity[0].repeat[0]: for is"),
        ({"run": {"memory": {"points": {"at": [["1m", 1], ["1m", 2]]}}}}, "at[1]: it is not after"),
        ({"run": {"wchan": [{"during": ["1m"], "in": ["x"]}]}}, "run[0].wchan[0].during[0]: write"),
        ({"run": [{"name": "a"}, {"name": "a"}]}, "run[1].name: there is a run 'a' already"),
        ({"paused": [["2m", "1m"]]}, "paused[0]: it ends before it begins"),
        ({"interval": 0}, "interval: it must take some time"),
        ({"seeds": 1.5}, "seeds: 1.5 is no whole number"),
        ({"expects": []}, "did you mean 'expect'?"),
        ({"expect": [{"finding": "memory-leek"}]}, "expect[0].finding: 'memory-leek' is none of"),
        ({"expect": [{"finding": "stalled", "why": "tired"}]}, "expect[0].why: 'tired' is none of"),
        ({"expect": [{"finding": "stalled", "severity": "bad"}]}, "expect[0].severity: 'bad' is none of"),
        ({"expect": [{"finding": "stalled", "run": "x"}]}, "expect[0].run: 'x' is none of run"),
        ({"expect": [{"finding": "stalled", "from": "1h", "by": "1m"}]}, "expect[0]: by (60 s) is not after"),
    ],
)
def test_a_scenario_that_cannot_be_understood_says_where(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    done = detect("--scenarios", written(tmp_path, **changes))
    assert done.returncode == 2
    assert "scenario.json: leak" in done.stderr
    assert says in done.stderr
