"""Real trees, sampled: whole, exactly once, and never backwards."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from kept import Kept
from support import alive, kill, wait_until

from claudine_mcp.core.samples import TreeSample
from claudine_mcp.host.forest import Root
from claudine_mcp.host.probes import Probes
from claudine_mcp.host.probes_portable import PortableProbes
from claudine_mcp.host.sampling import TreeSampler

MEBIBYTE = 2**20
KINDS: dict[str, Callable[[], Probes]] = {"portable": PortableProbes}
if sys.platform == "linux":
    from claudine_mcp.host.probes_linux import LinuxProbes

    KINDS["linux"] = LinuxProbes


class Looker:
    """Samples one run, of a name that no other test uses; for the sampler, six seconds pass between two looks."""

    def __init__(self, probes: Probes) -> None:
        self.sampler = TreeSampler(probes)
        self.run = f"{uuid4().hex}.1"
        self.roots: dict[str, Root] = {}
        self.at = 0.0

    def follow(self, root: Root) -> None:
        self.roots = {self.run: root}

    @property
    def members(self) -> list[int]:
        return list(self.sampler._forest.members[self.run])

    def look(self, *, weigh: bool = False) -> TreeSample:
        self.at += 6.0
        return self.sampler.sample(self.roots, {self.run: 7}, self.at, weigh=[self.run] if weigh else [])[
            self.run
        ]

    def until(self, fits: Callable[[TreeSample], bool]) -> TreeSample:
        found = wait_until(lambda: next((sample for sample in [self.look()] if fits(sample)), None))
        assert found is not None
        return found


@pytest.fixture(params=list(KINDS.values()), ids=list(KINDS))
def looker(request: pytest.FixtureRequest) -> Iterator[Looker]:
    made = Looker(request.param())
    yield made
    made.sampler.close()


def root_of(kept: Kept) -> Root:
    kept.wait("start")
    start = kept.evidence.start()
    assert start is not None
    return Root(start.keeper, start.main)


def begin(kept: Kept, looker: Looker, script: str) -> int:
    """Start a script under a keeper, with a FIFO to wait at, and have it followed; give the keeper's pid."""
    os.mkfifo(kept.work / "fifo")
    keeper = kept.shell(script, env={"CLAUDINE_RUN": looker.run, "HOME_OF_TEST": str(kept.path)})
    kept.go(keeper)
    looker.follow(root_of(kept))
    return keeper.pid


def pids_of(kept: Kept, count: int) -> list[int]:
    """Wait until so many processes have written down who they are."""
    path = kept.work / "pids"
    wait_until(lambda: path.exists() and path.read_text().count("\n") >= count, what=f"{count} pids")
    return [int(line) for line in path.read_text().split()]


def end_tree(kept: Kept, count: int) -> None:
    """End what a test has started; the keeper reaps it and leaves."""
    for pid in pids_of(kept, count):
        kill(pid)


def test_a_tree_is_seen_whole_with_sessions_and_daemons(kept: Kept, looker: Looker) -> None:
    script = (
        "sleep 300 & echo $! >> pids; setsid sleep 300 & echo $! >> pids; "
        "(setsid sh -c 'echo $$ >> pids; exec sleep 300' &); echo $$ >> pids; sleep 300"
    )
    begin(kept, looker, script)
    sample = looker.until(lambda found: found.processes == 5)
    assert (sample.stopped, sample.output_bytes) == (0, 7)
    assert sample.threads == 5
    assert sample.fds is not None
    assert sample.most_fds is not None
    assert 3 <= sample.most_fds <= sample.fds
    assert 0 < sample.rss_bytes < sample.vsz_bytes
    end_tree(kept, 4)
    looker.until(lambda found: found.processes <= 1)


def test_a_tree_without_keeper_keeps_its_old_processes_and_gets_its_new_ones(
    kept: Kept, looker: Looker
) -> None:
    script = "sleep 300 & echo $$ >> pids; read line < fifo; (setsid sleep 301 &); sleep 300"
    keeper = begin(kept, looker, script)
    before = looker.until(lambda found: found.processes == 2)
    kill(keeper)
    wait_until(lambda: not alive(keeper))
    assert looker.look().processes == 2
    (kept.work / "fifo").write_text("\n")
    after = looker.until(lambda found: found.processes == 4)
    assert after.cpu_s >= before.cpu_s
    assert (after.started or 0) >= (before.started or 0) + 2
    fresh = Looker(type(looker.sampler._probes)())
    fresh.run, fresh.roots = looker.run, looker.roots
    assert fresh.look().processes == 4, "one that begins now finds them by their marker"
    fresh.sampler.close()
    for member in looker.members:
        kill(member)
    looker.until(lambda found: found.processes == 0)


BURN = "import time; t = time.process_time\nwhile t() < 0.1: pass"


def test_processes_that_came_and_went_between_two_looks_are_in_the_times(kept: Kept, looker: Looker) -> None:
    burn = f"{sys.executable} -S -c '{BURN}'"
    script = f"read line < fifo; {'; '.join([burn] * 10)}; echo done >> done; read line < fifo"
    keeper = begin(kept, looker, script)
    before = looker.until(lambda found: found.processes == 1)
    (kept.work / "fifo").write_text("\n")
    wait_until((kept.work / "done").exists)
    after = looker.until(lambda found: found.processes == 1)
    used = after.cpu_s - before.cpu_s
    (kept.work / "fifo").write_text("\n")
    record = kept.wait("exit")
    assert used >= 0.9, "a hundred ticks were burnt by ten processes that nobody saw"
    assert after.cpu_s <= record["cpu_s"] + 0.2, "none of them is counted twice"
    wait_until(lambda: not alive(keeper))


def test_the_times_of_the_main_process_stay_with_its_keeper(kept: Kept, looker: Looker) -> None:
    script = f"(sleep 300 & echo $! >> pids); {sys.executable} -S -c '{BURN}'; exit 0"
    begin(kept, looker, script)
    record = kept.wait("exit")
    sample = looker.until(lambda found: found.processes == 1)
    assert sample.cpu_s == pytest.approx(record["cpu_s"], abs=0.1)


CHURN = """
import os, random, signal, time
random.seed(5)
mine = os.fork()
if mine == 0:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for these
open("pids", "a").write(f"{os.getpid()}\\n")
while True:
    pid = os.fork()
    if pid == 0:
        end = time.process_time() + random.random() / 30
        while time.process_time() < end: pass
        with open(f"{os.getpid()}.x", "wb") as file: file.write(b"x" * 10000); os.fsync(file.fileno())
        os._exit(0)
    if mine: os.waitpid(pid, 0)
    else: time.sleep(0.02)
"""


def test_counters_never_fall_while_processes_come_and_go(kept: Kept, looker: Looker) -> None:
    (kept.work / "churn.py").write_text(CHURN)
    begin(kept, looker, f"exec {sys.executable} -S churn.py")
    samples = [looker.until(lambda found: found.processes >= 2)]
    wait_until(lambda: samples.append(looker.look()) or samples[-1].cpu_s > samples[0].cpu_s + 0.3)
    end_tree(kept, 2)
    samples += [looker.look(), looker.until(lambda found: found.processes == 0)]
    for before, after in itertools.pairwise(samples):
        assert before.cpu_s <= after.cpu_s
        assert before.switches <= after.switches
        assert (before.read_bytes or 0) <= (after.read_bytes or 0)
        assert (before.written_bytes or 0) <= (after.written_bytes or 0)
    if samples[0].written_bytes is not None:
        assert (samples[-1].written_bytes or 0) > samples[0].written_bytes


def test_stopped_processes_are_counted_as_stopped(kept: Kept, looker: Looker) -> None:
    begin(kept, looker, "sleep 300 & echo $! >> pids; sleep 300 & echo $! >> pids; echo $$ >> pids; wait")
    looker.until(lambda found: found.processes == 3)
    pids = pids_of(kept, 3)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    sample = looker.until(lambda found: found.stopped == 3)
    assert (sample.processes, sample.runnable) == (3, 0)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    looker.until(lambda found: found.stopped == 0)


def test_zombies_are_left_out(kept: Kept, looker: Looker) -> None:
    script = "import os, time\nif os.fork() == 0: os._exit(0)\ntime.sleep(300)"
    (kept.work / "zombie.py").write_text(script)
    begin(kept, looker, f"exec {sys.executable} -S zombie.py")
    looker.until(lambda found: len(looker.members) == 2 and found.processes == 1)


def test_memory_that_is_eaten_shows_and_is_weighed_when_it_is_asked_for(kept: Kept, looker: Looker) -> None:
    script = (
        "import os, time\nx = bytearray(b'x' * (200 << 20))\n"
        "if os.fork() == 0: time.sleep(300); os._exit(0)\ntime.sleep(300)"
    )
    (kept.work / "eater.py").write_text(script)
    begin(kept, looker, f"exec {sys.executable} -S eater.py")
    sample = looker.until(lambda found: found.processes == 2 and found.rss_bytes > 380 * MEBIBYTE)
    weighed = looker.look(weigh=True)
    if sys.platform == "linux":
        assert weighed.pss_bytes is not None
        assert weighed.pss_at == weighed.at
        assert 195 * MEBIBYTE < weighed.pss_bytes < 230 * MEBIBYTE, "both share the same pages"
        assert weighed.pss_bytes < sample.rss_bytes


def test_a_pid_of_another_process_is_not_followed(kept: Kept, looker: Looker) -> None:
    begin(kept, looker, "echo $$ >> pids; exec sleep 300")
    true = looker.roots[looker.run]
    assert true.keeper is not None
    assert true.main is not None
    wrong = Root(
        replace(true.keeper, start=true.keeper.start - 1), replace(true.main, start=true.main.start - 1)
    )
    assert looker.sampler.sample({"other.1": wrong}, {}, 1.0)["other.1"].processes == 0
    looker.follow(true)
    assert looker.look().processes == 1


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open descriptors cannot be listed here")
def test_a_run_that_is_over_leaves_no_descriptor_open(kept: Kept, looker: Looker) -> None:
    begin(kept, looker, "sleep 300 & echo $! >> pids; echo $$ >> pids; wait")
    looker.until(lambda found: found.processes == 2)
    assert looker.sampler.sample({}, {}, looker.at + 1) == {}
    pids = [kept.wait("start")["keeper"]["pid"], *pids_of(kept, 2)]
    assert not [path for path in open_files() if any(path.startswith(f"/proc/{pid}/") for pid in pids)]


def open_files() -> list[str]:
    paths: list[str] = []
    for fd in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            paths.append(str(fd.readlink()))
    return paths
