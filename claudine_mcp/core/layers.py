"""One layer of configuration: reading the JSON of one origin, and saying all that is wrong with it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast, get_args

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from claudine_mcp.core.errors import ConfigError, InvalidInput
from claudine_mcp.core.fields import BY_A_PERSON, Preset
from claudine_mcp.core.sections import KEYS, SECTIONS
from claudine_mcp.core.units import describe

MAX_PROBLEMS = 50
"""Problems that are worked out for one layer; a hostile file must not cost seconds."""

_GUESSABLE_CHARS = 64
_FIELDS = {
    section: {to_camel(name): name for name in model.model_fields} for section, model in SECTIONS.items()
}


class Layer(NamedTuple):
    """Settings of one origin.

    `values` is what its JSON parsed to: `{"limits": {"killGrace": "5s"}}`; nothing about it is trusted.
    """

    origin: str
    values: object


class Problem(NamedTuple):
    """Something wrong with one key of one origin, or with all of it (no key)."""

    key: str
    origin: str
    problem: str
    right: str

    def error(self) -> ConfigError:
        """Give the error that says so."""
        if not self.key:
            return ConfigError(self.origin, self.problem, self.right)
        return ConfigError(self.key, f"{self.problem} (from {self.origin})", self.right)


@dataclass
class Reading:
    """What a layer holds: right values by dotted key (ms, bytes), and the problems of the rest.

    `truncated` says that there were more than `MAX_PROBLEMS`.
    """

    values: dict[str, Any] = field(default_factory=dict[str, Any])
    problems: list[Problem] = field(default_factory=list[Problem])
    truncated: bool = False


def read(layer: Layer) -> Reading:
    """Check each value of a layer by itself; whether they fit together shows only when layers are merged."""
    reading = Reading()
    if not isinstance(layer.values, Mapping):
        problem = f"{describe(layer.values)} is not an object"
        reading.problems.append(Problem("", layer.origin, problem, 'Write {"limits": {…}}.'))
        return reading
    for problem in _read_sections(layer, reading.values):
        if len(reading.problems) == MAX_PROBLEMS:
            reading.truncated = True
            break
        reading.problems.append(problem)
    return reading


def _read_sections(layer: Layer, values: dict[str, Any]) -> Iterator[Problem]:
    for section, content in cast("Mapping[str, object]", layer.values).items():
        if section not in _FIELDS and section != "preset":
            error = unknown(section, [*SECTIONS, *KEYS])
            yield Problem(error.field, layer.origin, error.problem, error.right)
            continue
        if section == "preset":
            found = {section: content}
        elif isinstance(content, Mapping):
            found = {
                f"{section}.{name}": value for name, value in cast("Mapping[str, object]", content).items()
            }
        else:
            right = f'Write "{section}": {{"{next(iter(_FIELDS[section]))}": …}}.'
            yield Problem(section, layer.origin, f"{describe(content)} is not an object", right)
            continue
        for key, value in found.items():
            try:
                values[key] = parse_setting(key, value)
            except ConfigError as error:
                yield Problem(error.field, layer.origin, error.problem, error.right)


def parse_setting(key: str, value: object, *, by_a_person: bool = True) -> Any:
    """Read the value of one setting.

    Args:
        key: "preset", or dotted ("limits.killGrace").
        value: as parsed JSON, "5s" or 5000, or as `Settings` holds it.
        by_a_person: whether a bare 300 for a duration is refused, as it meant seconds.

    Returns:
        What `Settings` holds for it: ms, bytes, …

    Raises:
        ConfigError: there is no such key, or the value is wrong.
    """
    if key == "preset":
        if value in get_args(Preset):
            return value
        names = ", ".join(f'"{name}"' for name in get_args(Preset))
        raise ConfigError(key, f"there is no preset {describe(value)}", f"It must be one of {names}.")
    section, _, name = key.partition(".")
    if name not in _FIELDS.get(section, ()):
        raise unknown(key, [*SECTIONS, *KEYS])
    try:
        parsed = SECTIONS[section].model_validate({name: value}, context=BY_A_PERSON if by_a_person else None)
    except ValidationError as error:
        problem, right = _explain(dict(error.errors(include_url=False)[0]))
        raise ConfigError(key, problem, right) from None
    return getattr(parsed, _FIELDS[section][name])


_WANTED = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
}
_BOUND = {
    "greater_than": ("too small", "more than", "gt"),
    "greater_than_equal": ("too small", "at least", "ge"),
    "less_than_equal": ("too large", "at most", "le"),
}


def _explain(error: Mapping[str, Any]) -> tuple[str, str]:
    """Say what is wrong and what would be right, in our words for every error that the sections can give."""
    value, context = error["input"], error.get("ctx", {})
    shown = describe(value)
    if value is None:
        return "null is not a value for it", "Leave the key out to keep the default."
    cause = context.get("error")
    if isinstance(cause, InvalidInput):
        return cause.problem, cause.right
    if error["type"] in _WANTED:
        return f"{shown} is not {_WANTED[error['type']]}", f"Write {_WANTED[error['type']]}."
    if error["type"] in _BOUND:
        what, bound, name = _BOUND[error["type"]]
        return f"{shown} is {what}", f"It must be {bound} {context[name]:g}."
    if "expected" in context:
        return (
            f"{shown} is none of its values",
            f"It must be {context['expected'].replace(chr(39), chr(34))}.",
        )
    return f"{shown}: {error['msg']}", ""  # pragma: no cover - should a section get a new kind of field


def unknown(key: str, known: Iterable[str]) -> ConfigError:
    """Say that there is no such key, and which was probably meant: near in spelling, or elsewhere."""
    short = len(key) <= _GUESSABLE_CHARS
    guess = nearest(key, list(known)) if short else None
    right = f"Did you mean {guess}?" if guess else "The documentation lists the keys."
    if guess == key:  # a dotted name where a section belongs
        section, _, name = key.partition(".")
        right = f'Write it as {{"{section}": {{"{name}": …}}}}.'
    return ConfigError(
        key if key and short and key.isascii() and key.isprintable() else describe(key),
        "there is no such key",
        right,
    )


def nearest(key: str, known: list[str]) -> str | None:
    """Give the one of `known` that `key` was probably meant to be, None if it resembles none."""
    section, _, name = key.rpartition(".")
    here = {_plain(each): each for each in known if each.rpartition(".")[0] == section}
    anywhere = {_plain(each): each for each in known}
    for cutoff in (1.0, 0.7):
        for among in (here, anywhere):
            if close := difflib.get_close_matches(_plain(name), among, n=1, cutoff=cutoff):
                return among[close[0]]
    return None


def _plain(key: str) -> str:
    return key.rpartition(".")[2].lower().replace("_", "").replace("-", "")
