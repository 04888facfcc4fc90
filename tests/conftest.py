"""Plugins of this suite, and how many workers share it."""

from __future__ import annotations

import os

from hypothesis import settings

pytest_plugins = ["external", "support", "kept"]

# How long an example takes says more about the machine than about the code.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


def pytest_xdist_auto_num_workers() -> int:
    """Give one worker more than there are processors: most tests wait for processes, few compute."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) + 1
