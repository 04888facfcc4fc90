"""What the measurements share: state directories of their own, a client that costs nothing, and a table.

The client speaks JSON-RPC over a pipe by itself, synchronously: the SDK's would add its own milliseconds, and
the same ones to both sides of a comparison.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

CLAUDINE = (sys.executable, "-P", "-m", "claudine_mcp")
BARE = (sys.executable, "-P", str(Path(__file__).with_name("bare_server.py")))
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
WAIT_S = 120.0
"""Ends a run that hangs; measures nothing."""


# -- results ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        what: what was measured.
        value: the number that is compared with `target`.
        unit: of both.
        target: the most that it may be; None: nothing was promised, it is only told.
        note: the numbers behind it.
    """

    what: str
    value: float
    unit: str
    target: float | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """`ok`, `over`, or nothing where nothing was promised."""
        if self.target is None:
            return ""
        return "ok" if self.value <= self.target else "**over**"


def p95(values: Sequence[float]) -> float:
    """Give the value that 95 % do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * 95 // 100) - 1)]


def spread(values: Sequence[float], unit: str = "ms") -> str:
    """Say how values are distributed; they are in seconds if the unit is ms."""
    factor = 1000 if unit == "ms" else 1
    low, middle, high, most = min(values), statistics.median(values), p95(values), max(values)
    numbers = " / ".join(f"{value * factor:.4g}" for value in (low, middle, high, most))
    return f"{numbers} {unit} (min / p50 / p95 / max of {len(values)})"


def table(rows: Sequence[Row]) -> str:
    """Give the rows as Markdown."""
    lines = ["| what | target | value | | behind it |", "|---|---:|---:|---|---|"]
    for row in rows:
        target = "" if row.target is None else f"≤ {row.target:g} {row.unit}"
        lines.append(f"| {row.what} | {target} | {row.value:.3g} {row.unit} | {row.verdict} | {row.note} |")
    return "\n".join(lines)


def machine() -> str:
    """Describe what this was measured on."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return (
        f"{model}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB of memory, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}"
    )


# -- a client -----------------------------------------------------------------------------------------------


class ToolFailed(Exception):
    """A tool answered with an error."""


class Client:
    """One server as a child process, and requests to it.

    Args:
        command: what starts the server.
        env: its whole environment.
    """

    def __init__(self, command: Sequence[str], env: dict[str, str]) -> None:
        self._ids = itertools.count(1)
        self._answers: dict[int, dict[str, Any]] = {}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=env,
            cwd="/",
        )

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    def request(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a request and wait for its answer; give the result."""
        return self.result_of(self.send(method, **params))

    def send(self, method: str, **params: Any) -> int:
        """Send a request; give its id, for `result_of`."""
        number = next(self._ids)
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": {**params, "_meta": META}}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()
        return number

    def result_of(self, number: int) -> dict[str, Any]:
        """Wait for the answer to a request; give the result."""
        assert self._process.stdout is not None
        while number not in self._answers:
            line = self._process.stdout.readline()
            if not line:
                raise ToolFailed("the server has gone")
            message = json.loads(line)
            if "method" not in message:
                self._answers[message["id"]] = message
        answer = self._answers.pop(number)
        if "error" in answer:
            raise ToolFailed(answer["error"])
        return answer["result"]

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool; give its structured result."""
        return self.called(self.begin_call(tool, **arguments))

    def begin_call(self, tool: str, **arguments: Any) -> int:
        """Call a tool without waiting; give the request's id, for `called`."""
        return self.send("tools/call", name=tool, arguments=arguments)

    def called(self, number: int) -> dict[str, Any]:
        """Wait for a tool's answer; give its structured result."""
        result = self.result_of(number)
        if result.get("isError"):
            raise ToolFailed(result["content"][0]["text"])
        return result["structuredContent"]

    def close(self) -> None:
        """Leave, and see the server end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


@contextlib.contextmanager
def connected(command: Sequence[str], env: dict[str, str]) -> Iterator[Client]:
    """Start a server and shake hands with it; it has ended afterwards."""
    client = Client(command, env)
    try:
        client.request("server/discover")
        yield client
    finally:
        client.close()


# -- a state directory --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Home:
    """A state directory for one measurement.

    Attributes:
        folder: holds all that the measurement leaves behind.
        env: the environment of its servers.
    """

    folder: Path
    env: dict[str, str] = field(repr=False)

    @property
    def state(self) -> Path:
        """What CLAUDINE_HOME names."""
        return self.folder / "state"

    @property
    def registry(self) -> Path:
        """The database."""
        return self.state / "registry.db"

    def configure(self, settings: dict[str, Any]) -> None:
        """Write the user's file."""
        Path(self.env["CLAUDINE_CONFIG"]).write_text(json.dumps(settings), encoding="utf-8")

    def run(self, task_id: str) -> Path:
        """Give the directory of a task's first run."""
        return self.state / "tasks" / task_id / "1"

    def output(self, task_id: str) -> str:
        """Give what the first run of a task has printed."""
        return (self.run(task_id) / "stdout.log").read_text(encoding="utf-8")

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Read the registry, beside everyone who uses it."""
        with contextlib.closing(sqlite3.connect(f"file:{self.registry}?mode=ro", uri=True)) as connection:
            return connection.execute(sql, values).fetchall()

    def processes(self) -> list[psutil.Process]:
        """Give the living processes whose command line or environment names this folder."""
        needle = str(self.folder)
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                texts = (*process.cmdline(), *process.environ().values())
                if process.pid != os.getpid() and any(needle in text for text in texts):
                    found.append(process)
        return found

    def supervisor(self) -> int:
        """Give the pid of the supervisor."""
        return next(p.pid for p in self.processes() if "supervise" in p.cmdline())

    def keepers(self) -> list[int]:
        """Give the pids of the keepers."""
        folder = str(self.state / "keepers")
        return [p.pid for p in self.processes() if any(folder in text for text in p.cmdline())]


@contextlib.contextmanager
def home(settings: dict[str, Any] | None = None) -> Iterator[Home]:
    """Make a state directory; end all that was started for it, by pid, and remove it."""
    folder = Path(tempfile.mkdtemp(prefix="claudine-bench-"))
    # Some environments tell Python not to keep what it has compiled; then every start would be measured
    # compiling, on our side only.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env |= {"CLAUDINE_HOME": str(folder / "state"), "CLAUDINE_CONFIG": str(folder / "config.json")}
    place = Home(folder, env)
    place.configure(settings or {})
    try:
        yield place
    finally:
        for _ in range(50):
            alive = place.processes()
            for process in alive:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(alive, timeout=1)
            if not alive:
                break
        shutil.rmtree(folder, ignore_errors=True)


def until(condition: Callable[[], Any], pause_s: float = 0.02) -> Any:
    """Ask until the answer is true; give it."""
    deadline = time.monotonic() + WAIT_S
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError("a measurement does not come to its end")
        time.sleep(pause_s)
    return answer


def cpu_s(pid: int) -> float:
    """Give the CPU time that a process has used, in seconds, its ended threads included.

    On Linux by the process's own clock, which counts nanoseconds: /proc/PID/stat counts hundredths. The clock's
    number is what clock_getcpuclockid(3) would give.
    """
    if sys.platform == "linux":
        return time.clock_gettime((~pid << 3) | 2)
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def pss_bytes(pid: int) -> int:
    """Give a process's share of the memory that it uses: pages that n processes share count one n-th."""
    return psutil.Process(pid).memory_full_info().pss
