"""Parameters that several tools share, with the words that explain them to a model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

TaskId = Annotated[str, Field(description="id of a task, or a unique beginning of it")]
Reason = Annotated[str | None, Field(description="why; kept with the task")]
Wait = Annotated[
    bool,
    Field(
        description="answer when the task has ended, instead of at once. "
        "To stop waiting stops no task: CancelTask does that"
    ),
]
Name = Annotated[str | None, Field(description="what people know the task by; default: the command")]
PriorityName = Annotated[
    Literal["P0", "P1", "P2"] | None,
    Field(description="P0 goes first and may pass the soft cap, P2 gives way; default P1"),
]
NotBefore = Annotated[str | None, Field(description="RFC 3339 time before which it must not start")]
Timeout = Annotated[
    int | str | None,
    Field(description='how long a run may take before you are told: milliseconds, or "30m"; it is not ended'),
]
OnTimeout = Annotated[
    Literal["notify", "suspend", "cancel"] | None,
    Field(
        description="what happens when the timeout has passed: suspend stops the task, cancel ends it. Default notify"
    ),
]
CheckpointInterval = Annotated[
    int | str | None,
    Field(
        description='time between its automatic checkpoints: milliseconds, or "10m"; default: the settings\''
    ),
]
Labels = Annotated[list[str] | None, Field(description="words to find it by")]
Worktree = Annotated[
    bool,
    Field(
        description="work in a git worktree and branch of its own, at the last commit of cwd's repository; "
        "kept at the end if anything was changed"
    ),
]
Cwd = Annotated[str | None, Field(description="working directory; default: the client's")]


class Resources(BaseModel):
    """What a task needs, and what it allows to be done with it when memory is short."""

    model_config = ConfigDict(extra="forbid", strict=True)

    minMemory: int | str | None = Field(  # noqa: N815 - the interface's spelling
        default=None, description='it starts only where so much is to be had; bytes, or "2GB"'
    )
    preferredMemory: int | str | None = Field(  # noqa: N815
        default=None, description="tried first; gives way to what it needs"
    )
    priority: Literal["P0", "P1", "P2"] | None = Field(default=None, description="the same as `priority`")
    canCheckpoint: bool = Field(  # noqa: N815 - the interface's spelling
        default=False, description="it may be hibernated without asking"
    )


ResourcesParameter = Annotated[
    Resources | None, Field(description="its memory, and what may be done when it is short")
]


class DependencyParameter(BaseModel):
    """A task that must have ended first."""

    model_config = ConfigDict(extra="forbid")

    taskId: str  # noqa: N815 - the interface's spelling
    on: Literal["success", "end"] = "success"


DependsOn = Annotated[
    list[str | DependencyParameter] | None,
    Field(description="tasks that must have succeeded first: ids, or {taskId, on: success or end}"),
]


def plain(given: list[str | DependencyParameter] | None) -> list[str | dict[str, str]]:
    """Give dependencies as the front takes them."""
    return [item.model_dump() if isinstance(item, DependencyParameter) else item for item in given or []]
