"""`doctor`, on real state directories in every kind of disorder."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from commandline import CommandLine
from support import holder_of, stop_supervisor, wait_until

from claudine_mcp.host.signals import send

OF_THE_MACHINE = {"disk", "logout"}
"""What may be wrong wherever the tests run."""

STRANGER = """
import fcntl, sys
file = open(sys.argv[1])
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def findings(cli: CommandLine) -> dict[str, dict[str, Any]]:
    """Give the findings by what was looked at; of several the last."""
    done = cli.run("doctor", "--json", expect=None)
    found = json.loads(done.stdout)
    assert done.returncode == (1 if any(finding["verdict"] == "problem" for finding in found) else 0)
    return {finding["check"]: finding for finding in found}


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    found = {str(path.relative_to(folder)): path.lstat() for path in folder.rglob("*")}
    return {name: (status.st_size, status.st_mtime_ns) for name, status in found.items()}


def test_a_fresh_installation_is_sound_and_nothing_is_made(cli: CommandLine) -> None:
    found = findings(cli)

    assert {check for check, finding in found.items() if finding["verdict"] == "problem"} <= OF_THE_MACHINE
    assert "does not exist yet" in found["state directory"]["what"]
    assert not cli.home.state_dir.exists()


def test_a_working_installation_is_sound(cli: CommandLine) -> None:
    cli.until(cli.submit("exec sleep 600"), "running")

    found = findings(cli)

    assert {check for check, finding in found.items() if finding["verdict"] == "problem"} <= OF_THE_MACHINE
    assert found["registry"]["what"] == "sound, version 2, 1 task"
    assert found["supervisor"]["verdict"] == "ok"
    assert "epoch 1" in found["supervisor"]["what"]
    assert found["leftovers"] == {
        "check": "leftovers",
        "verdict": "ok",
        "what": "none; 1 process of running tasks",
    }


def test_it_changes_nothing(cli: CommandLine) -> None:
    cli.ended("true")
    stop_supervisor(cli.home.state_dir)
    for suffix in ("-wal", "-shm"):  # as after the last client has closed it
        with closing(sqlite3.connect(cli.home.state_dir / "registry.db")) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert not (cli.home.state_dir / f"registry.db{suffix}").exists()
    before = snapshot(cli.home.state_dir)

    findings(cli)

    assert snapshot(cli.home.state_dir) == before


def test_a_damaged_registry_is_a_problem(cli: CommandLine) -> None:
    cli.home.state_dir.mkdir(mode=0o700)
    (cli.home.state_dir / "registry.db").write_bytes(b"not a database " * 1000)

    found = findings(cli)

    assert found["registry"]["verdict"] == "problem"
    assert "Move" in found["registry"]["mend"]
    assert "leftovers" not in found


def test_a_registry_that_is_damaged_inside_is_a_problem(cli: CommandLine) -> None:
    cli.ended("true")
    stop_supervisor(cli.home.state_dir)
    path = cli.home.state_dir / "registry.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096 * 3)

    assert findings(cli)["registry"]["verdict"] == "problem"


def test_a_registry_of_a_newer_program_is_a_problem(cli: CommandLine) -> None:
    cli.ended("true")
    stop_supervisor(cli.home.state_dir)
    with closing(sqlite3.connect(cli.home.state_dir / "registry.db")) as connection:
        connection.execute("PRAGMA user_version = 999")

    found = findings(cli)["registry"]

    assert (found["verdict"], found["mend"]) == ("problem", "Upgrade this program.")


def test_work_without_a_supervisor_is_a_problem(cli: CommandLine) -> None:
    cli.until(cli.submit("sleep 600"), "running")
    kill_supervisor(cli)

    found = findings(cli)["supervisor"]

    assert found["verdict"] == "problem"
    assert found["what"] == "none, though 0 tasks are queued, 1 active and 0 commands open"


def kill_supervisor(cli: CommandLine) -> None:
    identity = holder_of(cli.home.state_dir)
    assert identity is not None
    assert send(identity, signal.SIGKILL)
    wait_until(lambda: not is_supervised(cli))


def is_supervised(cli: CommandLine) -> bool:
    with (cli.home.state_dir / "lease").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_a_supervisor_that_hangs_is_a_problem(cli: CommandLine) -> None:
    cli.until(cli.submit("sleep 600"), "running")
    identity = holder_of(cli.home.state_dir)
    assert identity is not None
    send(identity, signal.SIGSTOP)
    os.utime(cli.home.state_dir / "beat", (0, 0))

    found = findings(cli)["supervisor"]

    assert found["verdict"] == "problem"
    assert f"kill -9 {identity.pid}" in found["mend"]


def test_a_lease_that_a_stranger_holds_is_a_problem_and_the_stranger_is_named(cli: CommandLine) -> None:
    cli.ended("true")
    stop_supervisor(cli.home.state_dir)
    with subprocess.Popen(
        [sys.executable, "-c", STRANGER, str(cli.home.state_dir / "lease")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as stranger:
        assert stranger.stdout is not None
        assert stranger.stdout.readline() == "held\n"

        found = findings(cli)["supervisor"]

        assert f"the lease is held by {stranger.pid} (" in found["what"]
        assert found["mend"] == f"End it: kill {stranger.pid}"


def test_what_a_task_left_running_is_found(cli: CommandLine) -> None:
    task_id = cli.ended("sleep 600 & echo $! > pid")

    found = findings(cli)["leftovers"]

    pid = cli.home.lines("pid")[0]
    assert found["verdict"] == "warning"
    assert found["what"] == f"1 process of task {task_id} outlived its run 1 (pid {pid})"
    assert found["mend"] == f"`claudine-mcp cancel {task_id}` ends them."


def test_processes_that_no_task_is_known_for_are_found(cli: CommandLine) -> None:
    task_id = cli.submit("echo $$ > pid; sleep 600")
    wait_until(lambda: cli.home.lines("pid"))
    kill_supervisor(cli)
    with closing(sqlite3.connect(cli.home.state_dir / "registry.db")) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("DELETE FROM tasks")
        connection.commit()

    found = findings(cli)["leftovers"]

    assert found["verdict"] == "warning"
    assert f"run {task_id}.1, which the registry does not know" in found["what"]
    assert cli.home.lines("pid")[0] in found["mend"]


def test_task_directories_without_a_task_are_found(cli: CommandLine) -> None:
    cli.home.configure(supervisor={"idleExit": "10m"})  # one that leaves would remove them
    cli.ended("true")
    orphan = cli.home.state_dir / "tasks" / "orphan00"
    orphan.mkdir()
    os.utime(orphan, (0, 0))

    assert findings(cli)["files"]["what"] == "1 task directory without a task: orphan00"


def test_a_wrong_configuration_is_a_problem_and_everything_else_is_examined_all_the_same(
    cli: CommandLine,
) -> None:
    cli.home.configure(limits={"kilGrace": 1})

    found = findings(cli)

    assert "limits.kilGrace: there is no such key" in found["configuration"]["what"]
    assert found["python"]["verdict"] == "ok"


def test_a_configuration_that_is_named_and_not_there_is_a_problem(cli: CommandLine) -> None:
    Path(cli.home.env["CLAUDINE_CONFIG"]).unlink()

    assert "does not exist" in findings(cli)["configuration"]["what"]


def test_a_state_directory_that_cannot_be_is_a_problem(cli: CommandLine) -> None:
    done = cli.run("doctor", expect=1, CLAUDINE_HOME="relative")

    (line,) = (line for line in done.stdout.splitlines() if "is a relative path" in line)
    assert line.startswith("problem  state directory")
    assert " to mend" in done.stdout.splitlines()[-1]


def test_the_last_complaints_of_the_supervisor_are_shown(cli: CommandLine) -> None:
    cli.ended("true")
    with (cli.home.state_dir / "supervisor.log").open("a") as log:
        log.write("2026-01-01 10:00:00,000 ERROR it went wrong\n")

    found = findings(cli)["supervisor log"]

    assert (found["verdict"], found["what"]) == ("warning", "2026-01-01 10:00:00,000 ERROR it went wrong")
