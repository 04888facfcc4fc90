"""What is shown of the machine, the supervisor, the settings and of output; no module that opens anything."""

from __future__ import annotations

from pydantic import Field

from claudine_mcp.front.views import QueueView, TaskRow, View


class QueuedTask(View):
    """A task that waits."""

    task_id: str
    name: str
    priority: str
    queue: QueueView


class SupervisorView(View):
    """The process that runs tasks; there is none while there is nothing to do."""

    alive: bool
    unattended: bool = Field(description="true: there is work and no supervisor; a front starts one")
    epoch: int = Field(description="how many there have been")
    pid: int | None = None
    beat_age_seconds: float | None = None


class Concurrency(View):
    """How many tasks may be active at once."""

    active: int
    soft: int = Field(description="P0 tasks may pass it")
    hard: int


class Machine(View):
    """The machine, and the disk of the state directory."""

    memory_available_bytes: int
    memory_total_bytes: int
    swap_free_bytes: int
    load1: float = Field(description="processes that run or want to, mean of a minute")
    cpus: int
    disk_free_bytes: int


class Overview(View):
    """What is going on."""

    counts: dict[str, int] = Field(description="tasks by state; states without any are left out")
    active: list[TaskRow]
    queued: list[QueuedTask] = Field(description="in the order in which they would start")
    supervisor: SupervisorView
    level: str
    concurrency: Concurrency
    machine: Machine
    state_dir: str


class Setting(View):
    """A setting in force."""

    key: str
    value: str | int | float | bool | None = Field(default=None, description="absent: not set")
    origin: str


class LogLineView(View):
    """A line of output."""

    stream: str
    text: str


class LogsView(View):
    """A page of a task's output."""

    task_id: str
    run: int | None = Field(default=None, description="which run; absent: it has not started yet")
    lines: list[LogLineView] = Field(description="stream after stream")
    next_cursor: str | None = Field(default=None, description="to read only what comes after this page")
    truncated: bool = Field(description="whether there is more than is shown")
    more: bool | None = Field(default=None, description="true: another page can be read at once")
    notes: list[str] | None = None
