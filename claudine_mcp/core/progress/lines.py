r"""The end of a task's output, cut into what was drawn at one time: lines, and the redrawings of one line.

A progress bar is redrawn by a carriage return, by moving the cursor, or by backspaces; each drawing is a piece.
How the output is cut does not depend on how it arrives.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

LONGEST_BYTES: Final = 1024
"""What is longer is no progress, and is not looked at."""

_TORN_BYTES: Final = 64  # the longest separator that may be torn at the end of what has arrived
# ECMA-48's CSI that move the cursor (not C, which leaves a gap in a line) or erase the screen, and ConEmu's OSC 9;4.
_SEPARATOR: Final = re.compile(
    rb"[\r\n\x08]|\x1b\[[0-9;]{0,12}[ABD-HJf]|\x1b\]9;4;([0-4])(?:;([0-9]{0,3}))?;?(?:\x07|\x1b\\)"
)


class Told(NamedTuple):
    """What a program has told its terminal. `state`: 0 none, 1 running, 2 error, 3 indeterminate, 4 paused."""

    state: int
    percent: int | None


class Pieces:
    """Cuts one stream."""

    def __init__(self) -> None:
        self._rest: bytes = b""
        self._is_partial = False

    @property
    def unread_bytes(self) -> int | None:
        """How much of what was fed stands on a line that is not complete; None if not all of that line is known."""
        return None if self._is_partial else len(self._rest)

    def feed(self, data: bytes, *, after_gap: bool = False) -> Iterator[bytes | Told]:
        """Give the pieces that are complete now.

        Args:
            data: what has been appended.
            after_gap: whether something before it was not read, so that its first piece may be a part of one.
        """
        if after_gap:
            self._rest, self._is_partial = b"", True
        data, at = self._rest + data, 0
        for found in _SEPARATOR.finditer(data):
            piece = data[at : found.start()]
            at = found.end()
            if piece and not self._is_partial and len(piece) <= LONGEST_BYTES:
                yield piece
            self._is_partial = False
            if found[1] is not None:
                yield Told(int(found[1]), int(found[2]) if found[2] else None)
        self._rest = data[at:]
        if len(self._rest) > LONGEST_BYTES + _TORN_BYTES:
            self._rest, self._is_partial = self._rest[-_TORN_BYTES:], True

    def unfinished(self) -> bytes:
        """Give what stands on a line that is not complete, as if nothing more would come; empty if that is no piece."""
        return b"" if self._is_partial or len(self._rest) > LONGEST_BYTES else self._rest
