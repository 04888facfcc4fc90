"""Everything that is remembered of the runs and the machine, judged at each tick. Pure: time and samples come in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from claudine_mcp.core.activity import SILENT, Activity
from claudine_mcp.core.fields import Level
from claudine_mcp.core.findings import UNDECIDED, Change, Conditions, Finding, Step, Verdict, at_level
from claudine_mcp.core.history.machine import MachineHistory
from claudine_mcp.core.history.marks import MARK_S
from claudine_mcp.core.history.run import History
from claudine_mcp.core.history.trend import BUCKET_S
from claudine_mcp.core.models import JSON
from claudine_mcp.core.rules import MACHINE_RULES, RULES, Around, MachineLimits, RunLimits
from claudine_mcp.core.rules.machine import culprit, short_of_memory
from claudine_mcp.core.samples import SystemSample, TreeSample

MACHINE: Final = ""
"""The subject of what is not about one run."""
WCHAN_STILL_S: Final = 20.0
"""How long nothing may have moved in a run before one looks at what its threads wait for."""


class Seen(NamedTuple):
    """A run at one tick.

    Attributes:
        activity: the same object as at the tick before where nothing has changed.
        suspended: whether it was us who stopped it.
    """

    sample: TreeSample
    limits: RunLimits
    activity: Activity = SILENT
    suspended: bool = False


class Wants(NamedTuple):
    """What should be read of a run at the next tick: `pss_bytes`, `wait_channels`."""

    pss: bool
    wait_channels: bool


NOTHING: Final = Wants(pss=False, wait_channels=False)


class Recognition:
    """Judges all runs and the machine.

    Args:
        stored: what `machine_to_json` gave to an earlier supervisor.
        bucket_s: the shortest bucket of a run's memory trend.

    Attributes:
        histories: of the runs that are watched, by id.
        conditions: by run id, those of the machine under `MACHINE`.
        around: the surroundings at the last tick.
    """

    def __init__(self, stored: Mapping[str, Any] | None = None, *, bucket_s: float = BUCKET_S) -> None:
        self.histories: dict[str, History] = {}
        self.conditions: dict[str, Conditions] = {MACHINE: Conditions(stored)}
        self.conditions[MACHINE].restart_clock()
        self.around = Around(MachineHistory())
        self._bucket_s = bucket_s

    def begin(self, run_id: str, *, ran_s: float = 0.0, stored: Mapping[str, Any] | None = None) -> None:
        """Watch a run; without this the first tick that shows it does the same for a run that has just begun.

        Args:
            run_id: its id.
            ran_s: for how long it has run, unsuspended; used where nothing is stored.
            stored: what `to_json` gave to an earlier supervisor on this boot.
        """
        stored = stored or {}
        history = History.from_json(stored["history"]) if "history" in stored else None
        self.conditions[run_id] = Conditions(stored.get("conditions"))
        if history is None:
            self.conditions[run_id].restart_clock()
        first_mark_s = len(self.histories) % MARK_S
        self.histories[run_id] = history or History(
            ran_s=ran_s, bucket_s=self._bucket_s, first_mark_s=first_mark_s
        )

    def end(self, run_id: str, at: float) -> list[Change]:
        """Forget a run; give what that clears. `at` is the machine's monotonic clock."""
        self.histories.pop(run_id, None)
        conditions = self.conditions.pop(run_id, None)
        return (
            [] if conditions is None else [change._replace(subject=run_id) for change in conditions.end(at)]
        )

    def rest(self, at: float) -> list[Change]:
        """Forget all runs, since there is none any more; give what that clears of the machine, which nobody watches."""
        for run_id in list(self.histories):
            self.end(run_id, at)
        self.around = Around(MachineHistory())
        return self.conditions[MACHINE].end(at)

    def tick(
        self, seen: Mapping[str, Seen], system: SystemSample | None, limits: MachineLimits, now: float
    ) -> list[Change]:
        """Take the samples of a tick, and judge.

        Args:
            seen: the runs that have processes.
            system: the machine; None if it could not be looked at.
            limits: the machine's.
            now: seconds since the epoch, for words alone.

        Returns:
            What changed, the machine first.
        """
        for run_id, (sample, _, activity, suspended) in seen.items():
            if run_id not in self.histories:
                self.begin(run_id)
            self.histories[run_id].fold(sample, activity, suspended=suspended, step_s=limits.step_s, now=now)
        histories = {run_id: self.histories[run_id] for run_id in seen}
        around = self.around
        if system is not None:
            around.machine.fold(system, limits.step_s)
        around.short_of_memory = short_of_memory(limits, around.machine)
        around.culprit = culprit(around.machine, histories) if around.short_of_memory else None
        changes = self._judge_machine(limits, histories)
        around.is_api_limited = self.conditions[MACHINE].is_open("api-limited")
        for run_id, history in histories.items():
            self._judge_run(run_id, history, seen[run_id].limits, now, changes)
        return changes

    def _judge_machine(self, limits: MachineLimits, histories: Mapping[str, History]) -> list[Change]:
        changes: list[Change] = []
        conditions, machine = self.conditions[MACHINE], self.around.machine
        for name, judge, raise_after_s, clear_after_s in MACHINE_RULES:
            verdict = _at_level(judge(limits, self.around, histories), limits.level)
            change = conditions.take(
                name,
                verdict,
                clock_s=machine.clock_s,
                at=machine.at,
                raise_after_s=raise_after_s,
                clear_after_s=clear_after_s,
            )
            if change is not None:
                changes.append(change)
        return changes

    def _judge_run(
        self, run_id: str, history: History, limits: RunLimits, now: float, changes: list[Change]
    ) -> None:
        conditions, around = self.conditions[run_id], self.around
        by_rule = conditions.by_rule
        for name, judge, raise_after_s, clear_after_s, yields_to in RULES:
            verdict: Verdict = judge(limits, history, around, now)
            if verdict is None or verdict is UNDECIDED:
                if name not in by_rule:
                    continue
            elif yields_to and any(map(conditions.is_open, yields_to)):
                verdict = UNDECIDED
            change = conditions.take(
                name,
                _at_level(verdict, limits.level),
                clock_s=history.clock_s,
                at=history.at,
                raise_after_s=raise_after_s,
                clear_after_s=clear_after_s,
            )
            if change is not None:
                changes.append(change._replace(subject=run_id))

    def told(self, change: Change, seq: int) -> None:
        """Note that the event of a change has this number; in the transaction that stores it, before `to_json`."""
        if change.step is not Step.CLEARED and change.subject in self.conditions:
            self.conditions[change.subject].told(change.rule, seq)

    def told_before(self, change: Change) -> int | None:
        """Give the number of the event that told of the same condition before; None: none did, or it is over."""
        condition = self.conditions[change.subject].by_rule.get(change.rule)
        return None if condition is None else condition.seq

    def told_of_machine(self) -> set[int]:
        """Give the numbers of the events that told of what is wrong with the machine now."""
        return {item.seq for item in self.conditions[MACHINE].by_rule.values() if item.seq is not None}

    def wants(self, run_id: str, limits: RunLimits) -> Wants:
        """Give what is too dear to be read at each tick, and should be read of a run at the next."""
        history = self.histories.get(run_id)
        if history is None:
            return NOTHING
        # Where only a new reading of PSS can tell on which side of a limit the run is.
        pss = history.wants_pss(limits.max_memory_bytes)
        return Wants(pss, history.still_s >= WCHAN_STILL_S and not history.suspended)

    def to_json(self, run_id: str) -> JSON:
        """What `begin` needs of a run after a restart: its history, some kB, and its conditions.

        It belongs into the transaction that stores the events of a change; and is worth storing now and then.
        """
        return {
            "history": self.histories[run_id].to_json(),
            "conditions": self.conditions[run_id].to_json(),
        }

    def machine_to_json(self) -> JSON:
        """The same for the machine."""
        return self.conditions[MACHINE].to_json()


def _at_level(verdict: Verdict, level: Level) -> Verdict:
    """Make a finding no more severe than the level allows; when the level is raised, it gets worse."""
    if isinstance(verdict, Finding) and level is Level.PASSIVE:
        return verdict._replace(severity=at_level(verdict.severity, level))
    return verdict
