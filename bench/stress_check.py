"""What must be true of a state directory after anything: the promises of the software, one function each."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

NEVER_EXECUTED = 125
"""What a task's process exits with if its keeper dies before it may execute anything."""

Rows = list[dict[str, Any]]


class Findings:
    """The registry, the run directories and the journal of the tasks, read once.

    The journal is a file to which every task writes `CLAUDINE_RUN` as the first thing that it does.

    Args:
        state_dir: what is looked at; nothing may serve it any more.
        journal: the file.
    """

    def __init__(self, state_dir: Path, journal: Path) -> None:
        self.state_dir = state_dir
        with contextlib.closing(sqlite3.connect(state_dir / "registry.db")) as connection:
            connection.row_factory = sqlite3.Row
            self.integrity = [row[0] for row in connection.execute("PRAGMA integrity_check")]
            self.broken_keys = connection.execute("PRAGMA foreign_key_check").fetchall()
            self.tasks, self.runs, self.commands, self.events = (
                self._read(connection, table) for table in ("tasks", "runs", "commands", "events")
            )
        text = journal.read_text() if journal.exists() else ""
        self.begun = Counter(text.split())
        self.ids = {task["id"] for task in self.tasks}

    @staticmethod
    def _read(connection: sqlite3.Connection, table: str) -> Rows:
        return [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]

    def record(self, task: dict[str, Any], name: str) -> dict[str, Any] | None:
        """Give a record of the newest run of a task."""
        try:
            return json.loads((self.state_dir / "tasks" / task["id"] / str(task["run"]) / name).read_bytes())
        except (OSError, ValueError):
            return None

    def problems(self, accepted: set[str]) -> list[str]:
        """Give every broken promise. `accepted`: ids of tasks that a front was told of, and that were not removed."""
        checks = (
            self.registry_is_sound(),
            (f"{task_id}: was accepted, and is gone" for task_id in sorted(accepted - self.ids)),
            self.nothing_began_twice(),
            self.everything_has_ended(),
            self.no_outcome_is_better_than_its_evidence(),
            self.every_end_was_told_once(),
            self.nothing_is_left(),
        )
        return [problem for check in checks for problem in check]

    def registry_is_sound(self) -> Iterator[str]:
        """The database is whole, and nothing in it waits."""
        if self.integrity != ["ok"] or self.broken_keys:
            yield f"the registry is damaged: {self.integrity[:3]} {self.broken_keys[:3]}"
        for command in self.commands:
            if command["done_at"] is None:
                yield f"command {command['id']} ({command['kind']} {command['task_id']}) was never answered"
            elif "failed inside" in str(command["result"]):
                yield f"command {command['id']} ({command['kind']} {command['task_id']}): {command['result']}"
        for run in self.runs:
            if run["gone_at"] is None:
                yield f"{run['task_id']}.{run['n']}: nobody noticed that it is gone"

    def nothing_began_twice(self) -> Iterator[str]:
        """A run begins at most once, and there is one run and one more for each retry."""
        for run_id, count in self.begun.items():
            if count > 1:
                yield f"{run_id}: began {count} times"
        runs_begun = defaultdict[str, int](int)
        for run_id in self.begun:
            runs_begun[run_id.split(".")[0]] += 1
        retries = self.retries()
        for task in self.tasks:
            if runs_begun[task["id"]] > 1 + retries[task["id"]]:
                yield f"{task['id']}: began {runs_begun[task['id']]} times with {retries[task['id']]} retries"

    def retries(self) -> Counter[str]:
        """Give how often each task was asked to run again."""
        return Counter(
            command["task_id"]
            for command in self.commands
            if command["kind"] == "retry" and '"changed":true' in (command["result"] or "")
        )

    def everything_has_ended(self) -> Iterator[str]:
        """No task is in any other state, and each outcome has its reason."""
        cancels = {command["task_id"] for command in self.commands if command["kind"] == "cancel"}
        outcomes = {task["id"]: task["outcome"] for task in self.tasks}
        retries = self.retries()
        for task in self.tasks:
            name, outcome = title(task), task["outcome"]
            if task["state"] != "ended" or outcome is None:
                yield f"{name}: is {task['state']} ({outcome})"
            if outcome == "cancelled" and task["id"] not in cancels:
                yield f"{name}: cancelled, and nobody asked for it"
            # A run of its own begins only when it is admitted: until then the newest is the one before the retry.
            if outcome in {"skipped", "not_started"} and self.began(task) and not retries[task["id"]]:
                yield f"{name}: {outcome}, and it began"
            needs = [needed for needed, _ in json.loads(task["depends_on"])]
            # One that was retried may have failed before.
            if outcome == "skipped" and all(outcomes.get(i) == "succeeded" and not retries[i] for i in needs):
                yield f"{name}: skipped, though all of {needs} succeeded"

    def no_outcome_is_better_than_its_evidence(self) -> Iterator[str]:
        """What succeeded or failed has an exit record that says so, and what has one is not called interrupted."""
        for task in self.tasks:
            name, outcome, record = title(task), task["outcome"], self.record(task, "exit")
            if record is None or record["source"] == "unknown" or record.get("exec_error"):
                if outcome in {"succeeded", "failed"}:
                    yield f"{name}: {outcome} without an exit record ({record})"
                continue
            if outcome == "interrupted":
                yield f"{name}: interrupted, but its record says {record}"
            if outcome not in {"succeeded", "failed"}:
                continue
            status = record["code"], record["signal"]
            if status != (task["exit_code"], task["signal"]) or (outcome == "succeeded") != (
                status == (0, None)
            ):
                yield f"{name}: {outcome} with {task['exit_code']}/{task['signal']}, but its record says {record}"
            # Killed, or without keeper, between `began` and its first command it exits as nobody promised.
            if record["signal"] is None and status != (NEVER_EXECUTED, None):
                if not self.began(task):
                    yield f"{name}: {outcome}, and never began"
                if expected(task["name"]) not in {None, record["code"]}:
                    yield f"{name}: exit code {record['code']}"

    def began(self, task: dict[str, Any]) -> bool:
        """Whether the newest run of a task has written into the journal."""
        return self.begun[f"{task['id']}.{task['run']}"] > 0

    def every_end_was_told_once(self) -> Iterator[str]:
        """Each end has its event."""
        told = Counter(event["task_id"] for event in self.events if event["type"] == "task:ended")
        retries = self.retries()
        for task in self.tasks:
            if told[task["id"]] != 1 + retries[task["id"]]:
                yield f"{task['id']}: {told[task['id']]} ends were told, with {retries[task['id']]} retries"

    def nothing_is_left(self) -> Iterator[str]:
        """No process, lock or file stays."""
        for pid, line in processes_of(self.state_dir).items():
            yield f"process {pid} is left: {line}"
        for path in [self.state_dir / "lease", *self.state_dir.glob("tasks/*/*/lock")]:
            with path.open("r+b") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    yield f"{path} is held"
        folders = {path.name for path in (self.state_dir / "tasks").iterdir()}
        for name in sorted(folders - self.ids):
            yield f"tasks/{name} is left without a task"
        for name in sorted(self.ids - folders):
            yield f"{name}: its files are gone"
        for path in self.state_dir.iterdir():
            if ".new-" in path.name or ".tmp" in path.name:
                yield f"{path.name} is left"
        log = (self.state_dir / "supervisor.log").read_text(errors="replace")
        for block in log.split("Traceback (most recent call last)")[1:]:
            yield f"the supervisor's log has a traceback: …{block[-1500:]}"


def processes_of(folder: Path) -> dict[int, str]:
    """Give the other living processes whose command line or environment names a folder: pid to command line."""
    found: dict[int, str] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            line = process.cmdline()
            texts = (*line, *process.environ().values())
            if process.pid != os.getpid() and any(str(folder) in text for text in texts):
                found[process.pid] = " ".join(line)
    return found


def title(task: dict[str, Any]) -> str:
    """Name the newest run of a task, and what it runs."""
    return f"{task['id']}.{task['run']} ({task['name']})"


def expected(name: str) -> int | None:
    """Give the exit code that a task's name promises ("exit 3"), None where it says nothing."""
    kind, _, code = name.partition(" ")
    return int(code) if kind == "exit" else None
