"""The keeper of one run: the parent of a task's process, and the witness of how it ended.

It stands alone: standard library only, started as `python -I -S -E KEEPER RUN_DIRECTORY BELL` from a compiled
copy in the state directory, so that an upgrade of the package cannot pull it from under a running task. Its
standard input is the pipe on which the supervisor says "go"; end of file there means that nothing may run.

What it leaves in the run directory, in this order, each complete or not there at all:

========  ==========================================================================
`lock`    held (flock) for as long as the keeper lives
`start`   the identities of keeper and process, or why the process cannot be started
`began`   made durable before the process may exec: with it the run has begun
`exit`    the wait status of the main process, written into space that was reserved
`gone`    the last descendant has left
========  ==========================================================================
"""

from __future__ import annotations

import _thread
import contextlib
import errno
import fcntl
import json
import os
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself would cost every keeper half a megabyte
    from typing import Any

    Record = dict[str, Any]

PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>
EXIT_RESERVE_BYTES = 4096
INBOX_BYTES = 2**20  # what an unprivileged process may have (fs.pipe-max-size)
HELD_ELSEWHERE, ALREADY_BEGAN = 3, 4  # exit codes, for the supervisor's log
RETRY_S = 0.5


class Keeper:
    """One run, from its directory to the last of its processes."""

    def __init__(self, directory: str, bell: str) -> None:
        self.directory = directory
        self.bell = bell
        self.lock = os.open(self.path("lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        self.directory_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.spec: Record = {}

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def keep(self) -> int:
        """Start the process when told to, and stay until the last of its descendants has left."""
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return HELD_ELSEWHERE
        if os.path.exists(self.path("began")):
            return ALREADY_BEGAN
        try:
            with open(self.path("spec.json"), encoding="utf-8") as file:
                self.spec = dict(json.load(file))
            self.reserve("exit", EXIT_RESERVE_BYTES)
            self.reserve("gone", 64)
            self.reserve("began", 256)
            inbox = Inbox(self.path("stdin"), self.spec["stdin"]) if self.spec.get("inbox") else None
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.write("start", {"error": f"the run directory cannot be used: {error}"})
            return 1
        go, inner_go = os.pipe()
        report, inner_report = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(inner_go)
            os.close(report)
            become_task(self.spec, self.directory, go, inner_report)
        os.close(go)
        os.close(inner_report)
        problem = os.read(report, 4096)
        if problem != b"R":
            text = problem[1:].decode("utf-8", "replace") or "the process died before it could start"
            self.write("start", {"error": text})
            os.close(inner_go)
            reap_all()
            return 1
        self.write("start", self.identities(child))
        become_subreaper()
        if os.read(0, 1) != b"g":
            os.close(inner_go)
            reap_all()
            return 0
        self.durable("began", {"at": time.time()})
        with contextlib.suppress(BrokenPipeError):  # killed while it waited: wait4 tells
            os.write(inner_go, b"g")
        os.close(inner_go)
        exec_problem = os.read(report, 4096).decode("utf-8", "replace")
        os.close(report)
        if inbox is not None:
            _thread.start_new_thread(inbox.feed, ())
        self.reap(child, exec_problem)
        return 0

    def identities(self, child: int) -> Record:
        return {
            "boot_id": read_text("/proc/sys/kernel/random/boot_id"),
            "pid_namespace": pid_namespace(),
            "keeper": {"pid": os.getpid(), "start": start_ticks(os.getpid())},
            "main": {"pid": child, "start": start_ticks(child)},
            "at": time.time(),
        }

    def reap(self, child: int, exec_problem: str) -> None:
        """Take every exit status; the main process's is the run's."""
        killed_before = oom_kills()
        while True:
            try:
                pid, status, usage = os.wait4(-1, 0)
            except ChildProcessError:
                break
            if pid != child:
                continue
            self.durable(
                "exit",
                {
                    "source": "keeper",
                    "code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
                    "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
                    "exec_error": exec_problem[1:] or None,
                    "at": time.time(),
                    "max_rss_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
                    "cpu_s": round(usage.ru_utime + usage.ru_stime, 3),
                    "oom_kills": oom_kills() - killed_before,
                },
            )
        self.durable("gone", {"at": time.time()})

    def reserve(self, name: str, size: int) -> None:
        """Take the disk space of a record in advance, so that a full disk cannot lose it."""
        fd = os.open(self.path(name + ".tmp"), os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(fd, 0, size)
            else:
                os.write(fd, b" " * size)
        finally:
            os.close(fd)

    def durable(self, name: str, record: Record) -> None:
        """Write a record until it is on disk; give up only when the run directory has been removed."""
        while True:
            try:
                self.write(name, record)
            except FileNotFoundError:
                return
            except OSError as error:
                print(f"{name}: {error}", file=sys.stderr, flush=True)  # noqa: T201
                time.sleep(RETRY_S)
            else:
                return

    def write(self, name: str, record: Record) -> None:
        data = json.dumps(record).encode()
        fd = os.open(self.path(name + ".tmp"), os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(fd, data, 0)
            os.ftruncate(fd, len(data))
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(self.path(name + ".tmp"), self.path(name))
        os.fsync(self.directory_fd)
        with contextlib.suppress(OSError):  # a bell that is missing costs a tick, not a run
            os.utime(self.bell)


class Inbox:
    """The task's standard input, where it takes messages: a named pipe, open until SIGUSR1 says that no more come.

    The keeper holds it for reading and writing, so that no writer's coming and going ends it. If the keeper
    dies, the task finds the end of its input.
    """

    def __init__(self, path: str, first: str) -> None:
        self.first = first
        os.mkfifo(path, 0o600)
        self.fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        with contextlib.suppress(OSError, AttributeError):  # so that long lines are written at once
            fcntl.fcntl(self.fd, fcntl.F_SETPIPE_SZ, INBOX_BYTES)
        self.fed = self.wanted_closed = False
        signal.signal(signal.SIGUSR1, self.close)

    def feed(self) -> None:
        """Write what the task begins with; blocks while the task reads slowly."""
        with open(self.first, "rb") as file:
            while data := file.read(65536):
                while data:
                    data = data[os.write(self.fd, data) :]
        self.fed = True
        if self.wanted_closed:
            self.close()

    def close(self, *_: object) -> None:
        self.wanted_closed = True
        if self.fed and self.fd >= 0:
            fd, self.fd = self.fd, -1
            os.close(fd)


def become_task(spec: Record, directory: str, go: int, report: int) -> None:
    """In the forked child: take on the task's session, files and limits, wait for "go", and exec."""
    try:
        os.setsid()
        os.umask(spec["umask"])
        os.chdir(spec["cwd"])
        append = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        stdout = os.open(os.path.join(directory, "stdout.log"), append, 0o600)
        stderr = (
            stdout if spec["merge_streams"] else os.open(os.path.join(directory, "stderr.log"), append, 0o600)
        )
        stdin = os.path.join(directory, "stdin") if spec.get("inbox") else spec["stdin"] or os.devnull
        os.dup2(os.open(stdin, os.O_RDONLY), 0)
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        be_nice(spec)
        with open(spec["env_file"], encoding="utf-8", errors="surrogateescape") as file:
            env = json.load(file)
        env.update(spec["env"])
        candidates = executables(spec["argv"][0], env.get("PATH", os.defpath))
        # The keeper and Python handle some; whoever started the supervisor in the background has others ignored.
        for number in signal.valid_signals():
            if signal.getsignal(number) not in (signal.SIG_DFL, None):
                signal.signal(number, signal.SIG_DFL)
    except (OSError, ValueError, KeyError, TypeError) as error:
        os.write(report, b"E" + str(error).encode("utf-8", "replace")[:4000])
        os._exit(126)
    os.write(report, b"R")
    if os.read(go, 1) != b"g":
        os._exit(125)
    problem = OSError(errno.ENOENT, os.strerror(errno.ENOENT), spec["argv"][0])
    for path in candidates:
        try:
            os.execve(path, spec["argv"], env)
        except OSError as error:
            problem = error
        except ValueError as error:
            problem = OSError(errno.EINVAL, str(error))
    os.write(report, b"E" + str(problem).encode("utf-8", "replace")[:4000])
    os._exit(126)


def be_nice(spec: Record) -> None:
    """Make the kernel prefer others: the user's session is worth more than a background task."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, max(spec["niceness"], os.getpriority(os.PRIO_PROCESS, 0)))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "r+", encoding="ascii") as file:
        wanted = max(spec["oom_score_adj"], int(file.read()))  # lowering it needs a privilege
        file.seek(0)
        file.write(str(wanted))


def executables(program: str, search_path: str) -> list[str]:
    """Give the files that `program` may mean, in order.

    Raises:
        FileNotFoundError: there is none that may be executed.
    """
    folders = [""] if "/" in program else search_path.split(os.pathsep)
    found = [os.path.join(folder, program) for folder in folders]
    found = [path for path in found if os.path.isfile(path) and os.access(path, os.X_OK)]
    if not found:
        where = (
            "it is missing or may not be executed"
            if "/" in program
            else f"it is nowhere on PATH ({search_path})"
        )
        raise FileNotFoundError(f"cannot run {program!r}: {where}")
    return found


def become_subreaper() -> None:
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - 2 ms, while the supervisor writes down that the run is there

        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap_all() -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def read_text(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def pid_namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def start_ticks(pid: int) -> int | None:
    """Give field 22 of /proc/PID/stat, clock ticks since boot; None where there is no /proc."""
    fields = read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return int(fields[19]) if fields else None


def oom_kills() -> int:
    """Give how many processes the kernel has killed for memory since boot (Linux, else 0)."""
    for line in read_text("/proc/vmstat").splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return 0


def main() -> int:
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    return Keeper(sys.argv[1], sys.argv[2]).keep()


if __name__ == "__main__":
    sys.exit(main())
