"""What it costs that a Claude Code is delegated, instead of started: the real one, against a fake API on loopback."""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from harness import CLAUDINE, Client, Home, Row, connected, home, spread, until

TESTS = Path(__file__).parent.parent / "tests"
sys.path.append(str(TESTS))

from claude_code import claude_env  # noqa: E402 - it is found by what stands above
from external import CLAUDE, NotInstalledError, locate  # noqa: E402

PROMPT = "FAKE: text done"
LOOK_EVERY_S = 0.0005


@dataclass
class Times:
    """Seconds, one a run: from the beginning to the first line of output, and to the end."""

    first: list[float] = field(default_factory=list[float])
    total: list[float] = field(default_factory=list[float])

    def add(self, run: tuple[float, float]) -> None:
        """Add a run's."""
        self.first.append(run[0])
        self.total.append(run[1])


def measure(*, quick: bool) -> list[Row]:
    """Delegate, start by hand with the same arguments, and start by hand with a prompt of text, in turn."""
    try:
        (program,) = locate(CLAUDE, install=False)
    except NotInstalledError as error:
        raise SystemExit(str(error)) from None
    rounds = 6 if quick else 30
    ours, plain, text, nothing = Times(), Times(), Times(), Times()
    with fake_api() as url:
        with claude_home(program, url) as place, connected(CLAUDINE, place.env) as client:
            for number in range(rounds + 1):
                task_id, times = delegated(place, client)
                by_hand = started(place, *same_arguments(place, task_id))
                with_text = started(place, *text_arguments(place, program))
                if number:  # the first round asks for the version, and starts the supervisor
                    ours.add(times)
                    plain.add(by_hand)
                    text.add(with_text)
        for _ in range(3 if quick else 10):
            with claude_home(program, url) as place, connected(CLAUDINE, place.env) as client:
                nothing.add(delegated(place, client)[1])
    return [
        more("submission → first line, more than `claude` itself", ours.first, plain.first, 60),
        more(
            "submission → WaitForEvents returns, more than `claude` itself until its exit",
            ours.total,
            plain.total,
            100,
        ),
        ratio("submission → first line, to `claude` itself", ours.first, plain.first),
        ratio("submission → WaitForEvents returns, to `claude` itself", ours.total, plain.total),
        more("submission → WaitForEvents returns, more than `claude -p` with text", ours.total, text.total),
        more("submission → first line from nothing, more than `claude` itself", nothing.first, plain.first),
    ]


def more(what: str, ours: list[float], plain: list[float], target: float | None = None) -> Row:
    """Compare medians by their difference."""
    value = 1000 * (statistics.median(ours) - statistics.median(plain))
    return Row(what, value, "ms", target, f"{spread(ours)}; by hand {spread(plain)}")


def ratio(what: str, ours: list[float], plain: list[float]) -> Row:
    """Compare medians by their ratio."""
    return Row(what, statistics.median(ours) / statistics.median(plain), "times")


@contextlib.contextmanager
def fake_api() -> Iterator[str]:
    """Run the Messages API of the tests as a program; give its address."""
    program = [sys.executable, str(TESTS / "fake_api.py")]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate()


@contextlib.contextmanager
def claude_home(program: str, url: str) -> Iterator[Home]:
    """Make a state directory whose clients have the whole environment of a Claude Code that is nobody's."""
    with home({"claude": {"command": program}}) as place:
        for name in set(place.env) - {"CLAUDINE_HOME", "CLAUDINE_CONFIG"}:
            del place.env[name]
        place.env.update(claude_env(place.folder, url))
        yield place


def delegated(place: Home, client: Client) -> tuple[str, tuple[float, float]]:
    """Delegate; give the task, and the seconds to its first line and to the answer of who waits for its end."""
    began = time.perf_counter()
    task_id = client.call("DelegateTask", prompt=PROMPT, cwd=str(place.folder))["taskId"]
    waiting = client.begin_call("WaitForEvents", taskIds=[task_id], until="ended")
    printed = first_line(place.run(task_id) / "stdout.log")
    client.called(waiting)
    ended = time.perf_counter()
    if place.rows("SELECT outcome FROM tasks WHERE id = ?", task_id) != [("succeeded",)]:
        raise RuntimeError(f"task {task_id} did not succeed")
    return task_id, (printed - began, ended - began)


def started(place: Home, argv: list[str], env: dict[str, str], stdin: Path) -> tuple[float, float]:
    """Start Claude Code by hand; give the seconds to its first line and to its exit."""
    output = place.folder / f"{uuid.uuid4()}.log"
    with stdin.open("rb") as source, output.open("wb") as target:
        began = time.perf_counter()
        process = subprocess.Popen(
            argv,
            stdin=source,
            stdout=target,
            stderr=subprocess.DEVNULL,
            env=env,
            cwd=place.folder,
            start_new_session=True,
        )
    printed = first_line(output)
    code = process.wait()
    ended = time.perf_counter()
    if code:
        raise RuntimeError(f"{argv} ended with exit code {code}")
    return printed - began, ended - began


def same_arguments(place: Home, task_id: str) -> tuple[list[str], dict[str, str], Path]:
    """Give what a delegated run was started with, for a session of its own."""
    run = place.run(task_id)
    spec = json.loads((run / "spec.json").read_bytes())
    argv: list[str] = spec["argv"]
    argv[argv.index("--session-id") + 1] = str(uuid.uuid4())
    env = json.loads(Path(spec["env_file"]).read_bytes()) | spec["env"]
    return argv, env, run / "messages.jsonl"


def text_arguments(place: Home, program: str) -> tuple[list[str], dict[str, str], Path]:
    """Give what someone would type."""
    prompt = place.folder / "prompt"
    prompt.write_text(PROMPT, encoding="utf-8")
    return [program, "-p", "--output-format", "stream-json", "--verbose"], place.env, prompt


def first_line(path: Path) -> float:
    """Wait until a file has something in it; give when that was."""

    def has_grown() -> bool:
        try:
            return path.stat().st_size > 0
        except FileNotFoundError:
            return False

    until(has_grown, LOOK_EVERY_S)
    return time.perf_counter()
