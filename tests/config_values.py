"""Configuration values that several tests share."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from claudine_mcp.core.config import KEYS, Layer, Level

# The founding document's three examples, letter for letter.
EXAMPLES = {
    "minimal": """{
  "monitoring": {
    "enabled": true,
    "level": "passive"
  },
  "limits": {
    "softMaxConcurrent": 20,
    "hardMaxConcurrent": 100,
    "defaultTimeout": null
  }
}""",
    "balanced": """{
  "monitoring": {
    "enabled": true,
    "level": "active",
    "stallThreshold": 300000,
    "checkpointInterval": 600000
  },
  "limits": {
    "softMaxConcurrent": 10,
    "hardMaxConcurrent": 50,
    "maxMemoryPerTask": "2GB",
    "defaultTimeout": null
  }
}""",
    "conservative": """{
  "monitoring": {
    "enabled": true,
    "level": "protective",
    "stallThreshold": 180000,
    "checkpointInterval": 300000
  },
  "limits": {
    "softMaxConcurrent": 5,
    "hardMaxConcurrent": 20,
    "maxMemoryPerTask": "1GB",
    "criticalMemory": "3GB",
    "defaultTimeout": 3600000
  }
}""",
}

USER = "/home/someone/config.json"


def user(values: object) -> Layer:
    return Layer(USER, values)


# For each key values that are right, in JSON and as they are stored, and that contradict no other key's.
RIGHT: dict[str, list[tuple[Any, Any]]] = {
    "preset": [("minimal", "minimal"), ("balanced", "balanced"), ("conservative", "conservative")],
    "monitoring.enabled": [(True, True), (False, False)],
    "monitoring.level": [("passive", Level.PASSIVE), ("protective", Level.PROTECTIVE)],
    "monitoring.sampleInterval": [("250ms", 250), (2000, 2000)],
    "monitoring.stallThreshold": [("5m", 300_000), (180_000, 180_000)],
    "monitoring.deadlockThreshold": [("2m", 120_000), (90_000, 90_000)],
    "monitoring.repeatThreshold": [(5, 5)],
    "monitoring.checkpointInterval": [("1h", 3_600_000), (60_000, 60_000)],
    "monitoring.agentMayLoosen": [(True, True), (False, False)],
    "limits.softMaxConcurrent": [(1, 1), (5, 5)],
    "limits.hardMaxConcurrent": [(20, 20), (10_000, 10_000)],
    "limits.maxMemoryPerTask": [("512MiB", 536_870_912), (10**9, 10**9)],
    "limits.criticalMemory": [("8GB", 8 * 10**9), (4 * 10**9, 4 * 10**9)],
    "limits.maxFileDescriptors": [(64, 64)],
    "limits.maxDiskRate": [("20MB", 20 * 10**6)],
    "limits.defaultTimeout": [(None, None), ("2h", 7_200_000)],
    "limits.systemMemoryReserve": [(None, None), ("2GB", 2 * 10**9)],
    "limits.maxLogBytes": [("1MB", 10**6)],
    "limits.maxCheckpointFile": [("100MB", 10**8)],
    "limits.killGrace": [(0, 0), ("500ms", 500)],
    "limits.niceness": [(0, 0), (19, 19)],
    "limits.oomScoreAdj": [(0, 0), (1000, 1000)],
    "scheduling.nSigma": [(2.5, 2.5), (4, 4.0)],
    "scheduling.startBurst": [(None, None), (3, 3)],
    "scheduling.startSpacing": [(0, 0), ("0.7s", 700)],
    "scheduling.ageing": [("30m", 1_800_000)],
    "scheduling.maxLoad": [(2, 2.0), (6.5, 6.5)],
    "scheduling.dailyBudgetUsd": [(None, None), (12.5, 12.5)],
    "claude.command": [("claude", "claude"), ("/opt/claude code/claude", "/opt/claude code/claude")],
    "claude.defaultModel": [(None, None), ("opus[1m]", "opus[1m]")],
    "claude.permissionMode": [("plan", "plan"), ("acceptEdits", "acceptEdits")],
    "claude.allowBypassPermissions": [(True, True), (False, False)],
    "claude.allowedExtraArgs": [([], ()), (["--settings"], ("--settings",))],
    "claude.allowedMcpServers": [(["*"], ("*",))],
    "claude.maxDepth": [(0, 0), (2, 2)],
    "claude.maxResumes": [(0, 0)],
    "claude.askPermission": [(True, True)],
    "claude.askTimeout": [("1m", 60_000)],
    "notifications.command": [(None, None), (["notify-send", "-u", "low"], ("notify-send", "-u", "low"))],
    "notifications.commandTimeout": [("2s", 2000)],
    "notifications.channel": [(True, True)],
    "notifications.stopWait": [(0, 0), ("1h", 3_600_000)],
    "retention.tasks": [("30d", 2_592_000_000)],
    "retention.logs": [("1d", 86_400_000)],
    "retention.samples": [("12h", 43_200_000)],
    "retention.checkpointsPerTask": [(1, 1)],
    "supervisor.idleExit": [("5m", 300_000), (0, 0)],
}


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in flat.items():
        section, _, name = key.partition(".")
        if name:
            values.setdefault(section, {})[name] = value
        else:
            values[section] = value
    return values


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["5s", "2GB"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([part for key in KEYS for part in key.split(".")]) | st.text(max_size=8),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
