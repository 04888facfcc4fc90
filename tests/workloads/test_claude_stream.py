from __future__ import annotations

import json
import pickle
import tracemalloc
from itertools import pairwise
from typing import Any

import pytest
from claude_recordings import (
    AT,
    INIT,
    RESULT,
    RUNS,
    answers,
    asks,
    call,
    exited,
    is_safe,
    known,
    line,
    messages,
    read,
    recorded,
)
from hypothesis import given
from hypothesis import strategies as st

from claudine_mcp.workloads.claude_judge import judge
from claudine_mcp.workloads.claude_state import Phase, StreamState
from claudine_mcp.workloads.claude_stream import LINE_BYTES, RESULT_BYTES, StreamReader, parse
from claudine_mcp.workloads.claude_text import conversation

MEGABYTE = 1024 * 1024
NAMES = sorted(RUNS)
SMALL = ["resume-unknown-session", "sigkill-mid-bash", "sigint-mid-bash", "tool-permission-denied"]


def fed(pieces: list[bytes], *, at: float = AT) -> StreamState:
    reader = StreamReader()
    for piece in pieces:
        reader.feed(piece, at)
    reader.finish(at)
    return reader.state


# -- cuts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_output_that_comes_byte_by_byte_says_what_it_says_as_a_whole(name: str) -> None:
    data = recorded(name)
    assert fed([data[at : at + 1] for at in range(len(data))]) == read(data)


@pytest.mark.parametrize("name", SMALL)
def test_output_that_is_cut_in_two_anywhere_says_what_it_says_as_a_whole(name: str) -> None:
    whole, reader = read(recorded(name)), StreamReader()
    for piece in recorded(name).splitlines(keepends=True):
        before = pickle.dumps(reader)
        rest = recorded(name)[reader.state.bytes_read :]
        for cut in range(0, len(piece), 3):
            torn: StreamReader = pickle.loads(before)
            torn.feed(rest[:cut], AT)
            torn.feed(rest[cut:], AT)
            assert torn.state == whole
        reader.feed(piece, AT)


@pytest.mark.parametrize("name", SMALL)
def test_a_reader_goes_on_from_a_stored_state_as_if_it_had_read_everything(name: str) -> None:
    data, first = recorded(name), StreamReader()
    for cut in range(0, len(data), 37):
        first.feed(data[first.state.bytes_read : cut], AT)
        stored = json.dumps(first.state.to_json())
        state = StreamState.from_json(json.loads(stored))
        assert state is not None
        assert state.offset_bytes <= cut
        assert read(data[state.offset_bytes :], state=state) == read(data)


@given(st.sampled_from(NAMES), st.lists(st.integers(0, 30_000), max_size=8))
def test_where_output_is_cut_makes_no_difference(name: str, cuts: list[int]) -> None:
    data = recorded(name)
    ends = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    assert fed([data[start:end] for start, end in pairwise(ends)]) == read(data)


def test_a_last_line_counts_without_its_newline_once_nothing_more_will_come() -> None:
    reader = StreamReader()
    reader.feed(line(INIT) + line(RESULT).rstrip(b"\n"), AT)
    assert reader.state.results == 0
    assert reader.state.offset_bytes == len(line(INIT))
    reader.finish(AT)
    assert reader.state.results == 1
    assert reader.state.offset_bytes == reader.state.bytes_read


# -- what is no message -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "garbage",
    [
        b"Warning: something that a program has printed",
        b'{"type":"assistant","message":{"id":"msg_9","cont',
        b"null",
        b"[1, 2]",
        b'"text"',
        b"{}}",
        b"\xff\xfe\x00{",
        b"{'type': 'result'}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"type":' + b"9" * 5000 + b"}",
        b"\x00\x00rest of a line whose head was released",
    ],
)
def test_a_line_that_is_no_object_is_counted_and_changes_nothing_else(garbage: bytes) -> None:
    state = read(line(INIT) + garbage + b"\n" + line(RESULT))
    assert state.unreadable_lines == 1
    assert (state.lines, state.results, state.phase) == (2, 1, Phase.RESULT)


@pytest.mark.parametrize("nothing", [b"", b"\n\n", b"\r\n", b"  \n", b"\0\0\0", b"\0\n\0\0\n"])
def test_empty_lines_and_released_ones_are_nothing(nothing: bytes) -> None:
    state = read(line(INIT) + nothing + line(RESULT))
    assert (state.lines, state.unreadable_lines, state.results) == (2, 0, 1)


@pytest.mark.parametrize(
    "message",
    [
        {"type": "surprise", "is_error": False},
        {"type": None},
        {"type": ["result"]},
        {"type": {}},
        {"type": "system"},
        {"type": "system", "subtype": "news"},
        {"type": "system", "subtype": []},
        {"type": "assistant"},
        {"type": "assistant", "message": "text"},
        {"type": "assistant", "message": {"content": {"type": "text"}}},
        {"type": "assistant", "message": {"content": [None, 1, "x", {"type": "tool_use"}]}},
        {"type": "user", "message": {"content": "plain"}},
        {"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": {}}]}},
        {"type": "tool_progress"},
        {"type": "rate_limit_event"},
        {"type": "rate_limit_event", "rate_limit_info": {"status": "rejected", "resetsAt": "tomorrow"}},
        {"type": "control_response", "response": {}},
        {},
    ],
)
def test_a_message_of_an_unknown_kind_or_form_is_read_and_is_no_error(message: dict[str, Any]) -> None:
    state = known(INIT, message)
    assert (state.lines, state.unreadable_lines, state.results) == (2, 0, 0)
    assert StreamState.from_json(json.loads(json.dumps(state.to_json()))) == state


def test_bytes_that_are_no_text_do_not_hide_a_result() -> None:
    state = read(line(INIT) + line(RESULT).replace(b"fine", b"fi\xffne\xed\xa0\x80"))
    assert state.result is not None
    assert state.result.text.startswith("fi\N{REPLACEMENT CHARACTER}ne")


def test_half_a_character_in_a_text_does_not_make_the_state_impossible_to_store() -> None:
    state = known({**RESULT, "result": "a \ud83d b", "errors": ["\udc00"], "terminal_reason": "\ud800"})
    json.dumps(state.to_json(), ensure_ascii=False).encode()


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
real = st.sampled_from([message for name in NAMES for message in messages(name)])


strings = st.text(st.characters(exclude_categories=()))  # with halves of characters


@given(
    st.recursive(junk | strings, lambda inner: st.dictionaries(strings, inner), max_leaves=8), st.booleans()
)
def test_a_line_is_read_as_json_says_it_is(value: Any, is_ascii: bool) -> None:
    written = json.dumps({"a": value}, ensure_ascii=is_ascii).encode(errors="surrogatepass")
    expected = json.loads(written.decode(errors="replace"))
    assert repr(parse(b"\0\0" + written)) == repr(parse(written)) == repr(expected)


@st.composite
def spoilt(draw: st.DrawFn) -> Any:
    """A real message, some of whose values are others."""
    message = json.loads(json.dumps(draw(real)))
    for _ in range(draw(st.integers(0, 4))):
        place: Any = message
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and draw(st.booleans()):
                place = place[key]
                continue
            place[key] = draw(junk | st.just(place[key]))
            break
    return message


@given(st.lists(spoilt(), max_size=12))
def test_whatever_the_fields_hold_nothing_fails_and_everything_can_be_stored_and_told(
    said: list[Any],
) -> None:
    data = b"".join(map(line, said))
    state = read(data)
    stored = json.dumps(state.to_json(), allow_nan=False)
    assert len(stored) < 100_000
    assert StreamState.from_json(json.loads(stored)) == state
    assert is_safe(judge(state, exited(0), stop_reason=None).reason)
    assert all(map(is_safe, conversation(data.split(b"\n"))))


@given(st.lists(st.binary(max_size=200) | real.map(line), max_size=12), st.integers(1, 50))
def test_any_bytes_can_be_read_in_any_pieces(parts: list[bytes], size: int) -> None:
    data = b"\n".join(parts)
    state = fed([data[at : at + size] for at in range(0, len(data), size)])
    assert state == read(data)
    assert state.bytes_read == state.offset_bytes == len(data)
    assert all(map(is_safe, conversation(data.split(b"\n"))))


# -- what is too long -------------------------------------------------------------------------------------


def long_line(head: bytes, tail: bytes, size: int) -> list[bytes]:
    """A line of about `size` bytes in pieces, as they are read from a file."""
    ending = [tail[at : at + 1] for at in range(len(tail))]
    return [head, *[b"x" * MEGABYTE] * (size // MEGABYTE + 1), *ending, b"\n"]


def test_a_line_of_any_length_takes_little_memory() -> None:
    reader = StreamReader()
    filler = b"x" * MEGABYTE
    tracemalloc.start()
    try:
        reader.feed(b'{"type":"user","message":{"content":"', AT)
        for _ in range(3 * RESULT_BYTES // MEGABYTE):
            reader.feed(filler, AT)
        peak_bytes = tracemalloc.get_traced_memory()[1]
        reader.feed(b'"}}\n', AT)
    finally:
        tracemalloc.stop()
    assert peak_bytes < 3 * LINE_BYTES
    assert reader.state.long_lines == 1


def test_a_released_head_of_any_length_is_passed_over() -> None:
    reader = StreamReader()
    for _ in range(32):
        reader.feed(bytes(MEGABYTE), AT)
    assert reader.state.offset_bytes == 32 * MEGABYTE
    reader.feed(line(RESULT), AT)
    assert (reader.state.results, reader.state.unreadable_lines) == (1, 0)


@pytest.mark.parametrize("is_at_the_end", [False, True])
def test_a_line_that_is_too_long_still_says_which_tool_has_answered(is_at_the_end: bool) -> None:
    reader = StreamReader()
    reader.feed(line(INIT) + line(asks(call("t1", "Read"), call("t2", "Bash", command="make"))), AT)
    said = line(answers("t1", "HERE"))
    head, tail = said.strip().split(b"HERE")
    if is_at_the_end:
        head, tail = head.replace(b'"tool_use_id":"t1",', b""), b'","tool_use_id":"t1"}]}}'
    for piece in long_line(head, tail, LINE_BYTES):
        reader.feed(piece, AT)
    assert [tool.id for tool in reader.state.running_tools] == ["t2"]
    assert reader.state.long_lines == 1


def test_a_result_may_be_longer_than_any_other_line() -> None:
    for result in (RESULT, {key: RESULT[key] for key in reversed(RESULT)}):
        whole = line({**result, "result": "x" * (RESULT_BYTES - 1000)})
        pieces = [whole[at : at + MEGABYTE] for at in range(0, len(whole), MEGABYTE)]
        state = fed([line(INIT), *pieces])
        assert (state.results, state.long_lines) == (1, 0)
        assert state.result is not None
        assert len(state.result.text) <= 8000


def test_a_result_that_is_too_long_is_none_and_no_success_follows_from_an_earlier_one() -> None:
    pieces = long_line(b'{"is_error":false,"type":"result","result":"', b'"}', RESULT_BYTES)
    state = fed([line(INIT), line(RESULT), line(INIT), *pieces])
    judgement = judge(state, exited(0), stop_reason=None)
    assert judgement.reason.endswith("1 line of its output could not be read")
    assert judgement.failure == "no_result"


@pytest.mark.parametrize("size", [LINE_BYTES - 10, LINE_BYTES + 10, RESULT_BYTES + 10])
@pytest.mark.parametrize("head", [b'{"type":"user","x":"', b'{"x":"', b"no JSON "])
def test_a_long_line_counts_the_same_in_one_piece_and_in_many(head: bytes, size: int) -> None:
    whole = head + b"x" * (size - len(head) - 2) + b'"}\n' + line(RESULT)
    pieces = [whole[at : at + 700_001] for at in range(0, len(whole), 700_001)]
    assert fed(pieces) == read(whole)


# -- the state --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damaged",
    [None, 1, "x", [], {}, {"version": 0}, {"version": 1, "tools": 1}, {"version": 1, "phase": "dreaming"}],
)
def test_a_stored_state_that_is_damaged_or_of_another_version_is_none(damaged: Any) -> None:
    assert StreamState.from_json(damaged) is None


@pytest.mark.parametrize("name", NAMES)
def test_every_recorded_state_can_be_stored(name: str) -> None:
    state = read(recorded(name))
    assert StreamState.from_json(json.loads(json.dumps(state.to_json()))) == state
