"""Which tasks are wanted, as people write it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.models import Kind, Priority
from claudine_mcp.core.states import Outcome, State

if TYPE_CHECKING:
    from claudine_mcp.registry.tasks import Filter

PAGE = 50
MAX_PAGE = 500


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class TaskFilter(BaseModel):
    """Which tasks are wanted; everything that is given must fit."""

    model_config = ConfigDict(extra="forbid")

    state: Annotated[list[State] | None, BeforeValidator(_as_list), Field(description="one or several")] = (
        None
    )
    outcome: Annotated[
        list[Outcome] | None, BeforeValidator(_as_list), Field(description="one or several")
    ] = None
    kind: Annotated[list[Kind] | None, BeforeValidator(_as_list), Field(description="one or several")] = None
    priority: Literal["P0", "P1", "P2"] | None = None
    label: str | None = None
    cwd: str | None = Field(default=None, description="its working directory, exactly")
    text: str | None = Field(default=None, description="part of its name or id")
    since: str | None = Field(default=None, description="submitted at this RFC 3339 time or later")

    def criteria(self) -> Filter:
        """Give the filter as the registry takes it.

        Raises:
            InvalidInput: `since` is no time.
        """
        from claudine_mcp.core.units import parse_time  # noqa: PLC0415 - start-up time
        from claudine_mcp.registry.tasks import Filter  # noqa: PLC0415

        return Filter(
            states=self.state or (),
            outcomes=self.outcome or (),
            kinds=self.kind or (),
            priority=None if self.priority is None else Priority[self.priority],
            label=self.label,
            cwd=self.cwd,
            text=self.text,
            since=None if self.since is None else parse_time(self.since, "filter.since"),
        )


def filter_of(values: Mapping[str, object]) -> TaskFilter:
    """Read a filter.

    Raises:
        InvalidInput: naming the first field that is wrong, and what would be right.
    """
    try:
        return TaskFilter.model_validate(dict(values))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in problem["loc"] if not isinstance(part, int))
        if problem["type"] == "extra_forbidden":
            raise InvalidInput(
                f"filter.{field}",
                "there is no such field",
                f"There are: {', '.join(TaskFilter.model_fields)}.",
            ) from error
        raise InvalidInput(f"filter.{field}", f"{problem['msg']} (given: {problem['input']!r})") from error
