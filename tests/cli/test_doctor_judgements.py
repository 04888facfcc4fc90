"""What `doctor` makes of what it sees: tables, without the machine that they would come from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from claudine_mcp.front.health.directory import look_at_directory, look_at_files, modes, room
from claudine_mcp.front.health.findings import Verdict
from claudine_mcp.front.health.installation import judge_packages, on_path, python, satisfies, sqlite
from claudine_mcp.front.health.processes import Seen, judge_processes, run_of
from claudine_mcp.front.health.supervision import last_errors
from claudine_mcp.registry.inspection import Inspection, TaskFacts

OK, WARNING, PROBLEM = Verdict.OK, Verdict.WARNING, Verdict.PROBLEM


@pytest.mark.parametrize(
    ("version", "verdict"), [((3, 10, 9), PROBLEM), ((3, 11, 0), OK), ((3, 14, 1), OK), ((2, 7), PROBLEM)]
)
def test_python_is_judged_by_its_version(version: tuple[int, ...], verdict: Verdict) -> None:
    assert python(version).verdict is verdict


@pytest.mark.parametrize(
    ("version", "has_json", "verdict"),
    [((3, 40, 1), True, OK), ((3, 40, 1), False, PROBLEM), ((3, 36, 0), True, PROBLEM), ((3, 37), True, OK)],
)
def test_sqlite_is_judged_by_version_and_json(
    version: tuple[int, ...], has_json: bool, verdict: Verdict
) -> None:
    assert sqlite(version, has_json=has_json).verdict is verdict


@pytest.mark.parametrize(
    ("version", "bounds", "fits"),
    [
        ("2.3.0", "~=2.3", True),
        ("2.9.1", "~=2.3", True),
        ("2.2.9", "~=2.3", False),
        ("3.0", "~=2.3", False),
        ("4.10", ">=4.10", True),
        ("4.9", ">=4.10", False),
        ("4.10.0rc1", ">=4.10,<5", True),
        ("5.0.0", ">=4.10,<5", False),
        ("1.0", "==1.0.0", True),
        ("1.1", "!=1.1", False),
        ("7", "", True),
    ],
)
def test_versions_are_compared_as_numbers(version: str, bounds: str, fits: bool) -> None:
    assert satisfies(version, bounds) is fits


def test_missing_and_wrong_packages_are_named() -> None:
    installed = {"anyio": "4.10.0", "mcp": "3.0.0"}
    wanted = ["anyio>=4.10", "mcp~=2.3", "psutil>=7.0", 'pytest>=8; extra == "test"']

    finding = judge_packages(wanted, installed.get)

    assert finding.verdict is PROBLEM
    assert finding.what == "mcp is 3.0.0, but ~=2.3 is needed; psutil is missing"
    assert judge_packages(wanted[:1], installed.get).verdict is OK


def test_a_program_that_is_not_on_path_is_registered_otherwise(tmp_path: Path) -> None:
    executable = tmp_path / "python"

    finding = on_path(None, executable)
    assert finding.verdict is WARNING
    assert f"{executable} -P -m claudine_mcp" in (finding.mend or "")

    own = tmp_path / "claudine-mcp"
    own.touch()
    assert f"claude mcp add claudine -- {own}" in (on_path(None, executable).mend or "")
    assert on_path(str(own), executable).verdict is OK


def test_another_installation_that_comes_first_on_path_is_warned_of(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "claudine-mcp").touch()

    finding = on_path(str(tmp_path / "one" / "claudine-mcp"), tmp_path / "two" / "python")

    assert finding.verdict is WARNING
    assert "another installation" in finding.what


@pytest.mark.parametrize(
    ("kind", "verdict"), [("ext4", OK), ("nfs4", PROBLEM), ("9p", PROBLEM), ("btrfs", OK)]
)
def test_file_systems_without_reliable_locks_are_a_problem(
    tmp_path: Path, kind: str, verdict: Verdict
) -> None:
    mounts = f"36 35 98:0 / {tmp_path} rw - {kind} /dev/x rw\n"

    assert look_at_directory(tmp_path / "state", mounts)[0].verdict is verdict


def test_a_directory_that_does_not_exist_yet_is_fine_and_is_not_made(tmp_path: Path) -> None:
    finding, *others = look_at_directory(tmp_path / "state", "")

    assert (finding.verdict, others) == (OK, [])
    assert not (tmp_path / "state").exists()


def test_a_file_in_its_place_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "state").touch()

    assert look_at_directory(tmp_path / "state", "")[0].verdict is PROBLEM


def test_what_others_may_read_is_warned_of(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert modes(tmp_path) is None

    registry = tmp_path / "registry.db"
    registry.touch()
    registry.chmod(0o640)

    finding = modes(tmp_path)
    assert finding is not None
    assert (finding.verdict, finding.mend) == (WARNING, f"chmod -R go= {tmp_path}")
    assert f"{registry} (0640)" in finding.what


@pytest.mark.parametrize(("free_bytes", "verdict"), [(10**7, PROBLEM), (5 * 10**8, WARNING), (10**11, OK)])
def test_scarce_space_is_told_before_it_hurts(tmp_path: Path, free_bytes: int, verdict: Verdict) -> None:
    assert room(free_bytes, tmp_path).verdict is verdict
    assert "ballast is not there" in room(free_bytes, tmp_path).what


def test_what_crashes_left_is_found_and_what_is_in_the_making_is_not(tmp_path: Path) -> None:
    tasks = tmp_path / "tasks"
    for name in ("known", "orphan", "young"):
        (tasks / name).mkdir(parents=True)
    (tmp_path / "registry.db.new-1-ab").touch()
    for path in (tasks / "known", tasks / "orphan", tmp_path / "registry.db.new-1-ab"):
        os.utime(path, (0, 0))

    first, second = look_at_files(tmp_path, {"known"})

    assert first.what == "1 task directory without a task: orphan"
    assert second.what == "1 draft of a crash: registry.db.new-1-ab"
    assert first.verdict is second.verdict is WARNING


def test_processes_are_this_state_directorys_by_place_and_not_by_name() -> None:
    state = Path("/state")
    keeper = ["python", "-I", "/state/keepers/ab.py", "/state/tasks/abc/2", "/state/bell"]

    assert run_of(keeper, {}, state) == "abc.2"
    assert run_of(keeper, {}, Path("/other")) is None
    here = {"CLAUDINE_RUN": "abc.2", "CLAUDINE_PROGRESS": "/state/tasks/abc/2/progress"}
    assert run_of(["sleep"], here, state) == "abc.2"
    assert run_of(["sleep"], here, Path("/other")) is None
    assert run_of(["sleep"], {"CLAUDINE_RUN": "abc.2"}, state) is None


@pytest.mark.parametrize(
    ("seen", "verdict", "what"),
    [
        ([], OK, "none; 0 processes of running tasks"),
        ([Seen(7, "runs.1", False), Seen(6, "runs.1", True)], OK, "none; 1 process of running tasks"),
        (
            [Seen(7, "over.2", False), Seen(6, "over.2", True)],
            WARNING,
            "1 process of task over outlived its run 2 (pid 7)",
        ),
        ([Seen(6, "over.2", True)], WARNING, "1 keeper of task over outlived its run 2 (pid 6)"),
        ([Seen(7, "again.1", False)], WARNING, "1 process of task again outlived its run 1 (pid 7)"),
        (
            [Seen(7, "gone.1", False)],
            WARNING,
            "1 process of run gone.1, which the registry does not know (pid 7)",
        ),
        (
            [Seen(7, "runs.9", False)],
            WARNING,
            "1 process of run runs.9, which the registry does not know (pid 7)",
        ),
    ],
)
def test_processes_are_judged_by_what_the_registry_knows(
    seen: list[Seen], verdict: Verdict, what: str
) -> None:
    known = Inspection(
        tasks={
            "runs": TaskFacts("running", 1),
            "over": TaskFacts("ended", 2),
            "again": TaskFacts("running", 2),
        },
        runs={"runs.1", "over.1", "over.2", "again.1", "again.2"},
    )

    (finding,) = judge_processes(seen, known)

    assert (finding.verdict, finding.what) == (verdict, what)


def test_only_complaints_since_the_last_supervisor_began_count() -> None:
    log = """\
2026-01-01 10:00:00,000 INFO epoch 1 in /state, pid 5
2026-01-01 10:00:01,000 ERROR an old one
2026-01-01 11:00:00,000 INFO epoch 2 in /state, pid 6
2026-01-01 11:00:01,000 ERROR a new one
Traceback (most recent call last):
ValueError: its cause
2026-01-01 11:00:02,000 INFO epoch 2 ends: there is nothing to do
"""
    assert last_errors(log) == ["2026-01-01 11:00:01,000 ERROR a new one", "ValueError: its cause"]
    assert last_errors(log.split("2026-01-01 11:00:01", maxsplit=1)[0]) == []
    assert last_errors("2026-01-01 10:00:00,000 ERROR it cannot start\n") == [
        "2026-01-01 10:00:00,000 ERROR it cannot start"
    ]
    assert last_errors("") == []
