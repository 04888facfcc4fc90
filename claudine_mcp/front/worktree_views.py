"""How a task's git worktree is shown."""

from __future__ import annotations

from pydantic import Field

from claudine_mcp.front.view import View


class WorktreeView(View):
    """A task's own worktree and branch."""

    state: str = Field(description="planned, in use, kept, removed (nothing was changed in it)")
    path: str | None = None
    branch: str | None = None
    repository: str
    base: str = Field(description="the commit that it begins with")
    changes: str | None = Field(default=None, description="since that commit, committed or not")
    note: str | None = None
