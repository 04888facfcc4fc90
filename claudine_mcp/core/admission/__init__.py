"""Which queued task may start now, and by which rule the others wait. Pure: data in, decisions out.

What says a hold in words is there at once; the rest is imported when it is asked for, since a server needs only words.
"""

from __future__ import annotations

import importlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from claudine_mcp.core.admission.holds import IN_LINE, describe_hold, is_in_line

if TYPE_CHECKING:
    from claudine_mcp.core.admission.advice import advise_hold
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
    from claudine_mcp.core.admission.walk import decide

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

_WHERE = MappingProxyType({"advise_hold": "advice", "decide": "walk", "order": "line", "rank": "line"})


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE.get(name, 'model')}"), name)
