from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from typing import Any

import psutil
import pytest
from kept import ALREADY_BEGAN, HELD_ELSEWHERE, RECORDS, Kept
from support import alive, kill, wait_until

from claudine_mcp.executors.local import KEEPER_PYTHON, KEEPER_SOURCE
from claudine_mcp.host.processes import boot_id, is_alive, pid_namespace


def test_the_records_come_one_after_the_other(kept: Kept) -> None:
    keeper = kept.shell("echo out; echo err >&2; exit 7")
    kept.wait("start")
    assert kept.there() == ["start"]
    kept.go(keeper)
    assert keeper.wait(20) == 0
    assert kept.there() == list(RECORDS)
    order = [(kept.path / name).stat().st_mtime_ns for name in RECORDS]
    assert order == sorted(order)
    assert not list(kept.path.glob("*.tmp"))
    assert (kept.output(), kept.output("stderr")) == ("out\n", "err\n")


@pytest.mark.parametrize(
    ("script", "code", "number"),
    [("exit 0", 0, None), ("exit 3", 3, None), ("exit 255", 255, None)]
    + [
        (f"kill -{name} $$", None, int(getattr(signal, f"SIG{name}")))
        for name in ("KILL", "TERM", "HUP", "PIPE")
    ],
)
def test_how_the_main_process_ended_is_recorded(
    kept: Kept, script: str, code: int | None, number: int | None
) -> None:
    record = kept.run(script)
    assert (record["source"], record["code"], record["signal"]) == ("keeper", code, number)
    assert record["exec_error"] is None
    assert record["max_rss_bytes"] > 2**16
    found = kept.evidence.exit()
    assert found is not None
    assert (found.code, found.signal) == (code, number)


def test_start_names_both_processes_for_good(kept: Kept) -> None:
    keeper = kept.shell("sleep 30")
    kept.wait("start")
    start = kept.evidence.start()
    assert start is not None
    assert start.keeper is not None
    assert start.main is not None
    assert start.keeper.pid == keeper.pid
    assert (start.main.boot_id, start.main.pid_namespace) == (boot_id(), pid_namespace())
    assert is_alive(start.keeper)
    assert is_alive(start.main)
    assert psutil.Process(start.main.pid).ppid() == keeper.pid


def test_end_of_file_instead_of_go_runs_nothing(kept: Kept) -> None:
    keeper = kept.shell("echo ran")
    main = kept.wait("start")["main"]["pid"]
    assert keeper.stdin is not None
    keeper.stdin.close()
    assert keeper.wait(20) == 0
    assert kept.there() == ["start"]
    assert kept.output() == ""
    assert not alive(main)


def test_any_other_word_than_go_runs_nothing(kept: Kept) -> None:
    keeper = kept.shell("echo ran")
    kept.wait("start")
    assert keeper.stdin is not None
    keeper.stdin.write(b"no")
    keeper.stdin.close()
    assert keeper.wait(20) == 0
    assert kept.there() == ["start"]
    assert kept.output() == ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"argv": ["no-such-program"]}, "nowhere on PATH"),
        ({"argv": ["/no/such/program"]}, "missing or may not be executed"),
        ({"argv": ["./no-such-program"]}, "missing or may not be executed"),
        ({"argv": ["./plain-file"]}, "missing or may not be executed"),
        ({"cwd": "/no/such/folder"}, "/no/such/folder"),
        ({"env_file": "/no/such/env"}, "/no/such/env"),
        ({"stdin": "/no/such/prompt"}, "/no/such/prompt"),
    ],
)
def test_what_cannot_start_is_told_in_start(kept: Kept, changes: dict[str, Any], words: str) -> None:
    (kept.work / "plain-file").write_text("#!/bin/sh\n")
    keeper = kept.start(**changes)
    assert words in kept.wait("start")["error"]
    assert keeper.wait(20) == 1
    assert kept.there() == ["start"]
    start = kept.evidence.start()
    assert start is not None
    assert words in (start.error or "")


@pytest.mark.parametrize("spec", [b"", b"{", b"[]", b"{}"])
def test_a_damaged_spec_is_told_in_start(kept: Kept, spec: bytes) -> None:
    (kept.path / "spec.json").write_bytes(spec)
    keeper = subprocess.run(
        [*KEEPER_PYTHON, str(KEEPER_SOURCE), str(kept.path), str(kept.bell)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=20,
    )
    assert keeper.returncode == 1
    assert kept.wait("start")["error"]


def test_a_program_that_the_kernel_refuses_is_told_in_exit(kept: Kept) -> None:
    script = kept.work / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    keeper = kept.start(argv=["./script"])
    kept.go(keeper)
    assert keeper.wait(20) == 0
    record = kept.wait("exit")
    assert record["code"] == 126
    assert "script" in record["exec_error"]


def test_a_second_keeper_is_refused_and_disturbs_nothing(kept: Kept) -> None:
    first = kept.shell("read line < /dev/null; sleep 0.2; echo done")
    kept.wait("start")
    assert kept.shell("echo second").wait(20) == HELD_ELSEWHERE
    kept.go(first)
    kept.wait("began")
    assert first.wait(20) == 0
    assert kept.output() == "done\n"


def test_a_run_that_has_begun_is_never_begun_again(kept: Kept) -> None:
    kept.run("echo once")
    assert kept.start().wait(20) == ALREADY_BEGAN
    assert kept.output() == "once\n"


def test_the_lock_tells_whether_the_keeper_lives(kept: Kept) -> None:
    assert not kept.evidence.lock_is_held()
    keeper = kept.shell("sleep 30 & exit 0")
    kept.wait("start")
    assert kept.evidence.lock_is_held()
    kept.go(keeper)
    kept.wait("exit")
    assert kept.evidence.lock_is_held()
    keeper.kill()
    keeper.wait()
    # The sleeper that is left does not hold it.
    assert not kept.evidence.lock_is_held()


def test_space_for_the_last_records_is_taken_before_the_task_begins(kept: Kept) -> None:
    keeper = kept.shell("sleep 30")
    kept.wait("start")
    assert {path.name: path.stat().st_size for path in kept.path.glob("*.tmp")} == {
        "began.tmp": 256,
        "exit.tmp": 4096,
        "gone.tmp": 64,
    }
    kept.go(keeper)
    kept.wait("began")
    assert sorted(path.name for path in kept.path.glob("*.tmp")) == ["exit.tmp", "gone.tmp"]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_signals_that_end_others_do_not_end_a_keeper(kept: Kept, number: signal.Signals) -> None:
    keeper = kept.shell("read line < fifo; exit 5")
    os.mkfifo(kept.work / "fifo")
    kept.go(keeper)
    kept.wait("began")
    keeper.send_signal(number)
    (kept.work / "fifo").write_text("\n")
    assert keeper.wait(20) == 0
    assert kept.wait("exit")["code"] == 5


def test_a_killed_keeper_takes_its_task_not_along(kept: Kept) -> None:
    os.mkfifo(kept.work / "fifo")
    keeper = kept.shell("echo one; read line < fifo; echo two")
    kept.go(keeper)
    main = kept.wait("start")["main"]["pid"]
    wait_until(lambda: kept.output() == "one\n")
    keeper.kill()
    keeper.wait()
    (kept.work / "fifo").write_text("\n")
    wait_until(lambda: not alive(main))
    assert kept.output() == "one\ntwo\n"
    assert kept.there() == ["start", "began"]


def test_a_keeper_killed_before_go_takes_the_blocked_process_along(kept: Kept) -> None:
    keeper = kept.shell("echo ran")
    main = kept.wait("start")["main"]["pid"]
    keeper.kill()
    keeper.wait()
    wait_until(lambda: not alive(main))
    wait_until(lambda: not kept.evidence.lock_is_held())
    assert kept.output() == ""
    assert kept.there() == ["start"]


def test_it_stays_until_the_last_descendant_has_left(kept: Kept) -> None:
    os.mkfifo(kept.work / "fifo")
    daemon = (
        "import os\n"
        "if os.fork(): os._exit(0)\n"
        "os.setsid()\n"
        "if os.fork(): os._exit(0)\n"
        "os.environ.clear()\n"
        "print(os.getpid(), flush=True)\n"
        "open('fifo').read()\n"
    )
    keeper = kept.start(argv=[sys.executable, "-c", daemon])
    kept.go(keeper)
    assert kept.wait("exit")["code"] == 0
    wait_until(lambda: kept.output().endswith("\n"))
    pid = int(kept.output())
    wait_until(lambda: psutil.Process(pid).ppid() == keeper.pid)
    assert kept.there() == ["start", "began", "exit"]
    (kept.work / "fifo").write_text("")
    assert keeper.wait(20) == 0
    assert kept.there() == list(RECORDS)


def test_a_run_directory_that_is_removed_ends_the_keeper(kept: Kept) -> None:
    os.mkfifo(kept.work / "fifo")
    keeper = kept.shell("read line < fifo")
    kept.go(keeper)
    kept.wait("began")
    for path in kept.path.iterdir():
        path.unlink()
    kept.path.rmdir()
    (kept.work / "fifo").write_text("\n")
    assert keeper.wait(20) == 0


def test_the_bell_rings_with_every_record(kept: Kept) -> None:
    os.utime(kept.bell, ns=(1, 1))
    keeper = kept.shell("true")
    kept.wait("start")
    wait_until(lambda: kept.bell.stat().st_mtime_ns > 1)
    os.utime(kept.bell, ns=(1, 1))
    kept.go(keeper)
    assert keeper.wait(20) == 0
    assert kept.bell.stat().st_mtime_ns > 1


def test_a_missing_bell_costs_nothing(kept: Kept) -> None:
    kept.bell.unlink()
    assert kept.run("exit 4")["code"] == 4


def test_a_process_killed_while_it_waits_is_told(kept: Kept) -> None:
    keeper = kept.shell("echo ran")
    kill(kept.wait("start")["main"]["pid"])
    kept.go(keeper)
    assert keeper.wait(20) == 0
    assert kept.wait("exit")["signal"] == signal.SIGKILL
    assert kept.output() == ""


def test_a_lock_that_someone_else_holds_keeps_it_from_starting(kept: Kept) -> None:
    with (kept.path / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert kept.start().wait(20) == HELD_ELSEWHERE
    assert kept.there() == []
