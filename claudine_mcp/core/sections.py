"""The configuration's sections and keys: defaults, and what fits together. Nothing is merged here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.fields import (
    Argv,
    Count,
    DurationMs,
    KeptMs,
    Level,
    MemoryBytes,
    ModelName,
    PauseMs,
    PermissionMode,
    Preset,
    Program,
    Tasks,
    duration,
    size,
)
from claudine_mcp.core.units import human_duration, human_size

RESERVE_MINIMUM_BYTES = 10**9
RESERVE_FRACTION = 0.10
RESERVE_MOST = 0.25
"""What `systemMemoryReserve` is unless set: the larger of the two, but no more than that share of all memory, which a
container of 1 GB could never keep available."""


HOOK_MS = 7 * 86_400_000
"""How long the plugin's hook may take (`plugin/hooks/hooks.json`)."""


class Section(BaseModel):
    """What the sections share: camelCase in JSON, immutable, no unknown keys, no silent conversions."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
    )


class Monitoring(Section):
    """What is observed, how often, and what is done about it.

    Attributes:
        enabled: whether tasks are sampled and rules applied; outcomes are recorded in any case.
        level: what is done about findings.
        sample_interval: ms between samples.
        stall_threshold: ms of unsuspended silence after which a task is stalled.
        deadlock_threshold: ms of unsuspended time in which nothing at all may move.
        repeat_threshold: how often the same tool calls may come in a row.
        checkpoint_interval: ms between automatic checkpoints.
        agent_may_loosen: whether ConfigureMonitoring may loosen settings for all tasks.
    """

    enabled: bool = True
    level: Annotated[Level, Field(strict=False)] = Level.ACTIVE
    sample_interval: Annotated[int, duration(minimum=100)] = 1000
    stall_threshold: DurationMs = 300_000
    deadlock_threshold: DurationMs = 60_000
    repeat_threshold: Annotated[int, Field(ge=3, le=16)] = 10
    checkpoint_interval: DurationMs = 600_000
    agent_may_loosen: bool = False


class Limits(Section):
    """Where the lines are.

    Attributes:
        soft_max_concurrent: running tasks above which a warning is given.
        hard_max_concurrent: running tasks that are never exceeded.
        max_memory_per_task: bytes of a task's tree (PSS) above which a warning is given.
        critical_memory: bytes of a task's tree (PSS) that are critical.
        max_file_descriptors: open descriptors of one process of a task above which a warning is given.
        max_disk_rate: bytes a second that a task may write for minutes on end.
        default_timeout: ms of unsuspended time of a run, for tasks that name none; a threshold, not a kill.
        system_memory_reserve: bytes of available memory of the machine below which it is short; None for the
            larger of 1 GB and 10 %, at most a quarter (`reserve_bytes`).
        max_log_bytes: bytes kept of each output stream of a run.
        max_checkpoint_file: bytes of a changed or untracked file above which a checkpoint only names it.
        kill_grace: ms between SIGTERM and SIGKILL.
        niceness: added to a task's nice value, 0 to 19.
        oom_score_adj: of a task, 0 to 1000: the kernel takes it before the user's session.
    """

    soft_max_concurrent: Tasks = 10
    hard_max_concurrent: Tasks = 50
    max_memory_per_task: MemoryBytes = 2 * 10**9
    critical_memory: MemoryBytes = 4 * 10**9
    max_file_descriptors: Annotated[int, Field(ge=1, le=10**7)] = 1000
    max_disk_rate: Annotated[int, size(10**6)] = 10**8
    default_timeout: DurationMs | None = None
    system_memory_reserve: MemoryBytes | None = None
    max_log_bytes: Annotated[int, size(4096)] = 256 * 10**6
    max_checkpoint_file: Annotated[int, size(4096)] = 50 * 10**6
    kill_grace: PauseMs = 5000
    niceness: Annotated[int, Field(ge=0, le=19)] = 5
    oom_score_adj: Annotated[int, Field(ge=0, le=1000)] = 500

    def reserve_bytes(self, total_bytes: int) -> int:
        """Give the memory to keep available on a machine that has `total_bytes`."""
        if self.system_memory_reserve is not None:
            return self.system_memory_reserve
        usual = max(RESERVE_MINIMUM_BYTES, round(total_bytes * RESERVE_FRACTION))
        return min(usual, round(total_bytes * RESERVE_MOST))


class Scheduling(Section):
    """Who may start when.

    Attributes:
        n_sigma: standard deviations of the summed memory demand that admission allows for.
        start_burst: Claude tasks that may start at once; None for as many as softMaxConcurrent.
        start_spacing: ms between starts of Claude tasks after the burst.
        ageing: ms of waiting after which a queued task counts as one priority higher.
        max_load: runnable processes a processor above which nothing more starts, while some wait for a processor.
        daily_budget_usd: dollars a day above which no further Claude task starts; None for no limit.
    """

    n_sigma: Annotated[float, Field(gt=0, le=10)] = 3.0
    start_burst: Tasks | None = None
    start_spacing: PauseMs = 2000
    ageing: DurationMs = 600_000
    max_load: Annotated[float, Field(gt=0, le=10_000)] = 4.0
    daily_budget_usd: Annotated[float, Field(gt=0)] | None = None


class Claude(Section):
    """How Claude Code is run.

    Attributes:
        command: a program on PATH, or its whole path.
        default_model: for tasks that name none; None leaves it to Claude Code.
        permission_mode: for tasks that name none.
        allow_bypass_permissions: whether a task may run with bypassPermissions.
        max_depth: how many levels of tasks may delegate further tasks.
        allowed_extra_args: flags that a task's extraArgs may hold besides the harmless ones.
        allowed_mcp_servers: names of servers that a task's mcpConfig may bring; "*" for any.
        max_resumes: automatic resumes of a run that the API failed.
        ask_permission: whether a task's permission requests are put to the user.
        ask_timeout: ms until such a request that nobody answers is denied.
    """

    command: Program = "claude"
    default_model: ModelName | None = None
    permission_mode: PermissionMode = "default"
    allow_bypass_permissions: bool = False
    allowed_extra_args: tuple[str, ...] = Field(default=(), strict=False)
    allowed_mcp_servers: tuple[str, ...] = Field(default=(), strict=False)
    max_depth: Count = 1
    max_resumes: Count = 5
    ask_permission: bool = False
    ask_timeout: DurationMs = 600_000


class Notifications(Section):
    """How the user is told besides the client.

    Attributes:
        command: program and arguments, given each event as JSON on stdin; None for none.
        command_timeout: ms that it may take.
        channel: whether events are also sent as Claude Code channel messages.
        stop_wait: ms that a plain `claude -p` with the plugin waits for tasks that it delegated; 0 for not at all.
    """

    command: Argv | None = None
    command_timeout: DurationMs = 5000
    channel: bool = False
    stop_wait: Annotated[int, duration(minimum=0), Field(le=HOOK_MS)] = 600_000


class Retention(Section):
    """How long what has ended is kept; durations in ms after the end.

    Attributes:
        tasks: of the record, and with it all the rest.
        logs: of the output.
        samples: of the series.
        checkpoints_per_task: the newest are kept.
    """

    tasks: KeptMs = 14 * 86_400_000
    logs: KeptMs = 7 * 86_400_000
    samples: KeptMs = 7 * 86_400_000
    checkpoints_per_task: Annotated[int, Field(ge=1, le=1000)] = 20


class Supervisor(Section):
    """The process that runs tasks.

    Attributes:
        idle_exit: ms without work after which it ends.
    """

    idle_exit: PauseMs = 60_000


SECTIONS: Mapping[str, type[Section]] = MappingProxyType(
    {
        "monitoring": Monitoring,
        "limits": Limits,
        "scheduling": Scheduling,
        "claude": Claude,
        "notifications": Notifications,
        "retention": Retention,
        "supervisor": Supervisor,
    }
)


class Conflict(NamedTuple):
    """Two settings that contradict each other; either may be the one to change."""

    key: str
    other: str
    problem: str
    right: str


_ASCENDING: tuple[tuple[str, str, Callable[[int], str]], ...] = (
    ("limits.softMaxConcurrent", "limits.hardMaxConcurrent", str),
    ("limits.maxMemoryPerTask", "limits.criticalMemory", human_size),
    ("monitoring.sampleInterval", "monitoring.stallThreshold", lambda ms: human_duration(ms / 1000)),
    ("monitoring.sampleInterval", "monitoring.checkpointInterval", lambda ms: human_duration(ms / 1000)),
)


def _leaf(key: str) -> str:
    return key.rpartition(".")[2]


def conflicts(values: Mapping[str, Any]) -> Iterator[Conflict]:
    """Find the contradictions among values that are each right, given by dotted key."""
    for low, high, show in _ASCENDING:
        if values[low] > values[high]:
            yield Conflict(
                low,
                high,
                f"{_leaf(low)}, {show(values[low])}, is more than {_leaf(high)}, {show(values[high])}",
                f"Lower {low} or raise {high}.",
            )
    if values["claude.permissionMode"] == "bypassPermissions" and not values["claude.allowBypassPermissions"]:
        yield Conflict(
            "claude.permissionMode",
            "claude.allowBypassPermissions",
            "permissionMode is bypassPermissions, which allowBypassPermissions does not allow",
            "Set claude.allowBypassPermissions to true, or choose another mode.",
        )


class Settings(Section):
    """The whole configuration, complete and consistent.

    `preset` is only the name: `config.resolve` is what applies one.

    Raises:
        pydantic.ValidationError: a value is wrong, or two contradict each other.
    """

    preset: Preset = "balanced"
    monitoring: Monitoring = Monitoring()
    limits: Limits = Limits()
    scheduling: Scheduling = Scheduling()
    claude: Claude = Claude()
    notifications: Notifications = Notifications()
    retention: Retention = Retention()
    supervisor: Supervisor = Supervisor()

    def flat(self) -> dict[str, Any]:
        """Give every value by its dotted key ("limits.killGrace"), in the order of the documentation."""
        values: dict[str, Any] = {"preset": self.preset}
        for section in SECTIONS:
            model: Section = getattr(self, section)
            values |= {f"{section}.{to_camel(name)}": value for name, value in model}
        return values

    @property
    def start_burst(self) -> int:
        """Claude tasks that may start at once."""
        return self.scheduling.start_burst or self.limits.soft_max_concurrent

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for found in conflicts(self.flat()):
            raise InvalidInput(found.key, found.problem, found.right)
        return self


KEYS: tuple[str, ...] = tuple(Settings().flat())
"""Every dotted key."""
