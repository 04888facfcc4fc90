"""Runs on this machine: a keeper each, and what it leaves in the run directory."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import marshal
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from importlib.util import MAGIC_NUMBER, source_hash
from pathlib import Path
from typing import Any, cast

from claudine_mcp.core.evidence import Evidence, ExitRecord
from claudine_mcp.core.identity import Identity
from claudine_mcp.host.exitstatus import killed_for_memory
from claudine_mcp.host.files import open_regular, write_durable
from claudine_mcp.host.processes import boot_id, is_alive

KEEPER_SOURCE = Path(__file__).parent.parent / "keeper.py"
KEEPER_PYTHON = (sys.executable, "-I", "-S", "-E")
UNCHECKED = (0b01).to_bytes(4, "little")
"""The flags of a compiled module that goes by a hash, and is not compared with its source (PEP 552)."""
LOG_TAIL_BYTES = 2000


@dataclass(frozen=True, slots=True)
class StartRecord:
    """What the keeper said before it was told to go."""

    keeper: Identity | None
    main: Identity | None
    error: str | None = None


class RunDirectory:
    """The evidence of one run, on disk. Reading it changes nothing.

    Records appear whole, by rename: one that cannot be read was damaged from outside, and is no evidence.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def start(self) -> StartRecord | None:
        """Give what the keeper wrote in `start`, None before that."""
        record = self._read("start")
        if record is None:
            return None
        if "error" in record:
            return StartRecord(None, None, str(record["error"]))
        try:
            keeper, main = (
                Identity(
                    str(record["boot_id"]),
                    str(record["pid_namespace"]),
                    int(record[who]["pid"]),
                    int(record[who]["start"] or 0),
                )
                for who in ("keeper", "main")
            )
        except (KeyError, TypeError, ValueError):
            return None
        return StartRecord(keeper, main)

    def exit(self) -> ExitRecord | None:
        """Give how the main process ended, None while nobody has said."""
        record = self._read("exit")
        if record is None:
            return None
        known = {name: record[name] for name in ExitRecord.__dataclass_fields__ if name in record}
        numbers = [known.get("code"), known.get("signal"), known.get("at")]
        if not all(isinstance(number, int | float | None) for number in numbers) or numbers[2] is None:
            return None
        try:
            return ExitRecord(**known)
        except TypeError:
            return None

    def write_exit(self, record: ExitRecord) -> None:
        """Write down what the keeper could not: it is dead."""
        write_durable(self.path / "exit", json.dumps(asdict(record)).encode())

    def lock_is_held(self) -> bool:
        """Whether a keeper lives. Do not ask while one that was just started may be taking its lock."""
        try:
            fd = os.open(self.path / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def keeper_log(self) -> str:
        """Give the end of what the keeper complained about."""
        with contextlib.suppress(OSError):
            return self._bytes_of("keeper.log")[-LOG_TAIL_BYTES:].decode("utf-8", "replace").strip()
        return ""

    def has(self, name: str) -> bool:
        """Whether a record is there."""
        return (self.path / name).exists()

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            record: Any = json.loads(self._bytes_of(name))
        except (FileNotFoundError, ValueError):
            return None
        return cast("dict[str, Any]", record) if isinstance(record, dict) else None

    def _bytes_of(self, name: str) -> bytes:
        with os.fdopen(open_regular(self.path / name), "rb") as file:
            return file.read()


@dataclass(slots=True)
class Launched:
    """A keeper that this process started, and the pipe on which it waits for "go"."""

    process: subprocess.Popen[bytes]
    go_fd: int | None

    def go(self) -> None:
        """Let the process run. A keeper that has died meanwhile is found by its evidence."""
        if self.go_fd is not None:
            with contextlib.suppress(BrokenPipeError):
                os.write(self.go_fd, b"g")
            self.withhold()

    def withhold(self) -> None:
        """Close the pipe; without "go" before it, nothing will run."""
        if self.go_fd is not None:
            os.close(self.go_fd)
            self.go_fd = None


def install_keeper(state_dir: Path) -> Path:
    """Copy the keeper, compiled, into the state directory under its hash, unless it is there; give the copy's path.

    Python keeps nothing of what it compiles of a program, and so would compile it for each run: 4 ms.
    """
    source = KEEPER_SOURCE.read_bytes()
    copy = state_dir / "keepers" / f"{hashlib.sha256(MAGIC_NUMBER + source).hexdigest()[:16]}.pyc"
    if not copy.exists():
        copy.parent.mkdir(mode=0o700, exist_ok=True)
        code = compile(source, KEEPER_SOURCE, "exec", dont_inherit=True)
        write_durable(copy, MAGIC_NUMBER + UNCHECKED + source_hash(source) + marshal.dumps(code))
    return copy


def launch(run: Path, spec: dict[str, Any], keeper: Path, bell: Path) -> Launched:
    """Write down what is to run, and start a keeper that waits for "go".

    Raises:
        OSError: the run directory cannot be written, or no process can be started.
    """
    run.mkdir(mode=0o700, exist_ok=True)
    # Not synced: a run that a crash of the machine meets before `began` is started anew, with a new one.
    (run / "spec.json").write_bytes(json.dumps(spec).encode())
    read_end, write_end = os.pipe()
    try:
        with (run / "keeper.log").open("ab") as log:
            process = subprocess.Popen(
                [*KEEPER_PYTHON, str(keeper), str(run), str(bell)],
                stdin=read_end,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd="/",
                env={},
                start_new_session=True,
            )
    except BaseException:
        os.close(write_end)
        raise
    finally:
        os.close(read_end)
    return Launched(process, write_end)


def gather(directory: RunDirectory, start: StartRecord | None, *, keeper_alive: bool) -> Evidence:
    """Collect the evidence of a run.

    `keeper_alive` must have been looked at before: a keeper writes its records and then leaves, so what a
    dead one has written is there to be read.
    """
    main = start.main if start is not None else None
    return Evidence(
        keeper_alive=keeper_alive,
        started=main is not None,
        start_error=start.error if start is not None else None,
        began=directory.has("began"),
        exit=directory.exit(),
        gone=directory.has("gone"),
        main_alive=main is not None and is_alive(main),
        same_boot=None if main is None else main.boot_id == boot_id(),
    )


def exit_record(status: int, source: str, at: float) -> ExitRecord:
    """Read a wait status."""
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    return ExitRecord(source, code, number, at)


def with_memory_verdict(record: ExitRecord, main: Identity | None) -> ExitRecord:
    """Add whether the kernel ended the run for want of memory.

    Its log is asked for the main process. Where that may not be read, a SIGKILL (or a shell's 137) together
    with a rise of the machine's `oom_kill` counter during the run is taken for it.
    """
    killed = record.signal == signal.SIGKILL
    said_by_shell = record.code == 128 + signal.SIGKILL
    if not (killed or said_by_shell) or main is None:
        return record
    in_log = killed_for_memory(main) if killed else None
    verdict = in_log if in_log is not None else record.oom_kills > 0
    return replace(record, killed_for_memory=verdict)
