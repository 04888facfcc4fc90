"""The file that the plugin's monitor reads: a line that is appended to it wakes an idle session of Claude Code.

The monitor and the server of a session are both children of the same Claude Code; by its pid they find each other. The
monitor makes the file, with its own pid as the first line, and prints what comes after that.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from claudine_mcp.host.files import write_durable
from claudine_mcp.host.processes import identify, is_alive


class MonitorFile:
    """The file of one Claude Code.

    Args:
        directory: where the monitor makes it.
        claude_pid: of Claude Code.
    """

    def __init__(self, directory: Path, claude_pid: int) -> None:
        # The home directory may be shared with other machines and containers, which have the same pids.
        self._path = directory / f"{claude_pid}@{os.uname().nodename}"
        self._beside = directory / f"{self._path.name}.cursor"
        self._claude = identify(claude_pid)

    def is_read(self) -> bool:
        """Whether there is a monitor now. The file may be that of a Claude Code which had the same pid before."""
        try:
            with self._path.open("rb") as file:
                line = file.readline(32)
        except OSError:
            return False
        if self._claude is None or not line.endswith(b"\n") or not line[:-1].isdigit():
            return False
        reader = identify(int(line))
        return reader is not None and reader.start >= self._claude.start and is_alive(reader)

    def append(self, line: str) -> None:
        """Have the monitor print a line.

        Raises:
            OSError: it cannot be written, or not whole.
        """
        data = line.encode("utf-8", "replace") + b"\n"
        fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            if os.write(fd, data) != len(data):
                raise OSError(f"{self._path}: there is no space for a line")
        finally:
            os.close(fd)

    def cursor(self) -> int | None:
        """Give what `keep_cursor` kept for this very Claude Code, None if it did not."""
        try:
            kept = json.loads(self._beside.read_bytes())
        except (OSError, ValueError):
            return None
        return int(kept["cursor"]) if kept["claude"] == str(self._claude) else None

    def keep_cursor(self, cursor: int) -> None:
        """Keep up to where its session was told, for the server that Claude Code starts after a crash of this one.

        Raises:
            OSError: it cannot be written.
        """
        write_durable(self._beside, json.dumps({"claude": str(self._claude), "cursor": cursor}).encode())
