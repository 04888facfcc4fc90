"""Staged supervisors: ones that die at a point, or do not see what they should. See `crashing_supervisor`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support import Home, wait_for, wait_until

from claudine_mcp.host.lease import Lease, try_take
from claudine_mcp.host.statedir import prepare

SCRIPT = Path(__file__).parent / "crashing_supervisor.py"
SIGKILLED = -9


def take_lease(state_dir: Path) -> Lease:
    """Wait for the lease; give it."""
    lease = wait_until(lambda: try_take(state_dir), what="the lease is free")
    assert lease is not None
    return lease


class Staged:
    """A supervisor that is not started yet; until it is, no other can be."""

    def __init__(self, home: Home, at: str, settings: dict[str, str]) -> None:
        self.home = home
        self.at = at
        self.settings = settings
        self.path = home.folder / "points"
        self.path.touch()
        prepare(home.state_dir)
        self._lease = take_lease(home.state_dir)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Pass it the lease, which kept others from serving until now."""
        with (self.home.state_dir / "supervisor.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", str(SCRIPT), "--lease-fd", str(self._lease.fd)],
                env={**self.home.env, "CRASH_AT": self.at, "CRASH_LOG": str(self.path)} | self.settings,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                pass_fds=[self._lease.fd],
                start_new_session=True,
            )
        self._lease.release()

    @property
    def points(self) -> list[str]:
        """What it has passed, in order."""
        return self.path.read_text().split()

    async def killed(self) -> None:
        """Wait until it has killed itself."""
        process = self.process
        assert process is not None
        await wait_for(
            lambda: process.poll() is not None, what=f"the supervisor died at {self.at}: {self.points}"
        )
        assert process.returncode == SIGKILLED, self.home.log()

    def close(self) -> None:
        """End it, if it lives."""
        if self.process is None:
            self._lease.release()
        else:
            self.process.kill()
            self.process.wait()


@contextmanager
def staged(home: Home, at: str = "", **settings: str) -> Iterator[Staged]:
    """Take the lease for a supervisor that dies at the point `at`; further settings are its environment."""
    made = Staged(home, at, settings)
    try:
        yield made
    finally:
        made.close()
