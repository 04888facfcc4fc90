"""What is like a task: the class of those whose past tells something of it. Pure."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePath
from typing import Any, Final

from claudine_mcp.core.models import Kind
from claudine_mcp.core.units import printable

_WORDS: Final = 8
_WORD_CHARS: Final = 200
_SCRIPT_CHARS: Final = 4096  # splitting takes a microsecond a character
_TITLE_CHARS: Final = 60
_SHELL_ENDS: Final = frozenset(("&&", "||", ";", "|", "&"))
_MOVES: Final = frozenset(("cd", ".", "source"))
_NUMBER: Final = re.compile(r"[\d.eE+-]+")
_SHELLS: Final = frozenset(("sh", "bash", "dash", "zsh", "ksh"))
_SCRIPT_OPTIONS: Final = frozenset(("-c", "-ec", "-lc", "-euc", "-exc"))
_WRAPPERS: Final = frozenset(("env", "exec", "nice", "nohup", "sudo", "time", "command", "stdbuf"))


@dataclass(frozen=True, slots=True)
class TaskClass:
    """Tasks that one may expect to take about as long.

    Attributes:
        kind: what they run.
        cwd: where.
        words: the command's program and its first words that are no options, each but so long; of a Claude Code its
            model.
        labels: all of theirs, sorted.
    """

    kind: Kind
    cwd: str
    words: tuple[str, ...]
    labels: tuple[str, ...]

    @property
    def key(self) -> str:
        """What it is kept under: a text that stays the same from release to release."""
        return _lineage(self)[0]

    @property
    def parents(self) -> tuple[str, ...]:
        """The keys of the wider classes that it is one of, the nearest first: no labels, no words, no place."""
        return _lineage(self)[1:]

    @property
    def title(self) -> str:
        """What it is called in a sentence: "make test"."""
        title = printable(" ".join(self.words)) or self.kind.value
        return title if len(title) <= _TITLE_CHARS else f"{title[: _TITLE_CHARS - 1]}…"


@lru_cache(maxsize=4096)
def _lineage(of: TaskClass) -> tuple[str, ...]:
    parts: list[Any] = [of.kind.value, of.cwd, list(of.words), list(of.labels)]
    keys = [json.dumps(parts[:many], ensure_ascii=False, separators=(",", ":")) for many in (4, 3, 2, 1)]
    return tuple(keys if of.labels else keys[1:])


@lru_cache(maxsize=4096)
def class_with_key(key: str) -> TaskClass:
    """Give the class that has a key; what a wider class leaves open is empty."""
    parts: list[Any] = json.loads(key)
    kind, cwd, words, labels = parts + ["", (), ()][len(parts) - 1 :]
    return TaskClass(Kind(kind), cwd, tuple(words), tuple(labels))


def class_of(kind: Kind, cwd: str, spec: Mapping[str, Any], labels: Sequence[str]) -> TaskClass:
    """Give the class of a task by what it was submitted with."""
    if kind is Kind.COMMAND:
        words = _command_words(spec.get("command", ""))
    else:
        words = tuple(word for word in ("claude", spec.get("model")) if word)
    return TaskClass(kind, cwd, tuple(map(_short, words)), tuple(sorted(labels)))


def _short(word: str) -> str:
    """Give a word that is short enough for a key, and still told apart from others."""
    if len(word) <= _WORD_CHARS:
        return word
    digest = hashlib.sha256(word.encode(errors="surrogatepass")).hexdigest()[:12]
    return f"{word[: _WORD_CHARS - 13]}…{digest}"


def _command_words(command: str | Sequence[str]) -> tuple[str, ...]:
    """Give what a command runs, without what differs from call to call: options, paths of programs, settings."""
    found: list[str] = []
    part: list[str] = []
    previous = ""
    for word in _split(_script(command)):
        is_number_of_option = previous.startswith("-") and _NUMBER.fullmatch(word) is not None
        is_around = not part and (word in _WRAPPERS or "=" in word)
        previous = word
        if word in _SHELL_ENDS:
            if part and part[0] not in _MOVES:  # where something is done is not what is done
                found += [*part, word]
            part = []
        elif word == "-m" or not (word.startswith("-") or is_number_of_option or is_around):
            part.append(word if part else PurePath(word).name)
    words = found + part
    return tuple(words[:_WORDS] if part else words[:-1][:_WORDS])


def _script(command: str | Sequence[str]) -> str | Sequence[str]:
    """Give what a shell is to run, where that is the command."""
    if isinstance(command, str) or len(command) < 3:  # noqa: PLR2004 - shell, option, script
        return command
    return command[2] if PurePath(command[0]).name in _SHELLS and command[1] in _SCRIPT_OPTIONS else command


def _split(command: str | Sequence[str]) -> Sequence[str]:
    """Split a command as a shell would; one that no shell could read, at its spaces."""
    if not isinstance(command, str):
        return command
    command = command[:_SCRIPT_CHARS]
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:
        return command.split()
