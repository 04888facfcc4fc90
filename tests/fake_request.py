"""A request for an answer of the model, and what it tells of the conversation."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from fake_script import MARK, Json

REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>", re.DOTALL)
"""What Claude Code adds to a prompt, before it or after it."""

NO_ANSWER = "No response requested."
"""What Claude Code has the model say where a session was stopped and is resumed."""


class Place(NamedTuple):
    """Where a conversation is: the script, the message that brought it, the answers since."""

    line: str
    message: int
    turn: int


@dataclass
class Request:
    """A request for an answer of the model, as it came.

    Attributes:
        headers: with small letters; keys and tokens only as `key_hash` gives them.
        body: the JSON.
        at_s: when it came, on the monotonic clock.
        outcome: what became of it, None while that is open: ``answered``, ``error 529``, ``hung``, ``cut``, or ``left``
            if the client closed the connection first.
    """

    headers: Mapping[str, str]
    body: Json
    at_s: float
    outcome: str | None = None

    @property
    def model(self) -> str:
        """The model that was asked for."""
        return self.body.get("model", "")

    @property
    def session_id(self) -> str:
        """Claude Code's session; "" for another client."""
        return self.headers.get("x-claude-code-session-id", "")

    @property
    def key_hash(self) -> str:
        """What `key_hash` gives for the key or token that came with it; "" if none did."""
        return self.headers.get("x-api-key") or self.headers.get("authorization", "")

    @property
    def tools(self) -> set[str]:
        """The names of the tools whose schemas the model was given."""
        return {tool.get("name", "") for tool in self.body.get("tools", [])}

    @property
    def messages(self) -> list[Json]:
        """The conversation."""
        return self.body.get("messages", [])

    @cached_property
    def text(self) -> str:
        """The conversation as JSON, in which one can look for words."""
        return json.dumps(self.messages, ensure_ascii=False)

    @cached_property
    def news(self) -> str:
        """What came into the conversation since the model's last answer, as JSON."""
        answers = [n for n, message in enumerate(self.messages) if message["role"] == "assistant"]
        return json.dumps(self.messages[answers[-1] + 1 if answers else 0 :], ensure_ascii=False)

    def place(self, scripts: Mapping[str, str]) -> Place | None:
        """Give where the conversation is; None: it has no script.

        Args:
            scripts: by words that a prompt may have in it, those of prompts that do not say their own.
        """
        for n in range(len(self.messages) - 1, -1, -1):
            if self.messages[n]["role"] != "user":
                continue
            for text in reversed(_texts(self.messages[n])):
                prompt = REMINDER.sub("", text).lstrip()
                is_script = prompt.startswith(MARK)
                line = prompt.splitlines()[0] if is_script else _script_for(prompt, scripts)
                if line is not None:
                    turn = sum(_is_an_answer(message) for message in self.messages[n:])
                    return Place(line, n, turn)
        return None

    def filled(self, line: str) -> str:
        """Give a script with the values of its ``<<NAME>>``, where the conversation has them."""

        def value(name: re.Match[str]) -> str:
            # A tool's JSON is a string in the conversation's JSON, so its quotes have backslashes.
            values = re.findall(rf'"{name[1]}\\*":\s*\\*"([^"\\<]+)', self.text)
            return values[-1] if values else name[0]

        return re.sub(r"<<(\w+)>>", value, line)


def _script_for(prompt: str, scripts: Mapping[str, str]) -> str | None:
    return next((script for words, script in scripts.items() if words in prompt), None)


def _texts(message: Json) -> list[str]:
    content = message.get("content", "")
    blocks = [{"text": content}] if isinstance(content, str) else content
    return [block["text"] for block in blocks if isinstance(block.get("text"), str)]


def _is_an_answer(message: Json) -> bool:
    return message["role"] == "assistant" and _texts(message) != [NO_ANSWER]


def key_hash(key: str) -> str:
    """Give what is recorded instead of a key or token."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]
