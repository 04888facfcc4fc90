"""What a rule about one run must know of the others and of the machine."""

from __future__ import annotations

from dataclasses import dataclass, field

from claudine_mcp.core.history.machine import MachineHistory
from claudine_mcp.core.history.run import History


@dataclass(slots=True)
class Around:
    """The surroundings of the runs at one tick.

    Attributes:
        machine: its history.
        short_of_memory: "reserve" when less is available than is to be kept, "exhaustion" when it will be used up
            within two minutes, "" when all is well.
        culprit: the one run that is to blame for it; None: none is, or several are.
        is_api_limited: whether it was told that the API refuses several runs, so that each need not tell it.
    """

    machine: MachineHistory = field(default_factory=MachineHistory)
    short_of_memory: str = ""
    culprit: History | None = None
    is_api_limited: bool = False
