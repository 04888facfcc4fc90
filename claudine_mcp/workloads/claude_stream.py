"""Claude Code's stream-json output, read as it grows, in bounded memory and whatever is in it.

Lines are cut from pieces of any size. Those that only say that an answer is arriving are recognised by their
beginning and not parsed; those that are longer than anything that is needed of them are not kept.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, cast

from pydantic_core import from_json

from claudine_mcp.core.models import JSON
from claudine_mcp.workloads.claude_events import finish_named, fold, stream_on
from claudine_mcp.workloads.claude_state import StreamState

LINE_BYTES: Final = 4 * 1024 * 1024
"""The longest line that is parsed. Longer are those of tools that have read pictures or documents; of those it is
enough to know which tool has answered."""

RESULT_BYTES: Final = 16 * 1024 * 1024
"""The same for what may be a `result` line: an answer of 128,000 tokens and the inputs of refused tools."""

_KEPT_BYTES: Final = 64 * 1024  # of the beginning and of the end of a line that is not parsed

# In results the type comes after the answer, so a line with another first field may be one.
_OTHER_TYPE: Final = re.compile(rb'\s*\{\s*"type"\s*:\s*"(?!result")')
_STREAM_EVENT: Final = (b'{"type":"stream_event",', b'{"type": "stream_event",')
_USER: Final = re.compile(rb'\s*\{\s*"type"\s*:\s*"user"')


class StreamReader:
    """Folds output into a state.

    Attributes:
        state: what is known by now; it is changed, not replaced. Another reader can go on with it, or with a copy
            of it, from `state.offset_bytes` of the output on.
    """

    def __init__(self, state: StreamState | None = None) -> None:
        self.state = state or StreamState()
        self.state.bytes_read = self.state.offset_bytes
        self._line = bytearray()  # what has come of a line; its first bytes, if it is too long
        self._tail = b""  # the last bytes of a line that is too long
        self._length = 0

    def feed(self, data: bytes, at: float) -> None:
        """Take what was appended to the output, cut anywhere; `at` is when it was read. Never raises."""
        self.state.bytes_read += len(data)
        *parts, rest = data.split(b"\n")
        for part in parts:
            if self._length or len(part) > LINE_BYTES:
                self._add(part)
                self._end(at)
            elif part:
                self._read(part, at)
        self._add(rest)
        self.state.offset_bytes = self.state.bytes_read - self._length

    def finish(self, at: float) -> None:
        """Say that nothing more will come: a last line without a newline counts if it is a whole object."""
        self._end(at)
        self.state.offset_bytes = self.state.bytes_read

    def _add(self, part: bytes) -> None:
        """Add to the line that is under way."""
        if not self._length:
            part = part.lstrip(b"\0")  # a released head reads as NULs, and there may be a lot of it
        is_too_long = len(self._line) < self._length
        self._length += len(part)
        if is_too_long:
            self._tail = (self._tail + part[-_KEPT_BYTES:])[-_KEPT_BYTES:]
            return
        self._line += part
        if self._length > LINE_BYTES and self._length > _longest(self._line):
            self._tail = bytes(self._line[-_KEPT_BYTES:])
            del self._line[_KEPT_BYTES:]

    def _end(self, at: float) -> None:
        """Take the line that was under way."""
        if len(self._line) < self._length:
            self._skim(at)
        elif self._line:
            self._read(bytes(self._line), at)
        self._line = bytearray()
        self._tail = b""
        self._length = 0

    def _read(self, line: bytes, at: float) -> None:
        state = self.state
        if state.session_id and is_stream_event(line):
            state.lines += 1
            stream_on(state, at)
            return
        message = parse(line)
        if message is not None:
            fold(state, message, at)
        elif line.strip(b"\0 \t\r"):
            state.unreadable_lines += 1

    def _skim(self, at: float) -> None:
        self.state.long_lines += 1
        if _USER.match(self._line):
            finish_named(self.state, (bytes(self._line), self._tail), at)


def is_stream_event(line: bytes) -> bool:
    """Whether a line only says that a piece of an answer has arrived."""
    return line.startswith(_STREAM_EVENT) and line.rstrip().endswith(b"}")


def parse(line: bytes) -> JSON | None:
    """The object that a line holds, None if it holds anything else. NULs before it are ignored."""
    try:
        # Twice as fast as json, of which it takes a part: no half characters, and nothing that is nested deeply.
        value: Any = from_json(line, cache_strings="none")
    except ValueError:
        value = _parse_leniently(line)
    return cast(JSON, value) if isinstance(value, dict) else None


def _parse_leniently(line: bytes) -> Any:
    try:
        return json.loads(line.lstrip(b"\0").decode(errors="replace"))
    except (ValueError, RecursionError):
        return None


def _longest(line: bytearray) -> int:
    """How long a line with this beginning may be to be parsed."""
    return RESULT_BYTES if line.startswith(b"{") and not _OTHER_TYPE.match(line) else LINE_BYTES
