"""Plugins of this suite."""

pytest_plugins = ["external", "support", "kept"]
