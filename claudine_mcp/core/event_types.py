"""The types of events there are, so that nobody waits for one that is misspelt."""

from __future__ import annotations

from typing import Final

TYPES: Final = frozenset(
    {
        "api:limited",
        "limit:budget",
        "limit:concurrency",
        "monitoring:configured",
        "queue:paused",
        "queue:released",
        "queue:reserved",
        "queue:resumed",
        "supervisor:adopted",
        "supervisor:started",
        "system:needs-decision",
        "system:overload",
        "system:recovered",
        "task:active",
        "task:checkpoint",
        "task:critical-memory",
        "task:deadlocked",
        "task:disk-io",
        "task:ended",
        "task:fd-limit",
        "task:hibernated",
        "task:high-memory",
        "task:leftovers",
        "task:log-limit",
        "task:memory-leak",
        "task:messages-lost",
        "task:needs-decision",
        "task:needs-permission",
        "task:overdue",
        "task:progress",
        "task:queued",
        "task:recovered",
        "task:repeating",
        "task:requeued",
        "task:restored",
        "task:resumed",
        "task:runaway-cpu",
        "task:stalled",
        "task:started",
        "task:stuck-phase",
        "task:suspended",
    }
)
