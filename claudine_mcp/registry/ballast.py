"""Space that is given up when the disk is full, so that a cancel and an end can still be written down."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from claudine_mcp.registry.database import DiskFull

log = logging.getLogger(__name__)

BALLAST_BYTES = 4 * 2**20


def is_full(error: Exception) -> bool:
    """Whether an error says that there is no space left."""
    return isinstance(error, DiskFull) or (
        isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
    )


class Ballast:
    """A file that only takes up space."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "ballast"
        self._said = False

    @contextmanager
    def released_when_full(self) -> Generator[None]:
        """Give the space up when what runs inside finds the disk full; its caller will try again."""
        try:
            yield
        except DiskFull as error:
            if not self.release() and not self._said:
                self._said = True
                log.warning("%s It is tried again until there is some.", error)
        else:
            self._said = False

    def release(self) -> bool:
        """Give the space up. False: it was not there any more."""
        try:
            self._path.unlink()
        except FileNotFoundError:
            return False
        log.warning("the disk is full: %s was given up", self._path)
        return True

    def restore(self) -> None:
        """Take the space (again), if it can be had."""
        if self._path.exists():
            return
        draft = self._path.with_suffix(".tmp")
        try:
            with draft.open("wb") as file:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, BALLAST_BYTES)
                else:
                    file.write(bytes(BALLAST_BYTES))
            draft.replace(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
