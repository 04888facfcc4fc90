"""The rules: one function each, and here the list of them with how long each must hold, or be gone, to be told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from claudine_mcp.core.findings import Verdict
from claudine_mcp.core.history.run import History
from claudine_mcp.core.rules import course, machine, memory, silence, use
from claudine_mcp.core.rules.around import Around
from claudine_mcp.core.rules.limits import MachineLimits, RunLimits

__all__ = ["MACHINE_RULES", "RULES", "Around", "MachineLimits", "MachineRule", "Rule", "RunLimits"]


class Rule(NamedTuple):
    """A rule about one run.

    Attributes:
        name: of its condition.
        judge: given limits, history, surroundings and the time (seconds since the epoch, for words alone), says
            what holds. Pure, and cheap where nothing does.
        raise_after_s: how long it must hold, on the run's clock.
        clear_after_s: how long it must be gone.
        yields_to: rules that say the same and more: while one of them is raised, this one is neither raised nor worse.
    """

    name: str
    judge: Callable[[RunLimits, History, Around, float], Verdict]
    raise_after_s: float = 0.0
    clear_after_s: float = 0.0
    yields_to: tuple[str, ...] = ()


class MachineRule(NamedTuple):
    """A rule about the machine, or about what runs have in common; `judge` is given all their histories."""

    name: str
    judge: Callable[[MachineLimits, Around, Mapping[str, History]], Verdict]
    raise_after_s: float = 0.0
    clear_after_s: float = 0.0


RULES: Final = (
    # 5 s below the reserve: what admission and the policy of suspending were simulated with.
    Rule("critical-memory", memory.critical_memory, 5, 30),
    # A burst, as when something is written out, is not yet high memory.
    Rule("high-memory", memory.high_memory, 15, 30, ("critical-memory",)),
    Rule("memory-leak", memory.memory_leak),
    Rule("runaway-cpu", use.runaway_cpu, 0, 30),
    # One switch of a thread is no sign that the others go on.
    Rule("deadlocked", silence.deadlocked, 0, 10),
    Rule("stalled", silence.stalled, 0, 0, ("deadlocked", "runaway-cpu")),
    Rule("stuck-phase", course.stuck_phase, 0, 0, ("deadlocked", "stalled")),
    Rule("fd-limit", use.fd_limit, 5, 10),
    Rule("disk-io", use.disk_io, 0, 120),
    Rule("repeating", course.repeating),
    Rule("overdue", course.overdue),
)
"""In this order: a rule comes after those that it yields to."""

MACHINE_RULES: Final = (
    MachineRule("overload-memory", machine.overload_memory, 5, 30),
    MachineRule("overload-disk", machine.overload_disk, 5, 30),
    MachineRule("overload-cpu", machine.overload_cpu, 120, 60),
    MachineRule("concurrency", machine.concurrency, 0, 10),
    MachineRule("api-limited", machine.api_limited, 0, 60),
)
