"""What is kept of a task's git worktree.

`spec["worktree"]`, from the submission on: `repository` (the top of the work tree that it was submitted from), `gitDir`
(shared by all worktrees of that repository), `base` (the commit to begin with), `folder` (below the top, where the
task works; "" for the top), `note` (what whoever submitted it should know), `content` (of one that was restored: the
commit of the checkpoint whose files it begins with).

`tasks.worktree`, from the first start on, written before the worktree is made: the first four, `path`, `branch`;
`filled` once the files of `content` are in it; and at the end `fate` ("kept" or "removed"), with `changes` in a line,
or the `problem` with looking for them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from claudine_mcp.core.models import JSON, Task

PREFIX: Final = "claudine"
"""Of all branches that tasks are given."""
MAX_SLUG: Final = 30
GIT_VARIABLES: Final = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_NAMESPACE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    }
)
"""What git sets for its hooks, and nobody should for another repository (`git rev-parse --local-env-vars`)."""


def branch_for(task: Task) -> str:
    """Give the name that the branch of a task should have."""
    slug = re.sub(r"[^a-z0-9]+", "-", task.name.lower())[:MAX_SLUG].strip("-")
    return f"{PREFIX}/{slug}-{task.id}" if slug else f"{PREFIX}/{task.id}"


def working_folder(task: Task) -> Path:
    """Give where the runs of a task work: in its worktree, if it has one, else where it was submitted to."""
    made = task.worktree
    return Path(task.cwd) if made is None else Path(made["path"], made["folder"])


def is_open(made: JSON | None) -> bool:
    """Whether a worktree was, or was about to be, made, and nothing was decided about it since."""
    return made is not None and "fate" not in made
