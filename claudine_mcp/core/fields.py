"""The types of settings: how each kind of value is read, and what is refused."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, cast

from pydantic import BeforeValidator, Field, ValidationInfo

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.units import describe, parse_duration_ms, parse_size_bytes

MEMORY_MINIMUM_BYTES = 10**6
"""No task runs in less than a megabyte: a smaller number is megabytes that lost their unit."""

BY_A_PERSON: dict[str, bool] = {"by_a_person": True}
"""Validation context for what a person wrote: a bare 300 for a duration is refused, as it meant seconds.

Without it a number is what the model says, milliseconds, so that `model_dump()` can be loaded again.
"""


class Level(StrEnum):
    """What is done about findings, from least to most."""

    PASSIVE = "passive"
    ACTIVE = "active"
    PROTECTIVE = "protective"

    @property
    def rank(self) -> int:
        """Its place in the order passive, active, protective."""
        return list(Level).index(self)


Preset = Literal["minimal", "balanced", "conservative"]
PermissionMode = Literal["default", "acceptEdits", "auto", "bypassPermissions", "manual", "dontAsk", "plan"]


def duration(minimum: int = 1, likely_unit: str = "s") -> BeforeValidator:
    """Read a duration into ms, as `units.parse_duration_ms`."""

    def read(value: object, info: ValidationInfo) -> int:
        by_a_person = bool(info.context)
        return parse_duration_ms(
            value,
            info.field_name or "duration",
            minimum=minimum,
            suspicious=by_a_person,
            likely_unit=likely_unit,
        )

    return BeforeValidator(read)


def size(minimum: int) -> BeforeValidator:
    """Read a size into bytes, as `units.parse_size_bytes`."""

    def read(value: object, info: ValidationInfo) -> int:
        return parse_size_bytes(value, info.field_name or "size", minimum=minimum)

    return BeforeValidator(read)


def _program(name: object, field: str) -> str:
    right = 'Write the name of a program on PATH ("claude"), or its whole path.'
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise InvalidInput(field, f"{describe(name)} is not the name of a program", right)
    if "/" in name and not name.startswith("/"):
        raise InvalidInput(field, f"{describe(name)} depends on where the supervisor was started", right)
    return name


def _read_program(value: object, info: ValidationInfo) -> str:
    return _program(value, info.field_name or "command")


def _read_argv(value: object, info: ValidationInfo) -> tuple[str, ...]:
    field = info.field_name or "command"
    right = 'Write program and arguments as a list: ["notify-send", "Claudine"].'
    shown = describe(value)
    if not isinstance(value, list | tuple) or not value:
        raise InvalidInput(field, f"{shown} is not a list of a program and its arguments", right)
    program, *rest = cast("list[object]", value)
    arguments = [argument for argument in rest if isinstance(argument, str) and "\0" not in argument]
    if len(arguments) < len(rest):
        raise InvalidInput(field, "not every argument is a string", right)
    return (_program(program, field), *arguments)


def _read_model(value: object, info: ValidationInfo) -> str:
    # It becomes an argument of claude, where a leading dash would make it an option.
    if not isinstance(value, str) or not value.isprintable() or value[:1] in {"", "-"} or " " in value:
        raise InvalidInput(
            info.field_name or "model",
            f"{describe(value)} is not the name of a model",
            'Write one as "sonnet" or "opus".',
        )
    return value


DurationMs = Annotated[int, duration()]
PauseMs = Annotated[int, duration(minimum=0)]
KeptMs = Annotated[int, duration(likely_unit="d")]
MemoryBytes = Annotated[int, size(MEMORY_MINIMUM_BYTES)]
Tasks = Annotated[int, Field(ge=1, le=10_000)]
Count = Annotated[int, Field(ge=0, le=1000)]
Program = Annotated[str, BeforeValidator(_read_program)]
Argv = Annotated[tuple[str, ...], BeforeValidator(_read_argv)]
ModelName = Annotated[str, BeforeValidator(_read_model)]
