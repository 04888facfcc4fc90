"""Which queued task may start now, and by which rule the others wait. Pure: data in, decisions out."""

from claudine_mcp.core.admission.advice import advise_hold
from claudine_mcp.core.admission.decide import decide
from claudine_mcp.core.admission.holds import IN_LINE, describe_hold, is_in_line
from claudine_mcp.core.admission.line import order, rank
from claudine_mcp.core.admission.model import (
    Active,
    Caps,
    Decisions,
    Machine,
    MemoryHold,
    Reservation,
    Situation,
    Starts,
    Waiting,
)

__all__ = [
    "IN_LINE",
    "Active",
    "Caps",
    "Decisions",
    "Machine",
    "MemoryHold",
    "Reservation",
    "Situation",
    "Starts",
    "Waiting",
    "advise_hold",
    "decide",
    "describe_hold",
    "is_in_line",
    "order",
    "rank",
]
