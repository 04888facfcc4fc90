"""Which queued task may start now, and by which rule the others wait. Pure: data in, decisions out."""

from claudine_mcp.core.admission.decide import decide, order
from claudine_mcp.core.admission.holds import describe_hold, is_in_line
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
    "Active",
    "Caps",
    "Decisions",
    "Machine",
    "MemoryHold",
    "Reservation",
    "Situation",
    "Starts",
    "Waiting",
    "decide",
    "describe_hold",
    "is_in_line",
    "order",
]
