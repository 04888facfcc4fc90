"""Plugins of this suite, and how many workers share it."""

from __future__ import annotations

import os

from hypothesis import settings

# How long a machine takes is not what a test may fail for.
settings.register_profile("timeless", deadline=None)
settings.load_profile("timeless")

pytest_plugins = ["external", "support", "kept"]


def pytest_xdist_auto_num_workers() -> int:
    """Give one worker more than there are processors: most tests wait for processes, few compute."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) + 1
