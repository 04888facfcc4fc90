"""When a disk counts as full."""

from __future__ import annotations

from typing import Final

FREE_BYTES: Final = 500_000_000
FREE_SHARE: Final = 0.01
"""A disk is full when less is free, in bytes and as a share of it."""


def least_free_bytes(total_bytes: int) -> int:
    """Give what must be free for a disk of this size not to be full."""
    return min(FREE_BYTES, round(FREE_SHARE * total_bytes))
