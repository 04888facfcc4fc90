"""Plugins of this suite, and how many workers share it."""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

pytest_plugins = ["external", "support", "kept"]

# How long an example takes says how busy the machine is.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")


def pytest_xdist_auto_num_workers() -> int:
    """Give one worker more than there are processors: most tests wait for processes, few compute."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) + 1


def pytest_configure() -> None:
    """Give what the tests start the environment of a user.

    It keeps what was compiled: some thousand processes that compile this package again take minutes. And it hears
    signals that a shell ignores for what it runs in the background.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
