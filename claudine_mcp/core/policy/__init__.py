"""What protective mode does: which task is suspended, when, and when it goes on. Pure: numbers in, decisions out.

No decision ends a task. `docs/protecting.md` tells the rules and where their numbers come from.
"""

from claudine_mcp.core.policy.decide import Decided, decide
from claudine_mcp.core.policy.displacing import displace, is_pressing
from claudine_mcp.core.policy.holding import memory_hold
from claudine_mcp.core.policy.model import Action, Cause, Condition, Decision, Machine, Pace, Standing
from claudine_mcp.core.policy.state import State

__all__ = [
    "Action",
    "Cause",
    "Condition",
    "Decided",
    "Decision",
    "Machine",
    "Pace",
    "Standing",
    "State",
    "decide",
    "displace",
    "is_pressing",
    "memory_hold",
]
