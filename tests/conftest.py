"""Plugins of this suite, and how many workers share it."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

pytest_plugins = ["external", "support", "kept"]

# How long an example takes says how busy the machine is.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")


def pytest_xdist_auto_num_workers() -> int:
    """Give one worker more than there are processors: most tests wait for processes, few compute."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) + 1
