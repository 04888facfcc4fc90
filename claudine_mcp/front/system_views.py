"""What is shown of the machine, the supervisor, the settings and of output; no module that opens anything."""

from __future__ import annotations

from pydantic import Field

from claudine_mcp.front.alert_views import AlertView
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


class MetricView(View):
    """One measure over a window of time."""

    current: float | int | None = Field(default=None, description="of the newest sample")
    min: float | int
    mean: float | int
    max: float | int
    p95: float | int = Field(description="what it did not exceed for 95 % of the time, in means of 10 s")
    growth_per_minute: float | int | None = None
    sparkline: str = Field(description="from min to max; a gap where nothing was measured")
    series: list[float | int | None] | None = Field(default=None, description="means, one for each of `at`")


class PressureView(View):
    """Per cent of the last 10 s in which some (full: all) waited for it."""

    cpu: float
    memory: float
    memory_full: float
    io: float
    io_full: float


class OtherClaudeView(View):
    """Claude Code on this machine that no task of ours has started; it is never touched."""

    processes: int
    rss_bytes: int
    orphans: int = Field(description="of these, without terminal and parent")


class MachineHistory(View):
    """The last minutes, as the supervisor has sampled them."""

    window_seconds: float
    newest_sample_age_seconds: float
    memory_available_bytes: MetricView | None = None
    load: MetricView | None = None
    memory_pressure: MetricView | None = None


class Machine(View):
    """The machine, or the container that we live in, and the disk of the state directory."""

    memory_available_bytes: int
    memory_total_bytes: int
    limited_by: str | None = Field(
        default=None, description="the cgroup whose limit these are; absent: the machine"
    )
    tasks_memory_bytes: int | None = Field(
        default=None, description="what active tasks use of it, as far as they were sampled"
    )
    swap_free_bytes: int
    swap_total_bytes: int
    load1: float = Field(description="processes that run or want to, mean of a minute")
    cpus: float = Field(description="that we may use, fractions of a quota included")
    disk_free_bytes: int
    disk_total_bytes: int
    pressure: PressureView | None = Field(default=None, description="absent: the kernel does not tell")
    other_claude: OtherClaudeView
    history: MachineHistory | None = None


class ReservationView(View):
    """Memory and slots that are kept free."""

    reservation_id: str
    memory_bytes: int
    slots: int
    task_id: str | None = Field(default=None, description="for whom; it ends when that task starts")
    until: str
    by: str


class Overview(View):
    """What is going on."""

    counts: dict[str, int] = Field(description="tasks by state; states without any are left out")
    active: list[TaskRow]
    queued: list[QueuedTask] = Field(description="in the order in which they would start")
    reservations: list[ReservationView] | None = Field(
        default=None, description="what is kept free; ReserveCapacity"
    )
    open_alerts: list[AlertView] | None = Field(
        default=None, description="what is wrong, most severe first; whosoever's"
    )
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


class MetricsView(View):
    """What a run has used over a window of time."""

    task_id: str
    run: int | None = Field(default=None, description="which run; absent: it has not started yet")
    newest_sample_age_seconds: float | None = Field(
        default=None, description="samples become visible about every 10 s while the task runs"
    )
    processes: int | None = Field(default=None, description="in its tree, in the newest sample")
    threads: int | None = None
    stopped: int | None = Field(default=None, description="of the processes, by a signal")
    begin: str | None = Field(default=None, description="of the window")
    end: str | None = None
    at: list[str] | None = Field(default=None, description="where each value of a series begins")
    rss_bytes: MetricView | None = Field(default=None, description="shared pages count more than once")
    pss_bytes: MetricView | None = Field(default=None, description="its fair share; read every 30 s")
    vsz_bytes: MetricView | None = None
    cpu_percent: MetricView | None = Field(default=None, description="of one processor")
    fds: MetricView | None = Field(default=None, description="open descriptors")
    read_bytes: MetricView | None = Field(default=None, description="from disk, since its start")
    written_bytes: MetricView | None = Field(default=None, description="to disk, since its start")
    notes: list[str] | None = None


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
