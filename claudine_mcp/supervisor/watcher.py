"""One run, followed from its admission until the last of its processes has left.

A watcher never waits: each `step` looks at the evidence, does the one thing that follows from it, and
returns. So a supervisor that dies between two steps is followed by one that takes the next.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from claudine_mcp.core.errors import TaskNotFound
from claudine_mcp.core.evidence import Evidence, Judgement, Verdict, recover
from claudine_mcp.core.models import Command, CommandKind, Task
from claudine_mcp.core.paths import task_directory
from claudine_mcp.core.states import ACTIVE, Outcome, State, Trigger
from claudine_mcp.core.units import human_duration
from claudine_mcp.host.git import GitError
from claudine_mcp.host.processes import MARKER
from claudine_mcp.registry.commands import add_command
from claudine_mcp.registry.events import add_event
from claudine_mcp.registry.spending import spent_by
from claudine_mcp.registry.tasks import get_task, move, runs_of, update_run, update_task
from claudine_mcp.supervisor import announce, worktrees
from claudine_mcp.supervisor.resting import Resting
from claudine_mcp.workloads import WORKLOADS, Launch

MIN_LOOK_S = 0.1
"""Between two looks at a timeout that is about to pass."""
ON_TIMEOUT = {"cancel": CommandKind.CANCEL, "suspend": CommandKind.SUSPEND}
"""What a run's submitter may want of a supervisor when its timeout has passed."""
MAX_LAUNCHES = 3
"""Keepers in a row that leave without a word before the task is said to be unable to start."""


class Watcher(Resting):
    """Follows one run."""

    async def step(self) -> None:
        """Do what follows from the evidence, at most one transition."""
        async with self._stepping:
            if not self.over:
                await self._step()

    async def _step(self) -> None:
        self._next_look = None
        async with self.ctx.db.read() as tx:
            try:
                task = await get_task(tx, self.task_id)
            except TaskNotFound:
                self._finish()
                return
        evidence = self.seen.evidence()
        current = task.run == self.run.n and task.state in ACTIVE
        if not current:
            await self._linger(task, evidence)
        elif task.state in {State.STOPPING, State.HIBERNATING}:
            await self._stop(task, evidence)
        elif self.to_launch:
            await self._launch(task)
        else:
            await self._follow(task, evidence)

    async def _launch(self, task: Task) -> None:
        self.to_launch = False
        async with self.ctx.db.read() as tx:
            runs = [run for run in await runs_of(tx, task.id) if run.n < self.run.n]
            spent = await spent_by(tx, task.id)
        budget: float | None = task.spec.get("maxBudgetUsd")
        if budget is not None and spent >= budget:
            times = "its run" if len(runs) == 1 else f"its {len(runs)} runs"
            await self._cannot_start(
                task, f"its budget is spent: {spent:.4g} of {budget:.4g} USD (maxBudgetUsd) in {times}"
            )
            return
        if budget is not None:  # Claude Code counts what a run costs, not what its session has cost
            task = replace(task, spec={**task.spec, "maxBudgetUsd": round(budget - spent, 6)})
        try:
            task = await worktrees.prepare(self.ctx, task)
        except (GitError, OSError) as error:
            await self._cannot_start(task, f"its worktree could not be made: {error}")
            return
        try:
            self.seen.path.mkdir(mode=0o700, exist_ok=True)
            folder = task_directory(self.ctx.state_dir, task.id)
            plan = WORKLOADS[task.kind].launch(task, runs, folder, self.seen.path)
            for name, content in plan.files.items():
                (self.seen.path / name).write_bytes(content)
            self.seen.launch(self._spec(task, folder, plan))
        except OSError as error:
            await self._cannot_start(task, f"its keeper could not be started: {error}")
            return
        self.ctx.trace("keeper-spawned")

    def _spec(self, task: Task, folder: Path, plan: Launch) -> dict[str, Any]:
        """Say what the keeper is to run."""
        limits = self.ctx.settings.limits
        return {
            "run": self.run.id,
            "argv": plan.argv,
            "cwd": task.cwd,
            "env_file": str(folder / "env"),
            "env": {
                **plan.env,
                "PWD": task.cwd,
                MARKER: self.run.id,
                "CLAUDINE_TASK": task.id,
                "CLAUDINE_PROGRESS": str(self.seen.path / "progress"),
            },
            "stdin": None if plan.stdin is None else str(self.seen.path / plan.stdin),
            "inbox": plan.inbox,
            "merge_streams": plan.merge_streams,
            "umask": task.spec.get("umask", 0o022),
            "niceness": limits.niceness,
            "oom_score_adj": limits.oom_score_adj,
        }

    async def _follow(self, task: Task, evidence: Evidence) -> None:
        verdict = recover(evidence)
        if evidence.began and task.state is State.STARTING:
            await self._running(task)  # this row is older than its run: the registry came from a backup
            self.look_in(0.0)
        elif verdict is Verdict.SPAWN_FAILED and task.state is State.STARTING:
            await self._cannot_start(task, evidence.start_error or "its keeper gave no reason")
        elif verdict in {Verdict.SPAWN_FAILED, Verdict.NEVER_BEGAN}:
            await self._never_began(task)
        elif verdict is Verdict.READY and self.seen.launched is not None:
            if task.state is State.STARTING:
                await self._running(task)
            self.ctx.trace("running-committed")
            self.seen.launched.go()
            self.ctx.trace("go-sent")
        elif verdict is Verdict.RUNNING:
            await self._read_output(task)
            await self._look_at_the_clock(task)
        elif verdict is Verdict.UNSUPERVISED:
            await self._unsupervised(task)
            await self._read_output(task)
            await self._look_at_the_clock(task)
        elif verdict is Verdict.EXITED and evidence.exit is not None:
            await self._exited(task, evidence.exit)
        elif verdict is Verdict.VANISHED:
            await self._vanished(task, evidence)

    async def _running(self, task: Task) -> None:
        start = self.seen.start
        now, self._began_at = self.ctx.wall(), self.ctx.mono()
        async with self.ctx.db.write() as tx:
            await move(
                tx, task, Trigger.SPAWNED, announce.started(task, self.run, now), started_at=now, supervised=1
            )
            await update_run(
                tx,
                self.run,
                started_at=now,
                keeper=None if start is None else str(start.keeper),
                main=None if start is None else str(start.main),
            )

    async def _cannot_start(self, task: Task, reason: str) -> None:
        await self._end(task, Trigger.SPAWN_FAILED, Judgement(Outcome.NOT_STARTED, reason), gone=True)
        self._finish()

    async def _never_began(self, task: Task) -> None:
        if (
            self.seen.launched is not None
            and self.failed_launches + 1 >= MAX_LAUNCHES
            and task.state is State.STARTING
        ):
            log = self.seen.directory.keeper_log() or "it left no message"
            await self._cannot_start(
                task, f"its keeper died {MAX_LAUNCHES} times before the start; the last said: {log}"
            )
            return
        now = self.ctx.wall()
        why = "its process had not begun when its keeper or supervisor died"
        async with self.ctx.db.write() as tx:
            event = announce.requeued(task, why, now)
            await move(tx, task, Trigger.NEVER_BEGAN, event, started_at=None, supervised=1)
            await update_run(tx, self.run, gone_at=now, reason="never began")
        self.ctx.admission_due = True
        self._finish()

    async def _unsupervised(self, task: Task) -> None:
        self.look_in(self.ctx.settings.monitoring.sample_interval / 1000)
        if not task.supervised:
            return
        async with self.ctx.db.write() as tx:
            await update_task(tx, task.id, supervised=0)
            await add_event(tx, announce.unsupervised(task, self.run, self.ctx.wall()))

    async def _look_at_the_clock(self, task: Task) -> None:
        """Cancel or suspend a run that has passed its timeout, if its submitter asked for that."""
        limit: int | None = task.spec.get("timeout")
        kind = ON_TIMEOUT.get(task.spec.get("onTimeout", ""))
        if kind is None or limit is None or task.started_at is None or self.run.overdue_at is not None:
            return
        if task.state is State.SUSPENDED:
            return  # its clock stands; it is looked at again when it goes on
        left = limit / 1000 - self._age_s(task)
        if left > 0:
            self.look_within(max(left, MIN_LOOK_S))
            return
        now = self.ctx.wall()
        said = f"its timeout of {human_duration(limit / 1000)}"
        # Its submitter wanted it, so that no policy resumes it.
        whose = {"policy": True} if kind is CommandKind.CANCEL else {"timeout": True}
        async with self.ctx.db.write() as tx:
            await update_run(tx, self.run, overdue_at=now)
            await add_event(tx, announce.timed_out(task, self.run, now))
            command = Command(f"timeout-{self.run.id}", kind, task.id, {}, {"by": said, **whose}, now)
            await add_command(tx, command)
        self.run = replace(self.run, overdue_at=now)

    def _age_s(self, task: Task) -> float:
        """Give for how long the run has run; suspended time and the machine's sleep apart, as far as is known."""
        known = self.ctx.ran_s.get(self.run.id)
        if known is not None:
            return known
        if self.ctx.settings.monitoring.enabled and self.seen.launched is None:
            return 0.0  # a supervisor before this one knew better than the clock on the wall; the first look tells
        return self.ran_s(task.started_at, self.ctx.mono())
