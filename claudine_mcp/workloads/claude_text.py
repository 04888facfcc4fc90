"""Claude Code's stream-json output as a conversation that a person can read, safe for any terminal.

    ⏺ what Claude says          ⏺ Bash(what it calls)         ⎿ the beginning of what came of it
    > what it is told           ✻ what it thinks              ↻ a request that is sent again
    ⊘ what was not permitted    ■ how a turn ended            ● ◌ ◷ ⚙ what else is worth knowing

What subagents do is set in from the margin by a bar.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from claudine_mcp.core.models import JSON
from claudine_mcp.core.terminal import render_line
from claudine_mcp.core.units import human_duration
from claudine_mcp.workloads import claude_fields as fields
from claudine_mcp.workloads.claude_events import fold
from claudine_mcp.workloads.claude_failures import describe_failure, of_status, until_reset
from claudine_mcp.workloads.claude_result import end_turn, read_result
from claudine_mcp.workloads.claude_state import StreamState
from claudine_mcp.workloads.claude_stream import RESULT_BYTES, is_stream_event, parse

TEXT_LINES: Final = 1000
"""How many lines of one text are shown; an answer of 128,000 tokens may have more."""

PROMPT_LINES: Final = 10
NOTE_CHARS: Final = 300
ANSWER_CHARS: Final = 160
SEEN_CHARS: Final = 10_000

_MOST_KNOWN: Final = 100  # what a narrator remembers of each kind

_BAR: Final = "  │ "
_NOTICES: Final = frozenset(
    {"informational", "model_fallback", "model_refusal_fallback", "model_refusal_no_fallback"}
)


def conversation(lines: Iterable[bytes]) -> Iterator[str]:
    """Tell what lines of stream-json output say. Never raises.

    Args:
        lines: with or without their newlines, beginning anywhere; a line may be torn or no JSON at all.

    Yields:
        Lines of text without control characters, each at most 2000 characters and a margin long.
    """
    narrator = Narrator()
    for line in lines:
        yield from narrator.tell(line)


class Narrator:
    """Tells the lines of one run, one after the other."""

    def __init__(self) -> None:
        self._state = StreamState()
        self._session = ""
        self._calls: dict[str, int] = {}  # how many tools were called together, by their message
        self._foreground: dict[str, None] = {}  # jobs whose end is told as that of a tool

    def tell(self, line: bytes) -> list[str]:
        """Give the lines of text that a line of output amounts to; often there are none."""
        if is_stream_event(line) or not line.strip(b"\0 \t\r\n"):
            return []
        message = parse(line) if len(line) <= RESULT_BYTES else None
        if message is None:
            return [_unreadable(line)]
        told = list(self._tell(message))
        fold(self._state, message, 0.0)
        for known in (self._calls, self._foreground):
            while len(known) > _MOST_KNOWN:
                del known[next(iter(known))]
        return [_BAR + line for line in told] if message.get("parent_tool_use_id") else told

    def _tell(self, message: JSON) -> Iterator[str]:
        match message.get("type"):
            case "assistant":
                yield from self._assistant(message)
            case "user":
                yield from self._user(message)
            case "result":
                yield self._result(message)
            case "system":
                yield from self._system(message)
            case "rate_limit_event":
                yield from self._rate_limit(message)
            case _:
                return

    def _assistant(self, message: JSON) -> Iterator[str]:
        answer = fields.mapping(message.get("message"))
        for item in fields.items(answer.get("content")):
            block = fields.mapping(item)
            match block.get("type"):
                case "text":
                    yield from _marked("⏺ ", block.get("text"))
                case "thinking":
                    if thought := fields.one_line(block.get("thinking"), NOTE_CHARS):
                        yield f"✻ {thought}"
                case "tool_use":
                    message_id = fields.word(answer.get("id"))
                    self._calls[message_id] = self._calls.get(message_id, 0) + 1
                    yield f"⏺ {fields.word(block.get('name'))}({fields.tool_summary(block.get('input'))})"
                case _:
                    continue

    def _user(self, message: JSON) -> Iterator[str]:
        content = fields.mapping(message.get("message")).get("content")
        if isinstance(content, str):
            yield from _marked("> ", content, PROMPT_LINES)
        for item in fields.items(content):
            block = fields.mapping(item)
            match block.get("type"):
                case "text":
                    yield from _marked("> ", block.get("text"), PROMPT_LINES)
                case "tool_result":
                    yield self._tool_result(block)
                case _:
                    continue

    def _tool_result(self, block: JSON) -> str:
        call = self._state.tools.get(fields.word(block.get("tool_use_id")))
        is_one_of_several = call is not None and self._calls.get(call.message_id, 0) > 1
        label = f"{call.label}: " if call and is_one_of_several else ""
        failed = "✘ " if block.get("is_error") is True else ""
        return f"  ⎿ {label}{failed}{_beginning(block.get('content'))}"

    def _system(self, message: JSON) -> Iterator[str]:
        subtype = message.get("subtype")
        match subtype:
            case "init":
                yield from self._init(message)
            case "api_retry":
                yield _retry(message)
            case "permission_denied":
                call = self._state.tools.get(fields.word(message.get("tool_use_id")))
                tool = call.label if call else fields.word(message.get("tool_name"))
                yield f"⊘ not permitted: {tool}: {fields.one_line(message.get('message'), NOTE_CHARS)}"
            case "task_started" if message.get("is_backgrounded") is not True:
                self._foreground[fields.word(message.get("task_id"))] = None
            case "task_started":
                yield f"⚙ in the background: {fields.one_line(message.get('description'), NOTE_CHARS)}"
            case "task_notification" if fields.word(message.get("task_id")) not in self._foreground:
                status, told = fields.word(message.get("status")), message.get("summary")
                yield f"⚙ {status} in the background: {fields.one_line(told, NOTE_CHARS)}"
            case "status" if message.get("status") == "compacting":
                yield "◌ compacting the conversation"
            case str() if subtype in _NOTICES:
                if notice := fields.one_line(message.get("content"), NOTE_CHARS):
                    yield f"◌ {notice}"
            case _:
                return

    def _init(self, message: JSON) -> Iterator[str]:
        session = fields.word(message.get("session_id"))
        if session == self._session:
            return  # it is printed again at the beginning of each turn
        self._session = session
        version, model = fields.word(message.get("claude_code_version")), fields.word(message.get("model"))
        cwd, mode = (
            fields.one_line(message.get("cwd"), NOTE_CHARS),
            fields.word(message.get("permissionMode")),
        )
        yield f"● Claude Code {version}, {model}, in {cwd}, permissions: {mode}, session {session}"

    def _rate_limit(self, message: JSON) -> Iterator[str]:
        after = StreamState()
        fold(after, message, 0.0)
        if after.rate_limit:
            yield f"◷ the usage limit {after.rate_limit.kind} is reached{until_reset(after.rate_limit)}"

    def _result(self, message: JSON) -> str:
        turn = StreamState()
        end_turn(turn, message)
        result, spent_usd = read_result(message, 0.0), turn.run_cost_usd
        described = describe_failure(
            result,
            retries=self._state.retries,
            rate_limit=self._state.rate_limit,
            last_tool=self._state.last_tool,
            spent_usd=spent_usd,
        )
        facts: list[str] = []
        if result.num_turns:
            facts.append(f"{result.num_turns} turn{'' if result.num_turns == 1 else 's'}")
        if result.duration_s:
            facts.append(human_duration(result.duration_s))
        if spent_usd:
            facts.append(f"${spent_usd:.4g}")
        if turn.denial_count:
            facts.append(f"{turn.denial_count} not permitted")
        told = ", ".join(facts)
        outcome = f"failed: {described[1]}" if described else "done"
        return f"■ {outcome}{f' ({told})' if told else ''}"


def _marked(mark: str, text: Any, most_lines: int = TEXT_LINES) -> Iterator[str]:
    """A text behind a mark, its further lines below the first."""
    if not isinstance(text, str):
        return
    lines = text.strip("\r\n").split("\n")
    margin = mark
    for line in lines[:most_lines]:
        shown = render_line(line.encode(errors="surrogatepass"))
        if shown or margin != mark:
            yield f"{margin}{shown}".rstrip()
            margin = " " * len(mark)
    if len(lines) > most_lines:
        yield f"{margin}… ({len(lines) - most_lines:,} more lines)"


def _beginning(content: Any) -> str:
    """The first line of what a tool has answered, and how many there are."""
    text = fields.whole_text(content).strip("\r\n")
    count = text.count("\n") + 1
    line = text.lstrip().partition("\n")[0][:SEEN_CHARS]
    first = fields.cut(render_line(line.encode(errors="surrogatepass")), ANSWER_CHARS)
    return f"{first} ({count:,} lines)" if count > 1 else first or "(no output)"


def _retry(message: JSON) -> str:
    status, delay_ms = (
        fields.integer(message.get("error_status")),
        fields.number(message.get("retry_delay_ms")),
    )
    failed = "has not answered" if status is None else f"answered {status} ({of_status(status)[1]})"
    attempt, most = fields.count(message.get("attempt")), fields.count(message.get("max_retries"))
    return f"↻ the API {failed}: retry {attempt} of {most} in {human_duration((delay_ms or 0.0) / 1000)}"


def _unreadable(line: bytes) -> str:
    """A line that is not of the stream: what a program has printed, or a piece of a line of it."""
    if line.lstrip(b"\0 ").startswith(b"{"):
        return f"[{len(line):,} bytes that could not be read]"
    return render_line(line)
