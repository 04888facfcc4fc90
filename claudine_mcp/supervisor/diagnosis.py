"""What is wrong with runs and with the machine: recognised at every tick, told once, and remembered across restarts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from claudine_mcp.core.alerts import OFFERED, Passed
from claudine_mcp.core.announcing import Subject, event
from claudine_mcp.core.findings import Change, Step
from claudine_mcp.core.models import JSON, Event
from claudine_mcp.core.recognition import MACHINE, Recognition, Seen
from claudine_mcp.core.rules import MachineLimits, RunLimits
from claudine_mcp.host.processes import boot_id
from claudine_mcp.registry.alerts import clear_alerts, machine_alerts
from claudine_mcp.registry.commands import open_questions
from claudine_mcp.registry.database import Transaction
from claudine_mcp.registry.events import add_event
from claudine_mcp.registry.judgements import judgements, keep_judgements, store_judgements
from claudine_mcp.registry.protected import PROTECTION
from claudine_mcp.registry.queue import claude_holds
from claudine_mcp.registry.watched import Watched, own_settings, watched_tasks
from claudine_mcp.supervisor import announce
from claudine_mcp.supervisor.context import Context, Tick, Wanted
from claudine_mcp.supervisor.watcher import ON_TIMEOUT, Watcher
from claudine_mcp.workloads.claude_fields import call_label, tool_summary

STORE_EVERY_S: Final = 30.0
"""What a supervisor that dies has come to know since is not known to the next."""


class Diagnosis:
    """Judges what was seen at each tick, and tells of what has changed.

    Args:
        ctx: the supervisor's surroundings.
        watchers: the runs that are followed, by run id.
    """

    def __init__(self, ctx: Context, watchers: Mapping[str, Watcher]) -> None:
        self._ctx = ctx
        self._watchers = watchers
        self._boot_id = boot_id()
        self._recognition: Recognition | None = None
        self._untold: list[Change] = []
        self._forgotten: dict[int, str] = {}
        self._is_at_rest = False
        self._limits: dict[str, tuple[Any, RunLimits]] = {}
        self._stored_at = ctx.mono()

    @property
    def recognition(self) -> Recognition | None:
        """What is known of runs and the machine; None before the first tick."""
        return self._recognition

    def limits_of_run(self, run_id: str) -> RunLimits | None:
        """Give the limits of a run that was judged; None if it was not."""
        known = self._limits.get(run_id)
        return None if known is None else known[1]

    async def judge(self, tick: Tick) -> None:
        """Judge what one look has shown; write down what changed, and what is known by now if it is time."""
        self._is_at_rest = False
        async with self._ctx.db.read() as tx:
            watched = await watched_tasks(tx)
            own = await own_settings(tx)
            asked = {
                item.task_id: call_label(item.args["tool"], tool_summary(item.args["input"]))
                for item in await open_questions(tx)
            }
            recognition = self._recognition or await self._recall(tx, watched, tick.system.at)
        settings = self._ctx.settings
        seen: dict[str, Seen] = {}
        for run_id, sample in tick.runs.items():
            task, watcher = watched.get(run_id), self._watchers.get(run_id)
            if task is None or watcher is None:  # what an ended one has left running
                continue
            activity = watcher.activity(asked.get(task.task_id, ""))
            if activity is not None:
                limits = self._limits_of(task, own.get(task.task_id, {}))
                if run_id not in recognition.histories:
                    recognition.begin(run_id, ran_s=watcher.ran_s(task.started_at, sample.at))
                seen[run_id] = Seen(sample, limits, activity, task.is_suspended)
        over = [run_id for run_id in recognition.histories if run_id not in watched]
        for run_id in over:
            recognition.end(run_id, self._ctx.mono())  # its end itself is told, and with it all this is past
            self._limits.pop(run_id, None)
        machine_limits = MachineLimits.of(settings, tick.system.total_bytes)
        self._untold = [change for change in self._untold if change.subject not in over]
        self._untold += recognition.tick(seen, tick.system, machine_limits, self._ctx.wall())
        await self._write(recognition, watched, has_ended=bool(over))
        self._ctx.wanted = self._wanted(recognition, seen)
        self._ctx.ran_s = {run_id: history.ran_s for run_id, history in recognition.histories.items()}

    async def rest(self) -> None:
        """Forget what was known: nothing runs any more, and so nobody looks, neither at runs nor at the machine."""
        if self._is_at_rest:
            return
        async with self._ctx.db.read() as tx:
            recognition = self._recognition or await self._recall(tx, {}, self._ctx.mono())
            is_left = bool((await judgements(tx, self._boot_id)).keys() - {MACHINE, PROTECTION})
        self._limits.clear()
        self._untold = [change for change in self._untold if change.subject == MACHINE]
        self._untold += recognition.rest(self._ctx.mono())
        await self._write(recognition, {}, has_ended=is_left)
        self._is_at_rest = True

    async def _recall(self, tx: Transaction, watched: Mapping[str, Watched], at: float) -> Recognition:
        """Go on from what the supervisor before this one had come to know."""
        stored = await judgements(tx, self._boot_id)
        recognition = Recognition(stored.get(MACHINE))
        for run_id, task in watched.items():
            watcher = self._watchers.get(run_id)
            ran_s = 0.0 if watcher is None else watcher.ran_s(task.started_at, at)
            recognition.begin(run_id, ran_s=ran_s, stored=stored.get(run_id))
        known = recognition.told_of_machine()
        known |= {hold["alertId"] for hold in (await claude_holds(tx)).values()}
        known |= {stored.get(PROTECTION, {}).get("alertId")} - {None}
        self._forgotten = {seq: kind for seq, kind in (await machine_alerts(tx)).items() if seq not in known}
        self._recognition = recognition
        return recognition

    def _limits_of(self, task: Watched, own: Mapping[str, Any]) -> RunLimits:
        """Give the limits of a run, made anew only when something that they come from has changed."""
        source = (self._ctx.settings, {**task.settings, **own}, task.timeout_ms, task.on_timeout)
        run_id = f"{task.task_id}.{task.run}"
        known = self._limits.get(run_id)
        if known is None or known[0] != source:
            limits = RunLimits.of(self._ctx.settings, source[1], timeout_ms=task.timeout_ms)
            if task.on_timeout in ON_TIMEOUT:  # which is told where it is done
                limits = replace(limits, timeout_s=None)
            known = self._limits[run_id] = source, limits
        return known[1]

    async def _write(
        self, recognition: Recognition, watched: Mapping[str, Watched], *, has_ended: bool
    ) -> None:
        """Tell of what changed and keep what is known, in one transaction. What cannot be told now is told later."""
        is_due = self._ctx.mono() - self._stored_at >= STORE_EVERY_S
        if not (self._untold or self._forgotten or is_due or has_ended):
            return
        now = self._ctx.wall()
        async with self._ctx.db.write() as tx:
            told_of: set[str] = set()
            # What has ended meanwhile has had its last word.
            active = await watched_tasks(tx) if self._untold else {}
            for change in self._untold:
                if change.subject == MACHINE or change.subject in active:
                    await self._tell(tx, recognition, change, _told(change, watched, now))
                    told_of.add(change.subject)
            for seq, kind in self._forgotten.items():
                await add_event(tx, announce.forgotten(seq, kind, now))
            kept = {*recognition.histories, MACHINE} if is_due else told_of & {*recognition.conditions}
            await store_judgements(tx, self._boot_id, {each: _state(recognition, each) for each in kept})
            if has_ended or is_due:
                await keep_judgements(tx, self._boot_id, {*recognition.histories, MACHINE})
        self._ctx.trace("findings-told")
        self._untold.clear()
        self._forgotten.clear()
        if is_due:
            self._stored_at = self._ctx.mono()

    async def _tell(self, tx: Transaction, recognition: Recognition, change: Change, told: Event) -> None:
        before = recognition.told_before(change) if change.step is Step.WORSENED else None
        seq = await add_event(tx, told)
        if before is not None:  # one alert for one condition
            await clear_alerts(tx, Passed(told.task_id, seq=before), told.at)
        recognition.told(change, seq)

    def _wanted(self, recognition: Recognition, seen: Mapping[str, Seen]) -> Wanted:
        wants = {run_id: recognition.wants(run_id, item.limits) for run_id, item in seen.items()}
        return Wanted(
            [run_id for run_id, each in wants.items() if each.pss],
            [run_id for run_id, each in wants.items() if each.wait_channels],
        )


def _told(change: Change, watched: Mapping[str, Watched], at: float) -> Event:
    def name_of(run_id: str) -> str:
        task = watched.get(run_id)
        return run_id if task is None else f"{task.name} ({task.task_id})"

    task = watched.get(change.subject)
    subject = Subject() if task is None else Subject(task.task_id, change.subject, task.name)
    offered = OFFERED if task is None or task.can_rest else OFFERED - {"hibernate"}
    told = event(change, subject, at, offered=offered, name_of=name_of)
    if change.step is Step.CLEARED and not watched:
        return replace(told, message=f"no task runs any more; with that {change.finding.type} is past")
    return told


def _state(recognition: Recognition, subject: str) -> JSON:
    return recognition.machine_to_json() if subject == MACHINE else recognition.to_json(subject)
