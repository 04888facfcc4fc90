"""Reading fields of JSON that may be anything, as short text that can be stored and shown.

Claude Code's output is read as evidence, so a field of the wrong type is an absent field and never an error.
"""

from __future__ import annotations

import json
import re
from hashlib import blake2b
from typing import Any, Final, cast

from claudine_mcp.core.models import JSON
from claudine_mcp.core.terminal import show

LABEL_CHARS: Final = 120
"""How much of a tool's input is shown."""

_LARGEST: Final = 2**53
"""Integers beyond this are not exact in JSON (RFC 8259, section 6) and do not fit into a database."""

_YEAR_10000: Final = 253_402_300_800
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_HASH_BYTES: Final = 8

_TELLING: Final = (
    "command",
    "file_path",
    "notebook_path",
    "path",
    "pattern",
    "url",
    "query",
    "subject",
    "description",
    "skill",
    "prompt",
)
"""Fields of tool inputs (sdk-tools.d.ts of Claude Code) that say the most about a call, best first."""


def mapping(value: Any) -> JSON:
    """The value if it is an object, else an empty one."""
    return cast(JSON, value) if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return cast(list[Any], value) if isinstance(value, list) else []


def integer(value: Any) -> int | None:
    """The value if it is an integer that others can store, else None."""
    is_one = isinstance(value, int) and not isinstance(value, bool)
    return value if is_one and abs(value) <= _LARGEST else None


def number(value: Any) -> float | None:
    """The value if it is a finite number of a usual size, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= _LARGEST else None  # not true of NaN, nor of infinity


def epoch(value: Any) -> float | None:
    """The value if it is a time in seconds since the epoch that can be written, else None."""
    seconds = number(value)
    return seconds if seconds is not None and 0 < seconds < _YEAR_10000 else None


def count(value: Any) -> int:
    """The value if it is an integer above zero, else 0."""
    return max(integer(value) or 0, 0)


def text(value: Any, max_chars: int) -> str:
    """The value if it is a string, without what UTF-8 cannot hold and at most `max_chars` long; else ""."""
    if not isinstance(value, str):
        return ""
    shown = shorten(value, max_chars)
    return _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", shown)


def word(value: Any) -> str:
    """A name or an id: one line, safe for a terminal, at most 120 characters; "" if it is no string."""
    if isinstance(value, str) and len(value) <= LABEL_CHARS and value.isprintable():
        return value  # surrogates are not printable
    return one_line(value)


def shorten(value: str, max_chars: int) -> str:
    """The text with its middle replaced by a count, if it is longer than `max_chars` (at least 80)."""
    if len(value) <= max_chars:
        return value
    mark = f"\n… [{len(value) - max_chars:,} more characters] …\n"
    room = max_chars - len(mark)
    tail = room // 4
    mark = f"\n… [{len(value) - room:,} more characters] …\n"
    return f"{value[: room - tail]}{mark}{value[-tail:]}"


def one_line(value: Any, max_chars: int = LABEL_CHARS) -> str:
    """A string as one line in which everything is spelt out that would act on a terminal; "" if it is none."""
    if not isinstance(value, str):
        return ""
    head = value[: 8 * max_chars]  # of a file's whole content nobody wants to see more
    line = cut(" ".join(head.split()), max_chars)
    if line.isprintable():
        return line
    return show(line.encode(errors="surrogatepass"), as_is=True, max_chars=max_chars).text


def cut(line: str, max_chars: int) -> str:
    """The beginning of a line, with an ellipsis where there is more."""
    return line if len(line) <= max_chars else f"{line[: max_chars - 2].rstrip()} …"


def tool_summary(tool_input: Any) -> str:
    """What a tool is called with, on one line of at most 120 characters that is safe for a terminal."""
    fields = mapping(tool_input)
    for name in _TELLING:
        if shown := one_line(fields.get(name)):
            return shown
    if "todos" in fields:
        return f"{len(items(fields['todos']))} items"
    pairs: list[str] = []
    for name, value in list(fields.items())[:8]:
        if isinstance(value, str | int | float | bool):
            pairs.append(f"{name}={_scalar(value)}")
        elif value:
            pairs.append(f"{name}=…")
    return one_line(", ".join(pairs))


def call_label(tool: str, summary: str) -> str:
    """A call in words: "Bash (sleep 30)"."""
    return f"{tool} ({summary})" if summary else tool


def _scalar(value: object) -> str:
    if isinstance(value, str):
        return value[:LABEL_CHARS]
    if isinstance(value, int) and abs(value) > _LARGEST:
        return "…"  # str() refuses integers of thousands of digits
    return json.dumps(value)


def call_hash(name: str, tool_input: Any) -> str:
    """A short hash that two calls share if they have the same tool and the same input, in whatever order."""
    try:
        written = json.dumps(tool_input, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    except (RecursionError, ValueError):
        written = "?"
    return blake2b(f"{name}\0{written}".encode(errors="replace"), digest_size=_HASH_BYTES).hexdigest()


def whole_text(content: Any) -> str:
    """The text of a message's or a tool result's content: a string, or blocks of which some are text."""
    if isinstance(content, str):
        return content
    parts: list[str] = []
    for item in items(content):
        block = mapping(item)
        found, kind = block.get("text"), word(block.get("type"))
        parts.append(found if isinstance(found, str) else f"[{kind or '?'}]")
    return "\n".join(parts)
