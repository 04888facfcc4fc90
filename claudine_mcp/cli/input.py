"""Texts that a command is given: as an argument, on standard input, or in a file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.front.delegate import MAX_TEXT_BYTES

STDIN = "-"


def prompt_of(argument: str | None, path: Path | None) -> str:
    """Give the prompt, from the argument or from the file.

    Raises:
        InvalidInput: there is none, or there are two, or it cannot be read, or is not UTF-8.
    """
    if (argument is None) == (path is None):
        problem = "it is missing" if path is None else "it is given twice"
        right = f"Give it as an argument, {STDIN} for standard input, or --prompt-file."
        raise InvalidInput("prompt", problem, right)
    if path is None:
        return text_of(argument or "", "prompt")
    if str(path) == STDIN:
        return text_of(STDIN, "promptFile")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_TEXT_BYTES + 1)
    except OSError as error:
        raise InvalidInput("promptFile", f"{path}: {error.strerror}") from error
    return decoded(data, "promptFile")


def text_of(argument: str, field: str) -> str:
    """Give a text that stands as an argument, or on standard input if the argument is "-".

    Raises:
        InvalidInput: it is not UTF-8.
    """
    # One byte more than is allowed is enough to be refused for its length, however much there is.
    data = sys.stdin.buffer.read(MAX_TEXT_BYTES + 1) if argument == STDIN else os.fsencode(argument)
    return decoded(data, field)


def decoded(data: bytes, field: str) -> str:
    """Read UTF-8, which may have been cut after `MAX_TEXT_BYTES`.

    Raises:
        InvalidInput: it is something else.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        if error.end > MAX_TEXT_BYTES:
            return data.decode(errors="replace")  # too long, which is what is told of it
        raise InvalidInput(field, f"byte {error.start + 1} is not UTF-8", "Convert it.") from error
