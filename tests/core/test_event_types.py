"""Every type of event that the code names is listed, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import claudine_mcp
from claudine_mcp.core.event_types import TYPES

NAMED = re.compile(r'"((?:task|system|limit|api|supervisor|monitoring|queue):[a-z-]+)"')


def test_the_list_of_types_is_that_of_the_code() -> None:
    package = Path(claudine_mcp.__file__).parent
    found: set[str] = set()
    for path in package.rglob("*.py"):
        if path.name != "event_types.py":
            found |= set(NAMED.findall(path.read_text(encoding="utf-8")))
    assert found == TYPES
