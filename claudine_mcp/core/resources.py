"""What a task needs, and what may be done with it when others need more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.fields import MEMORY_MINIMUM_BYTES
from claudine_mcp.core.models import JSON
from claudine_mcp.core.units import human_size, parse_size_bytes

SIZES: Final = ("minMemory", "preferredMemory")
MEMBERS: Final = (*SIZES, "canCheckpoint", "priority")


def checked_resources(given: Mapping[str, Any] | None) -> JSON:
    """Check `resources`; give what belongs into a task's spec, sizes in bytes. `priority` is `chosen_priority`'s.

    Raises:
        InvalidInput: it has a member that there is not, or of the wrong type, or that contradicts another.
    """
    found: JSON = {}
    for name, value in (given or {}).items():
        if name not in MEMBERS:
            raise InvalidInput("resources", f"{name!r} is none of its members", f"Give {', '.join(MEMBERS)}.")
        if value is None or name == "priority":
            continue
        if name in SIZES:
            found[name] = parse_size_bytes(value, f"resources.{name}", minimum=MEMORY_MINIMUM_BYTES)
        elif isinstance(value, bool):
            found[name] = value
        else:
            raise InvalidInput(f"resources.{name}", f"{value!r} is no truth value", "Give true or false.")
    least, preferred = found.get("minMemory", 0), found.get("preferredMemory")
    if preferred is not None and preferred < least:
        raise InvalidInput(
            "resources.preferredMemory",
            f"{human_size(preferred)} is less than minMemory, {human_size(least)}",
            "Give at least as much, or leave one out.",
        )
    return {"resources": found} if found else {}


def chosen_priority(priority: str | None, resources: Mapping[str, Any] | None) -> str | None:
    """Give the priority that was asked for, in either place; None: in neither.

    Raises:
        InvalidInput: it was given in both, and differently.
    """
    other: str | None = (resources or {}).get("priority")
    if priority is not None and other is not None and priority != other:
        raise InvalidInput(
            "resources.priority",
            f"it is {other!r}, and priority is {priority!r}",
            "They are the same: give one.",
        )
    return priority if priority is not None else other


def check_fits(spec: JSON, total_bytes: int, reserve_bytes: int) -> None:
    """See that the machine can ever have what a task needs at least.

    Raises:
        InvalidInput: it has not so much memory, or must keep too much of it.
    """
    least: int = spec.get("resources", {}).get("minMemory", 0)
    most = total_bytes - reserve_bytes
    if least > most:
        raise InvalidInput(
            "resources.minMemory",
            f"{human_size(least)} can never be had: the machine has {human_size(total_bytes)}, of which "
            f"{human_size(reserve_bytes)} are to be kept (limits.systemMemoryReserve)",
            f"Give at most {human_size(max(0, most))}.",
        )
