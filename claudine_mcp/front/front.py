"""What a server and a command line both do: submit tasks, issue commands and await what becomes of them.

A front never signals a process and never writes a task's state.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from claudine_mcp.core.config import Resolved
from claudine_mcp.core.errors import InvalidInput, NotNow, StateDirError, SupervisorError, TaskNotFound
from claudine_mcp.core.models import JSON, Command, CommandKind, Event, Severity, Task
from claudine_mcp.core.paths import task_directory
from claudine_mcp.core.states import State
from claudine_mcp.core.units import whole_text
from claudine_mcp.front.migration import migrated
from claudine_mcp.front.submit import (
    CommandRequest,
    Submission,
    check_command,
    checked_cwd,
    dependencies,
    new_id,
)
from claudine_mcp.front.supervision import (
    SILENT_BEAT_S,
    Pulse,
    ensure_supervisor,
    log_tail,
    replace_silent,
    see_to_supervisor,
)
from claudine_mcp.host.files import write_durable
from claudine_mcp.host.settings import load_project, load_settings, state_dir
from claudine_mcp.host.statedir import claim, prepare
from claudine_mcp.registry.ballast import Ballast
from claudine_mcp.registry.bell import Listener, listen
from claudine_mcp.registry.commands import add_command, get_command, overrides
from claudine_mcp.registry.database import Database, DiskFull, OlderRegistry, open_database
from claudine_mcp.registry.events import add_event
from claudine_mcp.registry.tasks import get_task, insert_task, runs_of

LOOK_EVERY_S = 2.0
"""How long a front trusts the bell before it looks for itself."""


class Front:
    """A client's side of a state directory. Use `open_front`.

    Args:
        directory: the state directory, prepared.
        db: its registry.
        env: the environment of the client.
        cwd: its working directory.
        origin: who asks: `by` in words, `session` if it is one, and `project` if it is not the working directory.

    Attributes:
        telling: held from looking what the client is to be told of alerts and ends until it is noted that it was.
    """

    def __init__(self, directory: Path, db: Database, env: Mapping[str, str], cwd: str, origin: JSON) -> None:
        self.state_dir = directory
        self.db = db
        self.env = env
        self.cwd = cwd
        self.origin: JSON = {"project": cwd, **origin}
        self.telling = anyio.Lock()

    async def settings(self) -> Resolved:
        """Give the settings in force, and where each comes from."""
        async with self.db.read() as tx:
            changed = await overrides(tx, "*")
        return load_settings(self.env, overrides=changed)

    async def submit_command(self, request: CommandRequest) -> Task:
        """Check a request and store it as a queued task; start a supervisor if there is none.

        Raises:
            InvalidInput: it is wrong; nothing was stored.
            StateDirError: there is no space, or no permission; nothing was stored.
            RegistryError: the same, or the registry is damaged.
            SupervisorError: it is stored, and there is nobody to start it yet.
        """
        settings = (await self.settings()).settings
        cwd = checked_cwd(request.cwd, self.cwd)
        submission = check_command(
            request, settings, load_project(Path(cwd)), env=self.env, cwd=cwd, submitter=self.origin
        )
        return await self.submit(submission)

    async def submit(self, submission: Submission) -> Task:
        """Store a checked request as a queued task; start a supervisor if there is none.

        Raises:
            InvalidInput: a task that it depends on does not exist, it cannot have a worktree, or the memory that it
                needs can never be had.
        """
        if "minMemory" in submission.task.spec.get("resources", {}):
            await self._check_fits(submission.task.spec)
        if submission.task.spec.get("worktree"):
            from claudine_mcp.front.worktrees import in_worktree  # noqa: PLC0415 - only where it is wanted

            submission = await in_worktree(submission)
        task = await self._store(submission)
        try:
            await see_to_supervisor(self.db, self.state_dir, self.env)
        except SupervisorError as error:
            raise SupervisorError(
                f"{error}. Task {task.id} is queued, and starts when a supervisor does."
            ) from error
        return task

    async def _check_fits(self, spec: JSON) -> None:
        from claudine_mcp.core.resources import check_fits  # noqa: PLC0415 - seldom needed
        from claudine_mcp.core.samples import OtherClaude  # noqa: PLC0415
        from claudine_mcp.host.system import measure  # noqa: PLC0415

        machine = await anyio.to_thread.run_sync(measure, self.state_dir, OtherClaude())
        limits = (await self.settings()).settings.limits
        check_fits(spec, machine.total_bytes, limits.reserve_bytes(machine.total_bytes))

    async def _store(self, submission: Submission) -> Task:
        """Write the files, then the row: a crash between the two leaves files that a sweep removes."""
        task = submission.task
        found = await self._resolve([given for given, _ in submission.wanted_dependencies])
        task = replace(task, depends_on=dependencies(found, submission.wanted_dependencies))
        while True:
            folder = task_directory(self.state_dir, task.id)
            try:
                fd = await anyio.to_thread.run_sync(claim, folder)
            except FileExistsError:
                task = replace(task, id=new_id())
                continue
            except OSError as error:
                raise not_stored(folder, error) from error
            try:
                for name, content in submission.files.items():
                    await anyio.to_thread.run_sync(write_durable, folder / name, content)
                async with self.db.write() as tx:
                    seq = await insert_task(tx, task)
                    await add_event(tx, queued_event(task))
            except sqlite3.IntegrityError:
                task = replace(task, id=new_id())  # the id is taken by a task whose files were lost
            except (
                Exception
            ) as error:  # not a cancellation: the row may be there by then, which a sweep looks at
                shutil.rmtree(folder, ignore_errors=True)
                if isinstance(error, OSError):
                    raise not_stored(folder, error) from error
                raise
            else:
                return replace(task, seq=seq)
            finally:
                os.close(fd)

    async def _resolve(self, wanted: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        async with self.db.read() as tx:
            for given in wanted:
                try:
                    found[given] = (await get_task(tx, given)).id
                except TaskNotFound as error:
                    raise InvalidInput("dependsOn", str(error).removeprefix("taskId: ")) from error
        return found

    async def command(self, kind: CommandKind, task_id: str | None, args: Mapping[str, Any]) -> JSON:
        """Ask something of the supervisor and wait for the result, for as long as the supervisor works on it.

        Raises:
            InvalidInput: a text among the arguments cannot be stored.
            NotNow: it makes no sense in the state that things are in.
            SupervisorError: there is none and none can be started, or it does not answer.
            RegistryError: it cannot be written down; nothing was changed.
        """
        return await self.result(await self.issue(kind, task_id, args))

    async def issue(self, kind: CommandKind, task_id: str | None, args: Mapping[str, Any]) -> str:
        """Ask something of the supervisor, and do not wait; give the id by which `result` awaits it.

        Raises:
            InvalidInput: a text among the arguments cannot be stored.
            RegistryError: it cannot be written down; nothing was changed.
        """
        for name, value in args.items():
            if isinstance(value, str):
                whole_text(value, name)
        command = Command(new_id() + new_id(), kind, task_id, dict(args), self.origin, time.time())
        try:
            await self._store_command(command)
        except DiskFull:
            if not Ballast(self.state_dir).release():
                raise
            await self._store_command(command)
        return command.id

    async def _store_command(self, command: Command) -> None:
        async with self.db.write() as tx:
            await add_command(tx, command)

    async def result(self, command_id: str) -> JSON:
        """Wait for what becomes of something that was asked, for as long as the supervisor works on it.

        Raises:
            NotNow: it makes no sense in the state that things are in.
            SupervisorError: there is none and none can be started, or it does not answer.
        """
        with listen(self.db.bell) as listener:
            result = await self._result(command_id, listener)
        if "error" in result:
            raise NotNow(result["error"])
        return result

    async def _result(self, command_id: str, listener: Listener) -> JSON:
        started = ensure_supervisor(self.state_dir, self.env)
        pulse = Pulse(self.state_dir, time.monotonic())
        replaced = False
        while True:
            async with self.db.read() as tx:
                command = await get_command(tx, command_id)
            if command is None:
                raise SupervisorError(f"the command {command_id} has disappeared from the registry")
            if command.result is not None:
                return command.result
            await listener.wait(LOOK_EVERY_S)
            started = ensure_supervisor(self.state_dir, self.env) or started
            if pulse.silent_for_s(time.monotonic()) >= SILENT_BEAT_S:
                if replaced or started:
                    raise SupervisorError(
                        f"the supervisor gave no sign of life for {SILENT_BEAT_S:.0f} s. What was asked for is kept, "
                        f"and will be done. Its log ends with: {log_tail(self.state_dir)}"
                    )
                await replace_silent(self.db, self.state_dir, self.env)
                replaced, pulse = True, Pulse(self.state_dir, time.monotonic())

    async def cancel(self, wanted: str, reason: str | None = None) -> tuple[Task, JSON]:
        """End a task, or what it left running; give it as it is afterwards, and what was done."""
        async with self.db.read() as tx:
            task = await get_task(tx, wanted)
            runs = await runs_of(tx, task.id)
        if task.state is State.ENDED and all(run.gone_at is not None for run in runs):
            text = f"it has ended already ({task.outcome}: {task.reason}); nothing of it is left running"
            return task, {"changed": False, "outcome": task.outcome, "reason": text}
        result = await self.command(CommandKind.CANCEL, task.id, {} if reason is None else {"reason": reason})
        return await self.task(task.id), result

    async def task(self, wanted: str) -> Task:
        """Give a task by its id or the beginning of it.

        Raises:
            TaskNotFound: there is none, or several.
        """
        async with self.db.read() as tx:
            return await get_task(tx, wanted)


def not_stored(folder: Path, error: OSError) -> StateDirError:
    """Build the error for a submission whose files cannot be written."""
    return StateDirError(f"{folder}: it cannot be written ({error.strerror}); nothing was submitted.")


def queued_event(task: Task) -> Event:
    """A task was accepted."""
    return Event(
        "task:queued",
        Severity.DEBUG,
        f"{task.name} ({task.id}) was queued with priority {task.priority.name}",
        task.created_at,
        task_id=task.id,
        data={"taskId": task.id, "priority": task.priority.name},
    )


@asynccontextmanager
async def open_front(env: Mapping[str, str], cwd: str, origin: JSON) -> AsyncGenerator[Front]:
    """Open the state directory that the environment names.

    Raises:
        StateDirError: it cannot be used.
        RegistryError: the registry in it cannot be used.
    """
    directory = state_dir(env)
    prepare(directory)
    async with AsyncExitStack() as stack:
        try:
            db = await stack.enter_async_context(open_database(directory))
        except OlderRegistry:
            await migrated(directory, env)
            db = await stack.enter_async_context(open_database(directory))
        yield Front(directory, db, env, cwd, origin)
