"""Whatever reads a process again and again keeps the same contract."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from support import Home, wait_until

from claudine_mcp.host.probes import Probe, Probes, Reading
from claudine_mcp.host.probes_portable import PortableProbes
from claudine_mcp.host.processes import Process, reader

KINDS: dict[str, Callable[[], Probes]] = {"portable": PortableProbes}
if sys.platform == "linux":
    from claudine_mcp.host import probes_linux
    from claudine_mcp.host.probes_linux import LinuxProbes

    KINDS |= {"linux": LinuxProbes, "linux without room": lambda: LinuxProbes(most_fds=0)}

MEBIBYTE = 2**20
READY = "print('ready', flush=True)\n"
WAIT = "import sys\n" + READY + "sys.stdin.read()"


@pytest.fixture(params=list(KINDS.values()), ids=list(KINDS))
def probes(request: pytest.FixtureRequest) -> Iterator[Probes]:
    made = request.param()
    yield made
    made.close()


@contextmanager
def child(home: Home, script: str = WAIT) -> Iterator[subprocess.Popen[bytes]]:
    """Run Python with a script that says "ready", and is ended afterwards."""
    with subprocess.Popen(
        [sys.executable, "-c", script],
        env={"PATH": os.environ["PATH"], "HOME_OF_TEST": str(home.folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()


def who(pid: int) -> Process:
    found = reader().process(pid)
    assert found is not None
    return found


def opened(probes: Probes, pid: int) -> Probe:
    probe = probes.open(who(pid))
    assert probe is not None
    return probe


def seen(probe: Probe, fits: Callable[[Reading], bool]) -> Reading:
    """Read until a reading fits; give it."""

    def fitting() -> Reading | None:
        reading = probe.read()
        return reading if reading is not None and fits(reading) else None

    found = wait_until(fitting)
    assert found is not None
    return found


def test_a_sleeping_process_is_read_whole(probes: Probes, home: Home) -> None:
    with child(home) as process:
        probe = opened(probes, process.pid)
        reading = seen(probe, lambda found: not found.runnable)
        assert probe.reading == reading
        assert probe.process.pid == process.pid
        assert (reading.alive, reading.stopped, reading.threads) == (1, 0, 1)
        assert MEBIBYTE < reading.rss_bytes < reading.vsz_bytes
        assert probe.read(afresh=True) == reading == probe.read()
        probe.close()


def test_memory_that_is_taken_shows(probes: Probes, home: Home) -> None:
    script = WAIT.replace(
        "read()", "readline(); x = bytearray(b'x' * (64 << 20)); print('taken', flush=True); read()"
    )
    with child(home, "from sys import stdin\nread = stdin.read\n" + script) as process:
        probe = opened(probes, process.pid)
        before = probe.reading.rss_bytes
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        reading = seen(probe, lambda found: found.rss_bytes > before + 60 * MEBIBYTE)
        pss = probe.pss_bytes()
        if sys.platform == "linux":
            assert pss is not None
            assert 60 * MEBIBYTE < pss <= reading.rss_bytes + MEBIBYTE
        probe.close()


def test_time_that_is_used_shows_and_who_uses_it_is_runnable(probes: Probes, home: Home) -> None:
    with child(home, READY + "while True: pass") as process:
        probe = opened(probes, process.pid)
        before = probe.reading
        reading = seen(probe, lambda found: found.own_us >= before.own_us + 50_000)
        assert reading.runnable
        assert not reading.stopped
        probe.close()


def test_times_of_a_child_that_was_waited_for_are_its_parents(probes: Probes, home: Home) -> None:
    burn = "import time\nwhile time.process_time() < 0.1: pass"
    script = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn!r}])\n" + WAIT
    with child(home, script) as process:
        probe = opened(probes, process.pid)
        assert probe.reading.waited_us >= 80_000
        probe.close()


def test_a_process_that_wakes_up_switches_and_one_that_sleeps_does_not(probes: Probes, home: Home) -> None:
    with (
        child(home, "import time\n" + READY + "while True: time.sleep(0.01)") as restless,
        child(home) as asleep,
    ):
        moving, still = opened(probes, restless.pid), opened(probes, asleep.pid)
        first = seen(still, lambda found: not found.runnable).switches
        begin = moving.reading.switches
        seen(moving, lambda found: found.switches >= begin + 5)
        reading = still.read(afresh=True)
        assert reading is not None
        assert reading.switches == first
        moving.close()
        still.close()


def test_a_stopped_process_is_stopped_and_goes_on_when_continued(probes: Probes, home: Home) -> None:
    with child(home, "import time\n" + READY + "while True: time.sleep(0.01)") as process:
        probe = opened(probes, process.pid)
        os.kill(process.pid, signal.SIGSTOP)
        assert seen(probe, lambda found: found.stopped == 1).runnable == 0
        os.kill(process.pid, signal.SIGCONT)
        seen(probe, lambda found: found.stopped == 0)
        probe.close()


def test_a_zombie_is_not_alive_and_its_times_stay_until_it_is_reaped(probes: Probes, home: Home) -> None:
    with child(home, READY + "while True: pass") as process:
        probe = opened(probes, process.pid)
        seen(probe, lambda found: found.own_us >= 50_000)
        process.kill()
        reading = seen(probe, lambda found: not found.alive)
        assert (reading.rss_bytes, reading.threads, reading.runnable, reading.stopped) == (0, 0, 0, 0)
        assert reading.own_us >= 50_000
        process.wait()
        assert probe.read() is None
        assert probe.transfer() is None
        assert probe.fds() is None
        assert probe.pss_bytes() is None
        probe.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a main thread cannot leave before the others")
def test_a_process_whose_main_thread_has_left_is_alive(probes: Probes, home: Home) -> None:
    script = (
        "import ctypes, threading, time\n"
        f"def rest():\n    time.sleep(0.05); {READY}    time.sleep(300)\n"
        "threading.Thread(target=rest).start()\n"
        "ctypes.CDLL(None).pthread_exit(None)\n"
    )
    with child(home, script) as process:
        probe = opened(probes, process.pid)
        assert probe.reading.alive
        probe.close()


def test_threads_are_counted_and_those_that_work_show_though_the_main_one_waits(
    probes: Probes, home: Home
) -> None:
    script = (
        "import threading, time\n"
        "def restless():\n    while True: time.sleep(0.01)\n"
        "worker = threading.Thread(target=restless)\nworker.start()\n" + READY + "worker.join()"
    )
    with child(home, script) as process:
        probe = opened(probes, process.pid)
        assert probe.reading.threads == 2
        if sys.platform == "linux" and isinstance(probes, LinuxProbes):
            first = probe.other_switches()
            assert first is not None
            wait_until(lambda: (probe.other_switches() or 0) >= first + 5)
            main = seen(probe, lambda found: not found.runnable)
            assert main.switches <= probe.reading.switches
        else:
            assert probe.other_switches() is None
        probe.close()


def test_descriptors_and_bytes_on_disk_are_counted(probes: Probes, home: Home) -> None:
    path = home.folder / "written"
    script = (
        "import os, sys\n" + READY + "sys.stdin.readline()\n"
        "kept = [os.open('/dev/null', os.O_RDONLY) for _ in range(7)]\n"
        f"fd = os.open({str(path)!r}, os.O_CREAT | os.O_WRONLY)\n"
        "os.write(fd, b'x' * (1 << 20)); os.fsync(fd); print('written', flush=True); sys.stdin.read()"
    )
    with child(home, script) as process:
        probe = opened(probes, process.pid)
        fds, moved = probe.fds(), probe.transfer()
        assert fds is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"written\n"
        assert probe.fds() == fds + 8
        if moved is not None:
            after = probe.transfer()
            assert after is not None
            assert after.written_bytes >= moved.written_bytes + MEBIBYTE
            assert after.read_bytes >= moved.read_bytes
        else:
            assert sys.platform != "linux"
        probe.close()


def test_a_process_that_has_gone_or_is_another_cannot_be_opened(probes: Probes, home: Home) -> None:
    with child(home) as process:
        found = who(process.pid)
        other = Process(
            found.pid, found.ppid, found.start - 1, zombie=False, name=found.name, session=found.session
        )
        assert probes.open(other) is None
    assert probes.open(found) is None


def test_a_process_that_cannot_be_read_for_the_moment_has_not_gone(probes: Probes, home: Home) -> None:
    with child(home) as process:
        found = who(process.pid)
        probe = opened(probes, process.pid)
        before = seen(probe, lambda found: not found.runnable)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))  # every open gives EMFILE
        try:
            reading = probe.read(afresh=True)
            begun_now = probes.open(found)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert reading == before
        assert begun_now is not None
        assert begun_now.reading.alive
        assert begun_now.read() == before, "it is read as soon as that is possible"
        begun_now.close()
        process.kill()
        process.wait()
        assert probe.read(afresh=True) is None
        probe.close()


@pytest.mark.skipif(sys.platform != "linux", reason="of /proc")
def test_a_status_of_any_length_is_read_and_one_that_is_not_understood_changes_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    probes = LinuxProbes()
    with child(home) as process:
        probe = opened(probes, process.pid)
        before = seen(probe, lambda found: not found.runnable)
        monkeypatch.setattr(probes_linux, "STATUS_BYTES", 64)
        assert opened(probes, process.pid).reading == before
        monkeypatch.setattr(probes_linux, "_SWITCHES", b"no such field")
        assert probe.read(afresh=True) == before
        assert probe.other_switches() == 0
        probe.close()
    probes.close()


def test_the_census_has_every_process_and_is_made_when_there_may_be_new_ones(
    probes: Probes, home: Home
) -> None:
    first = probes.census(afresh=True)
    assert first is not None
    assert os.getpid() in first.pids
    with child(home) as process:
        second = probes.census(afresh=False)
        assert second is not None
        assert process.pid in second.pids
        assert process.pid not in first.pids


@pytest.mark.skipif(sys.platform != "linux", reason="there is one kind elsewhere")
def test_all_kinds_read_the_same(home: Home) -> None:
    with child(home) as process:
        made = [kind() for kind in KINDS.values()]

        def readings() -> list[Reading]:
            return [opened(probes, process.pid).reading for probes in made]

        wait_until(lambda: len({found._replace(rss_bytes=0) for found in readings()}) == 1)
        sizes = [found.rss_bytes for found in readings()]
        assert max(sizes) - min(sizes) < 4 * MEBIBYTE, "the kernel rounds differently in `stat` and `statm`"
        for probes in made:
            probes.close()
