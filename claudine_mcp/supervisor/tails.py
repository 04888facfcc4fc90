"""The end of what a run prints, looked at now and then: what it says of progress costs no more than that.

Also the file in which a run can tell of its progress itself. A task may do to these files what it likes, so
nothing that is not a regular file is read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from claudine_mcp.core.models import JSON
from claudine_mcp.core.progress.model import Progress
from claudine_mcp.core.progress.recognizer import Recognizer
from claudine_mcp.core.progress.report import Report, read_report
from claudine_mcp.host.files import open_regular

TAIL_BYTES: Final = 2048
"""What is read of a stream at a time, however much it has grown."""
STREAMS: Final = ("stdout", "stderr")


class Tails:
    """Looks at the ends of a run's output.

    Args:
        run: its directory.
        stored: what `to_json` gave to an earlier one.
    """

    def __init__(self, run: Path, stored: Mapping[str, Any] | None) -> None:
        self._paths = {stream: run / f"{stream}.log" for stream in STREAMS}
        self._recognizer = Recognizer(None if stored is None else stored["recognizer"])
        self._offsets: dict[str, int] = (
            dict.fromkeys(STREAMS, 0) if stored is None else dict(stored["offsets"])
        )
        self._broken: set[str] = set() if stored is None else set(stored["broken"])
        self._has_rested = False

    def to_json(self) -> JSON:
        """Give all that another needs to go on."""
        unread = {stream: self._recognizer.unread_bytes(stream) for stream in STREAMS}
        return {
            "recognizer": self._recognizer.to_json(),
            "offsets": {stream: self._offsets[stream] - (unread[stream] or 0) for stream in STREAMS},
            "broken": [stream for stream in STREAMS if unread[stream] is None],
        }

    def look(self, at: float, *, is_over: bool = False) -> None:
        """Read what has been appended, or the end of that.

        Args:
            at: now, in seconds of a clock that nobody sets.
            is_over: whether nothing more will come.
        """
        has_grown = False
        for stream, path in self._paths.items():
            has_grown |= self._look(stream, path, at)
        if is_over or not (has_grown or self._has_rested):
            self._recognizer.rest(at)
        self._has_rested = not has_grown

    def _look(self, stream: str, path: Path, at: float) -> bool:
        offset = self._offsets[stream]
        found = read_new(path, offset)
        if found is None:
            return False
        start, data = found
        self._offsets[stream] = start + len(data)
        self._recognizer.feed(stream, data, at, after_gap=start != offset or stream in self._broken)
        self._broken.discard(stream)
        return True

    def progress(self) -> Progress | None:
        """Give how far the run is, None if its output does not say."""
        return self._recognizer.progress()


class ReportFile:
    """What a run has told in the file that $CLAUDINE_PROGRESS names.

    Attributes:
        report: what it says.
    """

    def __init__(self, path: Path) -> None:
        self.report = Report(None, None)
        self._path = path
        self._seen: tuple[int, int] | None = None

    def look(self) -> None:
        """Read it, if it has changed."""
        try:
            found = self._path.stat(follow_symlinks=False)
        except OSError:
            return
        if (found.st_size, found.st_mtime_ns) == self._seen:
            return
        self._seen = found.st_size, found.st_mtime_ns
        read = read_new(self._path, 0)
        if read is not None:
            start, data = read
            self.report = read_report(data, is_tail=start > 0)


def read_new(path: Path, offset: int) -> tuple[int, bytes] | None:
    """Read what a file has beyond an offset, or the last `TAIL_BYTES` of that; None if that is nothing.

    Returns:
        Where what was read begins, and what it is.
    """
    try:
        if path.stat(follow_symlinks=False).st_size == offset:
            return None
        fd = open_regular(path)
    except OSError:
        return None
    try:
        size = os.fstat(fd).st_size
        first = offset if size > offset else 0  # someone has made it shorter
        start = max(first, size - TAIL_BYTES)
        data = os.pread(fd, size - start, start)
    except OSError:
        return None
    finally:
        os.close(fd)
    return (start, data) if data else None
