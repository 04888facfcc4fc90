"""What the rules find, and conditions: raised once, cleared once, with hysteresis between.

A rule says at each tick that something holds, that it does not, or that it cannot tell (`UNDECIDED`: between two
thresholds, or too little was seen). A condition is what becomes of that over time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from typing import Any, Final, NamedTuple

from claudine_mcp.core.fields import Level
from claudine_mcp.core.models import JSON, Severity


class Finding(NamedTuple):
    """Something holds now, of a run or of the machine.

    Attributes:
        type: of the event that says so.
        data: the numbers, and why; what `wording.say` makes its sentence from.
    """

    type: str
    severity: Severity
    data: JSON


class Undecided(Enum):
    """The answer of a rule that neither raises nor clears."""

    UNDECIDED = "undecided"


UNDECIDED: Final = Undecided.UNDECIDED
Verdict = Finding | Undecided | None
"""It holds, it cannot be told, it does not hold."""


UNSURE_S: Final = 10.0
"""For how long a rule may be undecided, at least, before what it said until then counts no more."""


class Step(StrEnum):
    """What happens to a condition. Raised and cleared alternate; between them it may get worse."""

    RAISED = "raised"
    WORSENED = "worsened"
    CLEARED = "cleared"


class Change(NamedTuple):
    """A condition changed: what an event is made from.

    Attributes:
        finding: what holds; for a condition that cleared, what held last.
        held_s: how long it has held, on the machine's monotonic clock; 0 when it is raised.
        subject: the run, "" for the machine.
        rule: whose condition it is.
        seq: of the event that last told of the condition, as `Conditions.told` was given it; None: none did.
    """

    step: Step
    finding: Finding
    held_s: float
    subject: str = ""
    rule: str = ""
    seq: int | None = None


@dataclass(slots=True)
class Condition:
    """One rule's condition for one subject.

    Attributes:
        finding: what the rule said last.
        since_s: when the rule first said so, on the subject's clock.
        raised_at: when it was raised, on the machine's monotonic clock; None while it is not.
        worst: the highest severity that was told.
        gone_s: since when the rule has been saying that it holds no more, on the subject's clock.
        said_s: when the rule last said that it holds, on the subject's clock.
        seq: of the event that last told of it.
    """

    finding: Finding
    since_s: float
    raised_at: float | None = None
    worst: Severity = Severity.DEBUG
    gone_s: float | None = None
    said_s: float = 0.0
    seq: int | None = None


class Conditions:
    """The conditions of one subject, by the name of their rule.

    Args:
        stored: what `to_json` gave. A supervisor that goes on from it neither raises twice nor forgets to clear.
    """

    __slots__ = ("by_rule",)

    def __init__(self, stored: Mapping[str, Any] | None = None) -> None:
        self.by_rule: dict[str, Condition] = {}
        for name, (kind, severity, data, since_s, raised_at, worst, gone_s, said_s, seq) in (
            stored or {}
        ).items():
            finding = Finding(kind, Severity(severity), data)
            self.by_rule[name] = Condition(finding, since_s, raised_at, Severity(worst), gone_s, said_s, seq)

    def restart_clock(self) -> None:
        """Say that the subject's clock begins anew: what was raised is raised, what was not must hold once more."""
        self.by_rule = {
            name: replace(condition, since_s=0.0, gone_s=None, said_s=0.0)
            for name, condition in self.by_rule.items()
            if condition.raised_at is not None
        }

    def told(self, name: str, seq: int) -> None:
        """Note the event that raised a condition; once more, if it had to be stored once more."""
        if (condition := self.by_rule.get(name)) is not None:
            condition.seq = seq

    def is_open(self, name: str) -> bool:
        """Whether the condition of a rule is raised."""
        condition = self.by_rule.get(name)
        return condition is not None and condition.raised_at is not None

    def open(self) -> list[Finding]:
        """Give what is raised, as it is now, most severe first."""
        raised = [item.finding for item in self.by_rule.values() if item.raised_at is not None]
        return sorted(raised, key=lambda finding: -finding.severity.rank)

    def take(
        self,
        name: str,
        verdict: Verdict,
        *,
        clock_s: float,
        at: float,
        raise_after_s: float = 0.0,
        clear_after_s: float = 0.0,
    ) -> Change | None:
        """Take what a rule says at a tick.

        Args:
            name: of the rule.
            verdict: its answer.
            clock_s: the subject's clock, on which it must hold for `raise_after_s`, or be gone for `clear_after_s`.
            at: the machine's monotonic clock.
            raise_after_s: how long it must hold until it is told.
            clear_after_s: how long it must be gone until that is told.

        Returns:
            What is to be told, if anything.
        """
        condition = self.by_rule.get(name)
        if isinstance(verdict, Finding):
            if condition is None:
                condition = self.by_rule[name] = Condition(verdict, clock_s)
            elif condition.raised_at is None and clock_s - condition.said_s > max(raise_after_s, UNSURE_S):
                # What is said now and then, with doubt between, does not hold.
                condition.since_s = clock_s
            condition.said_s = clock_s
            return _hold(name, condition, verdict, clock_s - condition.since_s >= raise_after_s, at)
        if condition is None:
            return None
        if verdict is UNDECIDED:
            condition.gone_s = None
            return None
        if condition.raised_at is None:
            del self.by_rule[name]
            return None
        if condition.gone_s is None:
            condition.gone_s = clock_s
        if clock_s - condition.gone_s < clear_after_s:
            return None
        return self._clear(name, condition, at)

    def end(self, at: float) -> list[Change]:
        """Say that the subject is no more: what was raised is cleared."""
        raised = [(name, item) for name, item in self.by_rule.items() if item.raised_at is not None]
        changes = [self._clear(name, condition, at) for name, condition in raised]
        self.by_rule.clear()
        return changes

    def _clear(self, name: str, condition: Condition, at: float) -> Change:
        del self.by_rule[name]
        return Change(Step.CLEARED, condition.finding, _held_s(condition, at), rule=name, seq=condition.seq)

    def to_json(self) -> JSON:
        """All of them, to be stored together with the events that tell of them."""
        return {
            name: [
                *item.finding,
                item.since_s,
                item.raised_at,
                item.worst,
                item.gone_s,
                item.said_s,
                item.seq,
            ]
            for name, item in self.by_rule.items()
        }


def _hold(name: str, condition: Condition, finding: Finding, is_told: bool, at: float) -> Change | None:
    condition.finding = finding
    condition.gone_s = None
    if condition.raised_at is None:
        if not is_told:
            return None
        condition.raised_at, condition.worst = at, finding.severity
        return Change(Step.RAISED, finding, 0.0, rule=name)
    if finding.severity.rank > condition.worst.rank:
        condition.worst = finding.severity
        return Change(Step.WORSENED, finding, _held_s(condition, at), rule=name, seq=condition.seq)
    return None


def _held_s(condition: Condition, at: float) -> float:
    return 0.0 if condition.raised_at is None else max(0.0, at - condition.raised_at)


def at_level(severity: Severity, level: Level) -> Severity:
    """Give how severe a finding is at a level: passive keeps everything and warns of nothing."""
    return min(severity, Severity.INFO, key=lambda each: each.rank) if level is Level.PASSIVE else severity
