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
            self.everything_ended_as_its_evidence_says(),
            self.every_end_was_told_once(),
            self.nothing_is_left(),
        )
        return [problem for check in checks for problem in check]

    def registry_is_sound(self) -> Iterator[str]:
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
        return Counter(
            command["task_id"]
            for command in self.commands
            if command["kind"] == "retry" and '"changed":true' in (command["result"] or "")
        )

    def everything_ended_as_its_evidence_says(self) -> Iterator[str]:
        outcomes = {task["id"]: task["outcome"] for task in self.tasks}
        cancels = {command["task_id"] for command in self.commands if command["kind"] == "cancel"}
        for task in self.tasks:
            name, outcome = f"{task['id']}.{task['run']} ({task['name']})", task["outcome"]
            record = self.record(task, "exit")
            began = self.begun[f"{task['id']}.{task['run']}"] == 1
            seen = record is not None and record["source"] != "unknown"
            if task["state"] != "ended" or outcome is None:
                yield f"{name}: is {task['state']} ({outcome})"
                continue
            if outcome in {"succeeded", "failed"}:
                if not seen or record is None or record.get("exec_error"):
                    yield f"{name}: {outcome} without an exit record ({record})"
                elif (record["code"], record["signal"]) != (task["exit_code"], task["signal"]):
                    yield f"{name}: {outcome} with {task['exit_code']}/{task['signal']}, but its record says {record}"
                elif (outcome == "succeeded") != (record["code"] == 0 and record["signal"] is None):
                    yield f"{name}: {outcome}, but its record says {record}"
                elif not began and (
                    outcome == "succeeded" or record["signal"] is None and record["code"] != 125
                ):
                    # One that is killed, or loses its keeper, between `began` and its first command is not in the journal.
                    yield f"{name}: {outcome}, and never began"
            if outcome == "succeeded" and (wanted := expected(task["name"])) not in {None, 0}:
                yield f"{name}: succeeded, though it exits with {wanted}"
            if outcome == "failed" and task["exit_code"] not in {None, expected(task["name"]), 125}:
                yield f"{name}: exit code {task['exit_code']}"
            if outcome == "interrupted" and seen:
                yield f"{name}: interrupted, but its record says {record}"
            if outcome == "cancelled" and task["id"] not in cancels:
                yield f"{name}: cancelled, and nobody asked for it"
            if outcome in {"skipped", "not_started"} and began:
                yield f"{name}: {outcome}, and it began"
            if outcome == "skipped":
                needs = [(dependency, on) for dependency, on in json.loads(task["depends_on"])]
                if all(outcomes.get(dependency) == "succeeded" for dependency, _ in needs):
                    yield f"{name}: skipped, though all of {needs} succeeded"

    def every_end_was_told_once(self) -> Iterator[str]:
        told = Counter(event["task_id"] for event in self.events if event["type"] == "task:ended")
        retries = self.retries()
        for task in self.tasks:
            if told[task["id"]] != 1 + retries[task["id"]]:
                yield f"{task['id']}: {told[task['id']]} ends were told, with {retries[task['id']]} retries"

    def nothing_is_left(self) -> Iterator[str]:
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                texts = (*process.cmdline(), *process.environ().values())
                if process.pid != os.getpid() and any(str(self.state_dir) in text for text in texts):
                    yield f"process {process.pid} is left: {' '.join(process.cmdline())}"
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


def expected(name: str) -> int | None:
    """Give the exit code that a task's name promises ("exit 3"), None where it says nothing."""
    kind, _, code = name.partition(" ")
    return int(code) if kind == "exit" else None
