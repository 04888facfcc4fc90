"""What the fake model says: a script in the prompt, one step an answer.

The script is one line, which the prompt begins with; ``|`` between spaces separates its steps (``\\|`` is a pipe of
the shell)::

    FAKE: bash sleep 2; echo hi \\| cat | error 529 times 2 | text done

| step | the model's answer |
|---|---|
| ``text WORDS`` | these words |
| ``stream N SECONDS`` | N words, one each SECONDS |
| ``bash COMMAND``, ``background COMMAND`` | a call of Bash, in the second case with ``run_in_background`` |
| ``write PATH WORDS`` | a call of Write |
| ``tool NAME {JSON}`` | a call of any tool |
| ``todo [+>]ITEM; ITEM`` | a call of TodoWrite; ``+`` is before an item that is done, ``>`` before one in progress |
| ``tasks ITEM; ITEM`` | a call of TaskCreate for each; Claude Code counts them from 1 |
| ``task ID STATUS`` | a call of TaskUpdate |
| ``also STEP`` | STEP in the same answer as the step before |

and these come before a step, and are no answers themselves:

| step | what becomes of the request for the next answer |
|---|---|
| ``error STATUS [retry-after S] [resets S] [times K]`` | it fails, K times or always |
| ``hang [times K]`` | it is never answered |
| ``cut [times K]`` | its answer breaks off in the middle |
| ``slow S`` | its answer begins S seconds later |
| ``expensive [N]`` | its answer is said to have taken N tokens; a million (tens of dollars), if N is not given |

``<<NAME>>`` in a step stands for the last value that the field NAME had in what tools answered, such as the id of a
task. After the last step the answer is "the script is over".
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

MARK = "FAKE:"
ALWAYS = sys.maxsize

Json = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """What becomes of a request instead of its answer.

    Attributes:
        status: of HTTP; 0 is no answer at all, or half of one if `cut`.
        times: how often.
        retry_after_s: the header, as it is sent.
        cut: the answer begins and breaks off.
        resets_in_s: the headers by which a Claude Code that is logged in knows that its quota is gone, and until when.
    """

    status: int = 0
    times: int = ALWAYS
    retry_after_s: str | None = None
    cut: bool = False
    resets_in_s: float | None = None


@dataclass
class Step:
    """One answer of the model, and what happens before it.

    Attributes:
        blocks: the content, without ids.
        faults: what becomes of the first requests for it.
        delay_s: before the answer begins.
        pace_s: before each piece of it.
        output_tokens: what it is said to have taken.
    """

    blocks: list[Json] = field(default_factory=list[Json])
    faults: list[Fault] = field(default_factory=list[Fault])
    delay_s: float = 0.0
    pace_s: float = 0.0
    output_tokens: int = 25

    def fault(self, attempt: int) -> Fault | None:
        """Give what becomes of the nth request for this answer, counted from 0; None: it is answered."""
        for fault in self.faults:
            if attempt < fault.times:
                return fault
            attempt -= fault.times
        return None

    def message(self, model: str) -> Json:
        """Give the whole answer as the API does."""
        blocks = [
            block | ({"id": f"toolu_{uuid.uuid4().hex[:20]}"} if block["type"] == "tool_use" else {})
            for block in self.blocks
        ]
        cached = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
        return {
            "id": f"msg_{uuid.uuid4().hex[:20]}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": blocks,
            "stop_reason": "tool_use" if blocks[-1]["type"] == "tool_use" else "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 1200, **cached, "output_tokens": self.output_tokens},
        }


def events_of(message: Json) -> Iterator[Json]:
    """Give a message as the events of a stream."""
    begin = {"content": [], "stop_reason": None, "usage": message["usage"] | {"output_tokens": 1}}
    yield {"type": "message_start", "message": message | begin}
    for n, block in enumerate(message["content"]):
        key, kind, whole = (
            ("text", "text", block["text"])
            if block["type"] == "text"
            else ("partial_json", "input_json", json.dumps(block["input"]))
        )
        empty = {"text": ""} if key == "text" else {"input": {}}
        yield {"type": "content_block_start", "index": n, "content_block": block | empty}
        for piece in re.findall(r"\s*\S+\s*", whole):
            yield {"type": "content_block_delta", "index": n, "delta": {"type": f"{kind}_delta", key: piece}}
        yield {"type": "content_block_stop", "index": n}
    end = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    usage = {"output_tokens": message["usage"]["output_tokens"]}
    yield {"type": "message_delta", "delta": end, "usage": usage}
    yield {"type": "message_stop"}


def read_script(prompt: str) -> list[Step]:
    """Read the first line of a prompt.

    Raises:
        ValueError: a step is not understood; names it.
    """
    steps: list[Step] = []
    step = Step()
    for source in re.split(r"\s\|\s", prompt.strip().splitlines()[0].removeprefix(MARK)):
        verb, _, rest = source.strip().replace(r"\|", "|").partition(" ")
        try:
            words = rest.split()
            if verb in {"error", "hang", "cut"}:
                step.faults.append(_fault(verb, words))
            elif verb == "slow":
                step.delay_s = float(rest)
            elif verb == "expensive":
                step.output_tokens = int(rest or 1_000_000)
            elif verb == "also":
                steps[-1].blocks += _blocks(*rest.partition(" ")[::2])
            else:
                step.blocks = _blocks(verb, rest)
                step.pace_s = float(words[1]) if verb == "stream" else 0.0
                steps.append(step)
                step = Step()
        except (ValueError, IndexError) as error:
            raise ValueError(f"{MARK} {source.strip()}: {error}") from None
    step.blocks = _text("the script is over")
    return [*steps, step]


def _fault(verb: str, words: list[str]) -> Fault:
    status = int(words.pop(0)) if verb == "error" else 0
    options = dict(zip(words[::2], words[1::2], strict=True))
    if unknown := options.keys() - {"times", "retry-after", "resets"}:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    resets = options.get("resets")
    return Fault(
        status,
        int(options.get("times", ALWAYS)),
        options.get("retry-after"),
        cut=verb == "cut",
        resets_in_s=None if resets is None else float(resets),
    )


def _blocks(verb: str, rest: str) -> list[Json]:
    if verb not in STEPS:
        raise ValueError("there is no such step")
    return STEPS[verb](rest)


def _text(words: str) -> list[Json]:
    return [{"type": "text", "text": words}]


def _stream(rest: str) -> list[Json]:
    return _text(" ".join(f"word{n}" for n in range(int(rest.split(maxsplit=1)[0]))))


def _call(name: str, arguments: Json) -> list[Json]:
    return [{"type": "tool_use", "name": name, "input": arguments}]


def _bash(command: str, **more: Any) -> list[Json]:
    return _call("Bash", {"command": command, "description": "a step of the script", **more})


def _write(rest: str) -> list[Json]:
    path, _, words = rest.partition(" ")
    return _call("Write", {"file_path": path, "content": words})


def _tool(rest: str) -> list[Json]:
    name, _, arguments = rest.partition(" ")
    return _call(name, json.loads(arguments or "{}"))


def _todo(rest: str) -> list[Json]:
    todos: list[Json] = []
    for item in rest.split(";"):
        status = {"+": "completed", ">": "in_progress"}.get(item.strip()[:1], "pending")
        words = item.strip().lstrip("+> ")
        todos.append({"content": words, "status": status, "activeForm": words})
    return _call("TodoWrite", {"todos": todos})


def _tasks(rest: str) -> list[Json]:
    subjects = [item.strip() for item in rest.split(";")]
    return [
        block
        for subject in subjects
        for block in _call("TaskCreate", {"subject": subject, "description": subject})
    ]


def _task(rest: str) -> list[Json]:
    task_id, _, status = rest.partition(" ")
    return _call("TaskUpdate", {"taskId": task_id, "status": status})


STEPS: dict[str, Callable[[str], list[Json]]] = {
    "text": _text,
    "stream": _stream,
    "bash": _bash,
    "background": lambda command: _bash(command, run_in_background=True),
    "write": _write,
    "tool": _tool,
    "todo": _todo,
    "tasks": _tasks,
    "task": _task,
}
