"""A program that misbehaves, or looks as if it did: ``python misbehaving.py KIND NAME [ARGUMENTS]``.

It is made for the table in `troubles`. In its working directory it notes when its trouble begins, in ``NAME.began``
(seconds since the epoch). It behaves well again when ``NAME.over`` is there, or when it gets SIGUSR1 if what it does
allows no look at a file, and ends when ``NAME.end`` is there. Behaving well is to print a line now and then.
"""

from __future__ import annotations

import math
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

MB = 10**6
BEAT_S = 1.0
NAP_S = 0.2
LAST_WORD = "and now nothing moves"
"""However long it took until then, from now on it is as silent as it is still."""

name = sys.argv[2]
arguments = sys.argv[3:]


def there(what: str) -> bool:
    return Path(f"{name}.{what}").exists()


def note(what: str) -> None:
    """Make a file, whole at once."""
    partial = Path(f"{name}.{what}.partial")
    partial.write_text(str(time.time()), encoding="utf-8")
    partial.rename(f"{name}.{what}")


def say(words: object) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def beat_until(what: str) -> None:
    while not there(what):
        say("a sign of life")
        time.sleep(BEAT_S)


def behave() -> None:
    say("all is well again")
    beat_until("end")


class Memory:
    """Memory of which every page has been touched, and that is given back at once."""

    def __init__(self) -> None:
        self._blocks: list[mmap.mmap] = []

    def become(self, megabytes: float) -> None:
        while len(self._blocks) > megabytes:
            self._blocks.pop().close()
        while len(self._blocks) < megabytes:
            self._blocks.append(mmap.mmap(-1, MB))
            self._blocks[-1].write(b"x" * MB)


def follow(course: Callable[[float], float]) -> None:
    """Take so many megabytes, by the seconds that have passed, until it is over; and print."""
    memory = Memory()
    memory.become(course(0.0))
    began = time.monotonic()
    note("began")
    while not there("over"):
        memory.become(course(time.monotonic() - began))
        say("a sign of life")
        time.sleep(BEAT_S)
    memory.become(0)
    behave()


def leak() -> None:
    """A megabyte a second."""
    follow(lambda passed_s: 60.0 + passed_s)


def leaking_sawtooth() -> None:
    """What is collected is not all that was taken."""
    follow(lambda passed_s: 160 + 25 * (passed_s // 40) + (90 if passed_s % 40 >= 24 else 0))


def sawtooth() -> None:
    """What is collected is all that was taken."""
    follow(lambda passed_s: 180 + (100 if passed_s % 40 >= 24 else 0))


def warmup() -> None:
    """Ever more slowly."""
    follow(lambda passed_s: 160 + 200 * (1 - math.exp(-passed_s / 60)))


def step() -> None:
    """Once, and no more."""
    follow(lambda passed_s: 160 if passed_s < 180 else 300)


def load() -> None:
    """Run a program that is a trouble by itself, such as stress-ng, and print meanwhile unless told otherwise."""
    quiet = arguments[0] == "--quiet"
    with subprocess.Popen(arguments[quiet:], start_new_session=True) as program:
        note("began")
        while not there("over"):
            if not quiet:
                say("a sign of life")
            time.sleep(BEAT_S)
        program.terminate()
    behave()


def again() -> None:
    """The same with a program that is run once a second."""
    note("began")
    while not there("over"):
        subprocess.run(arguments, check=True)
        say("a sign of life")
        time.sleep(BEAT_S)
    behave()


def spin() -> None:
    note("began")
    while not there("over"):
        for _ in range(10**6):
            pass
    behave()


def work() -> None:
    """Take some processor time, as whatever hangs later has done."""
    until_s = time.process_time() + 1.5
    while time.process_time() < until_s:
        pass


def livelock() -> None:
    """Two threads that give way to each other for ever."""
    locks = threading.Lock(), threading.Lock()
    is_over = threading.Event()

    def polite(first: threading.Lock, second: threading.Lock) -> None:
        while not is_over.is_set():
            with first:
                time.sleep(0.01)
                if second.acquire(blocking=False):
                    second.release()  # for a moment; the other comes back all the same
            time.sleep(0.01)

    threads = [threading.Thread(target=polite, args=order) for order in (locks, locks[::-1])]
    for thread in threads:
        thread.start()
    note("began")
    while not there("over"):
        time.sleep(NAP_S)
    is_over.set()
    for thread in threads:
        thread.join()
    behave()


def deadlock() -> None:
    """Two threads, two locks, and a third that waits for both threads."""
    work()
    locks = threading.Lock(), threading.Lock()
    have_one = threading.Barrier(3)

    def greedy(first: threading.Lock, second: threading.Lock) -> None:
        first.acquire()
        have_one.wait()
        second.acquire()

    threads = [threading.Thread(target=greedy, args=order) for order in (locks, locks[::-1])]

    def untie(*_: object) -> None:
        for lock in locks:
            lock.release()

    signal.signal(signal.SIGUSR1, untie)
    for thread in threads:
        thread.start()
    have_one.wait()
    say(LAST_WORD)
    note("began")
    for thread in threads:
        thread.join()
    behave()


def descriptors() -> None:
    """A file more, and again."""
    leaked: list[int] = []
    most = int(arguments[0])
    while not there("over"):
        if len(leaked) < most:
            leaked += [os.open(os.devnull, os.O_RDONLY) for _ in range(20)]
            if len(leaked) >= most:
                note("began")
        say(f"{len(leaked)} files")
        time.sleep(NAP_S)
    for descriptor in leaked:
        os.close(descriptor)
    behave()


def compile_silently() -> None:
    """One compiler after the other, for a long while, and not a word."""
    unit = """
import sys, time
memory = bytearray(b"x") * int(sys.argv[1])
until_s = time.process_time() + float(sys.argv[2])
while time.process_time() < until_s: pass
"""
    note("began")
    with tempfile.TemporaryDirectory() as folder:
        n = 0
        while not there("over"):
            n += 1
            sizes = [str((n * 7 % 5 * 8 + 4) * MB), str(0.3 + n * 3 % 4 * 0.4)]
            subprocess.run([sys.executable, "-c", unit, *sizes], check=True)
            Path(folder, f"{n}.o").write_bytes(bytes(20_000))
            time.sleep(0.05)
    behave()


def chat() -> None:
    """A loop that prints the same for ever."""
    note("began")
    while not there("end"):
        for _ in range(20):
            sys.stdout.write("still here, and nothing has changed since the last of these lines\n")
        sys.stdout.flush()
        time.sleep(0.1)


def life() -> None:
    """Nothing is wrong with it; others do something to it."""
    note("began")
    beat_until("end")


def silence() -> None:
    """Not a word, and hardly a movement."""
    note("began")
    while not there("over"):
        time.sleep(NAP_S)
    behave()


def silent_child() -> None:
    """A parent that waits for a child, whose pid is in ``NAME.child``; the child does nothing and ends in time."""
    naps = "import pathlib, sys, time\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.2)"
    with subprocess.Popen([sys.executable, "-c", naps, f"{name}.over"]) as child:
        Path(f"{name}.child").write_text(str(child.pid), encoding="utf-8")
        note("began")
    behave()


def fifo() -> None:
    """A child that reads from a pipe to which nobody writes."""
    os.mkfifo(f"{name}.fifo")
    say(LAST_WORD)
    note("began")
    subprocess.run(["cat", f"{name}.fifo"], check=True)
    behave()


def network() -> None:
    """An answer that does not come."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = socket.create_connection(server.getsockname())
        with here, server.accept()[0] as there_:
            signal.signal(signal.SIGUSR1, lambda *_: there_.send(b"at last"))
            say(LAST_WORD)
            note("began")
            here.recv(100)
    behave()


def build() -> None:
    """A good one: it says how far it is, and starts a compiler now and then."""
    note("began")
    n = 0
    while not there("end"):
        n += 1
        subprocess.run(["true"], check=True)
        say(f"[{n}/900] CC part{n}.o")
        time.sleep(BEAT_S)


def leave_behind() -> None:
    """A child that outlives it."""
    naps = "import pathlib, sys, time\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.2)"
    subprocess.Popen([sys.executable, "-c", naps, f"{name}.over"], start_new_session=True)
    note("began")


def stick() -> None:
    """Its progress gets on, and then does not, while it goes on printing."""

    @contextmanager
    def progress() -> Iterator[Callable[[str], None]]:
        with Path(os.environ["CLAUDINE_PROGRESS"]).open("a", encoding="utf-8") as file:

            def report(line: str) -> None:
                file.write(f"{line}\n")
                file.flush()

            yield report

    with progress() as report:
        for percent, stage in ((5, "fetch"), (20, "configure"), (40, "compile"), (60, "link"), (70, "check")):
            report(f"{percent} {stage}")
            for _ in range(2):
                say(f"in {stage}")
                time.sleep(BEAT_S)
        report("80 package")
        note("began")
        beat_until("over")
        report("90 sign")
        behave()


KINDS = {
    kind.__name__.replace("_", "-"): kind
    for kind in (
        again,
        build,
        chat,
        compile_silently,
        deadlock,
        descriptors,
        fifo,
        leak,
        leaking_sawtooth,
        leave_behind,
        life,
        livelock,
        load,
        network,
        sawtooth,
        silence,
        silent_child,
        spin,
        step,
        stick,
        warmup,
    )
}

if __name__ == "__main__":
    KINDS[sys.argv[1]]()
