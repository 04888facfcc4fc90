"""The command line for each test, and the end of what it has started."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from commandline import CommandLine
from support import Home


@pytest.fixture
def cli(home: Home) -> Iterator[CommandLine]:
    line = CommandLine(home)
    yield line
    line.end()
