"""The presets: the founding document's three configuration examples, and how careful admission is in each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

DEFAULT_PRESET = "balanced"

PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "minimal": {
            "monitoring": {"enabled": True, "level": "passive"},
            "limits": {"softMaxConcurrent": 20, "hardMaxConcurrent": 100, "defaultTimeout": None},
            "scheduling": {"nSigma": 2},
        },
        "balanced": {
            "monitoring": {
                "enabled": True,
                "level": "active",
                "stallThreshold": 300_000,
                "checkpointInterval": 600_000,
            },
            "limits": {
                "softMaxConcurrent": 10,
                "hardMaxConcurrent": 50,
                "maxMemoryPerTask": "2GB",
                "defaultTimeout": None,
            },
            "scheduling": {"nSigma": 3},
        },
        "conservative": {
            "monitoring": {
                "enabled": True,
                "level": "protective",
                "stallThreshold": 180_000,
                "checkpointInterval": 300_000,
            },
            "limits": {
                "softMaxConcurrent": 5,
                "hardMaxConcurrent": 20,
                "maxMemoryPerTask": "1GB",
                "criticalMemory": "3GB",
                "defaultTimeout": 3_600_000,
            },
            "scheduling": {"nSigma": 4},
        },
    }
)
"""Name to settings, as parsed JSON.

nSigma: how many standard deviations of the summed memory demand admission allows for. Simulated (150 tasks in
22 GB, 20 seeds), 4, 3 and 2 spent 3, 32 and 132 s over capacity, for a makespan of 194, 149 and 120 minutes.
"""
