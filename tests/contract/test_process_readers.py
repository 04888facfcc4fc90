"""Every reader of processes keeps the same contract."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support import Home, wait_until

from claudine_mcp.host.processes import (
    LinuxReader,
    ProcessReader,
    PsutilReader,
    descendants,
    identify,
    is_alive,
)

READERS = [PsutilReader] + ([LinuxReader] if sys.platform == "linux" else [])
WAIT = "import sys; print('ready', flush=True); sys.stdin.read()"
NO_SUCH_PID = 2**22 + 1  # above the largest pid_max of Linux


@pytest.fixture(params=READERS, ids=lambda kind: kind.__name__)
def reader(request: pytest.FixtureRequest) -> ProcessReader:
    return request.param()


@contextmanager
def child(home: Home, script: str = WAIT, **env: str) -> Iterator[subprocess.Popen[str]]:
    """Run Python with a script that says "ready", and is ended afterwards."""
    with subprocess.Popen(
        [sys.executable, "-c", script],
        env={"PATH": os.environ["PATH"], "HOME_OF_TEST": str(home.folder), **env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def test_it_knows_this_very_process(reader: ProcessReader) -> None:
    me = reader.process(os.getpid())
    assert me is not None
    assert (me.pid, me.ppid, me.session, me.zombie) == (os.getpid(), os.getppid(), os.getsid(0), False)
    assert me.start > 0
    assert me.name


def test_it_knows_a_child(reader: ProcessReader, home: Home) -> None:
    with child(home) as process:
        found = reader.process(process.pid)
        assert found is not None
        assert (found.ppid, found.session, found.zombie) == (os.getpid(), process.pid, False)
        assert found == reader.process(process.pid)
        assert reader.snapshot()[process.pid] == found
        assert descendants(reader.snapshot(), [os.getpid()]).count(process.pid) == 1


def test_a_start_never_changes_and_differs_from_that_of_others(reader: ProcessReader, home: Home) -> None:
    with child(home) as process:
        me, other = reader.process(os.getpid()), reader.process(process.pid)
        assert me is not None
        assert other is not None
        assert other.start > me.start
        assert other.start == identify(process.pid).start  # type: ignore[union-attr]


def test_what_does_not_exist_is_not_there(reader: ProcessReader, home: Home) -> None:
    with child(home) as process:
        pass
    for pid in (process.pid, NO_SUCH_PID):
        assert reader.process(pid) is None
        assert reader.marker(pid) is None
        assert pid not in reader.snapshot()


def test_a_zombie_is_dead(reader: ProcessReader, home: Home) -> None:
    with child(home) as process:
        identity = identify(process.pid)
        assert identity is not None
        assert is_alive(identity)
        process.kill()
        found = wait_until(lambda: (seen := reader.process(process.pid)) and seen.zombie and seen)
        assert found
        assert reader.snapshot()[process.pid].zombie
        assert not is_alive(identity)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a main thread cannot leave before the others")
def test_a_process_whose_main_thread_has_left_is_alive(reader: ProcessReader, home: Home) -> None:
    script = (
        "import ctypes, sys, threading, time\n"
        "def rest():\n    time.sleep(0.05); print('ready', flush=True); time.sleep(300)\n"
        "threading.Thread(target=rest).start()\n"
        "ctypes.CDLL(None).pthread_exit(None)\n"
    )
    with child(home, script) as process:
        found = reader.process(process.pid)
        assert found is not None
        assert not found.zombie


def test_the_marker_is_found_in_the_environment(reader: ProcessReader, home: Home) -> None:
    with child(home, CLAUDINE_RUN="abc.1") as marked, child(home, NOT_CLAUDINE_RUN="abc.1") as other:
        assert reader.marker(marked.pid) == "abc.1"
        assert reader.marker(other.pid) is None


@pytest.mark.parametrize("name", ["a b", "a) S 1 (b", "((", "ünï"])
def test_a_strange_name_confuses_nobody(reader: ProcessReader, home: Home, name: str) -> None:
    if sys.platform != "linux":
        pytest.skip("a process renames itself by /proc here")
    script = f"import sys; open('/proc/self/comm', 'w').write({name!r}); print('ready', flush=True); sys.stdin.read()"
    with child(home, script) as process:
        found = reader.process(process.pid)
        assert found is not None
        assert found.name == name
        assert (found.ppid, found.session) == (os.getpid(), process.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="there is one reader elsewhere")
def test_both_readers_see_the_same(home: Home) -> None:
    with child(home) as process:
        for pid in (process.pid, os.getpid(), os.getppid(), 1):
            assert LinuxReader().process(pid) == PsutilReader().process(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="the portable reader is psutil's")
def test_who_cannot_look_does_not_take_a_living_process_for_a_dead_one() -> None:
    me = identify(os.getpid())
    assert me is not None
    assert is_alive(me)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))  # every open gives EMFILE
    try:
        with pytest.raises(OSError, match="Too many open files"):
            is_alive(me)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert is_alive(me)


def test_it_says_whether_a_process_is_stopped(reader: ProcessReader, home: Home) -> None:
    with child(home) as process:
        assert set(reader.states(process.pid)) <= {"S", "R"}
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: set(reader.states(process.pid)) == {"T"})
        process.send_signal(signal.SIGCONT)
        wait_until(lambda: set(reader.states(process.pid)) <= {"S", "R"})
        process.kill()
        wait_until(lambda: set(reader.states(process.pid)) <= {"Z"})
    assert reader.states(NO_SUCH_PID) == ""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads cannot be told apart")
def test_a_process_of_which_one_thread_runs_is_not_stopped(home: Home) -> None:
    threads = (
        "import sys, threading; threading.Thread(target=sys.stdin.read).start(); print('ready', flush=True)"
    )
    with child(home, threads) as process:
        assert len(LinuxReader().states(process.pid)) == 2
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: LinuxReader().states(process.pid) == "TT")
