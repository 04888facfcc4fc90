"""Scenarios with known truth, for `detection.py`."""
