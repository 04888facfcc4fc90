from __future__ import annotations

import os
from pathlib import Path

from claudine_mcp.core.states import TRANSITIONS

PAGE = Path(__file__).parents[2] / "docs" / "states.md"
BEGIN, END = "```mermaid\n", "```\n"


def diagram() -> str:
    lines = ["stateDiagram-v2", "    [*] --> queued", "    ended --> [*]"]
    lines += [f"    {state} --> {after}: {trigger}" for (state, trigger), after in TRANSITIONS.items()]
    return "\n".join(lines) + "\n"


def test_the_page_shows_the_table() -> None:
    """With CLAUDINE_REDRAW=1 the page is drawn anew."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    shown, _, after = rest.partition(END)
    if os.environ.get("CLAUDINE_REDRAW"):
        PAGE.write_text(before + BEGIN + diagram() + END + after, encoding="utf-8")
        return
    assert shown == diagram()
