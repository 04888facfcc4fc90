"""What a task needs, and what may be done with it when others need more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.models import JSON

MEMBERS: Final = ("canCheckpoint",)


def checked_resources(given: Mapping[str, Any] | None) -> JSON:
    """Check `resources`; give what belongs into a task's spec.

    Raises:
        InvalidInput: it has a member that there is not, or of the wrong type.
    """
    if not given:
        return {}
    for name, value in given.items():
        if name not in MEMBERS:
            raise InvalidInput("resources", f"{name!r} is none of its members", f"Give {', '.join(MEMBERS)}.")
        if not isinstance(value, bool):
            raise InvalidInput(f"resources.{name}", f"{value!r} is no truth value", "Give true or false.")
    return {"resources": dict(given)}
