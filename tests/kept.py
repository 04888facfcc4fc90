"""A keeper that is started by hand, without a supervisor."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from support import Home, wait_until

from claudine_mcp.executors.local import KEEPER_PYTHON, KEEPER_SOURCE, RunDirectory

RECORDS = ("start", "began", "exit", "gone")
HELD_ELSEWHERE, ALREADY_BEGAN = 3, 4


class Kept:
    """A run directory, and a keeper that was started for it by hand."""

    def __init__(self, home: Home, stack: ExitStack) -> None:
        self.path = home.state_dir / "tasks" / "t" / "1"
        self.path.mkdir(parents=True)
        self.work = home.work
        self.evidence = RunDirectory(self.path)
        self.bell = home.state_dir / "bell"
        self.bell.touch()
        self.env_file = home.folder / "env"
        self.env_file.write_text(json.dumps({"PATH": os.environ["PATH"], "FROM_CLIENT": "ünï"}))
        self.spec: dict[str, Any] = {
            "run": "t.1",
            "argv": ["/bin/sh", "-c", "true"],
            "cwd": str(home.work),
            "env_file": str(self.env_file),
            "env": {"CLAUDINE_RUN": "t.1", "CLAUDINE_PROGRESS": str(self.path / "progress")},
            "stdin": None,
            "merge_streams": False,
            "umask": 0o027,
            "niceness": 3,
            "oom_score_adj": 300,
        }
        self._stack = stack

    def start(self, **changes: Any) -> subprocess.Popen[bytes]:
        """Start a keeper on the directory; its stdin is the pipe."""
        (self.path / "spec.json").write_text(json.dumps(self.spec | changes))
        with (self.path / "keeper.log").open("ab") as log:
            process = subprocess.Popen(
                [*KEEPER_PYTHON, str(KEEPER_SOURCE), str(self.path), str(self.bell)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd="/",
                env={},
                start_new_session=True,
            )
        self._stack.enter_context(process)
        self._stack.callback(process.kill)
        return process

    def shell(self, script: str, **changes: Any) -> subprocess.Popen[bytes]:
        return self.start(argv=["/bin/sh", "-c", script], **changes)

    def wait(self, name: str) -> dict[str, Any]:
        """Wait for a record; give it."""
        wait_until((self.path / name).exists, what=name)
        return json.loads((self.path / name).read_bytes())

    def go(self, keeper: subprocess.Popen[bytes]) -> None:
        """Say "go" once the keeper is ready."""
        self.wait("start")
        assert keeper.stdin is not None
        keeper.stdin.write(b"g")
        keeper.stdin.close()

    def run(self, script: str, **changes: Any) -> dict[str, Any]:
        """Run a script to its end; give the record of its exit."""
        keeper = self.shell(script, **changes)
        self.go(keeper)
        assert keeper.wait(20) == 0
        return self.wait("exit")

    def there(self) -> list[str]:
        return [name for name in RECORDS if (self.path / name).exists()]

    def output(self, stream: str = "stdout") -> str:
        return (self.path / f"{stream}.log").read_text(encoding="utf-8")


@pytest.fixture
def kept(home: Home) -> Iterator[Kept]:
    with ExitStack() as stack:
        yield Kept(home, stack)
