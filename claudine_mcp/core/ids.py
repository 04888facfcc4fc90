"""Ids of tasks, commands and checkpoints: short enough to be said, and without letters that are easily confused."""

from __future__ import annotations

import secrets

ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no i, l, o, u, so that ids can be read out."""
ID_LENGTH = 8


def new_id() -> str:
    """Give a new id for a task, a command or a checkpoint."""
    return "".join(secrets.choice(ID_ALPHABET) for _ in range(ID_LENGTH))
