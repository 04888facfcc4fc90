"""What kind of failure a result of Claude Code tells of, and what it was in the words of a person."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from claudine_mcp.core.errors import InvalidInput
from claudine_mcp.core.units import format_time
from claudine_mcp.workloads.claude_fields import one_line
from claudine_mcp.workloads.claude_state import RateLimit, Result

REASON_CHARS: Final = 300
"""How much of an error's own words, or of stderr, a reason takes over."""

_IN_BRACKETS: Final = re.compile(r"\(([^()]{1,40})\)\s*$")
_SESSION: Final = re.compile(r"No conversation found with session ID: (\S{1,100})")
_OVERLOADED: Final = 529
_SERVER_ERRORS: Final = 500  # and what is above


class Failure(StrEnum):
    """What kind of failure a run has ended with, for whoever decides what to do about it."""

    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    RATE_LIMITED = "rate_limited"
    NETWORK = "network"
    AUTH = "auth"
    BILLING = "billing"
    BAD_REQUEST = "bad_request"
    MAX_TURNS = "max_turns"
    MAX_BUDGET = "max_budget"
    UNKNOWN_SESSION = "unknown_session"
    INTERRUPTED = "interrupted"
    KILLED = "killed"
    NO_RESULT = "no_result"
    OTHER = "other"

    @property
    def may_pass(self) -> bool:
        """Whether the same may work later without anybody doing anything."""
        return self in {Failure.OVERLOADED, Failure.SERVER_ERROR, Failure.RATE_LIMITED, Failure.NETWORK}


# By the status of an answer: RFC 9110, and 529, which is the API's own.
_STATUS: Final[dict[int, tuple[Failure, str]]] = {
    400: (Failure.BAD_REQUEST, "bad request"),
    401: (Failure.AUTH, "not authenticated"),
    402: (Failure.BILLING, "payment required"),
    403: (Failure.AUTH, "not permitted"),
    404: (Failure.BAD_REQUEST, "not found"),
    408: (Failure.NETWORK, "timed out"),
    413: (Failure.BAD_REQUEST, "request too large"),
    429: (Failure.RATE_LIMITED, "rate limit"),
    500: (Failure.SERVER_ERROR, "server error"),
    502: (Failure.SERVER_ERROR, "bad gateway"),
    503: (Failure.SERVER_ERROR, "unavailable"),
    504: (Failure.SERVER_ERROR, "gateway timed out"),
    _OVERLOADED: (Failure.OVERLOADED, "overloaded"),
}

# By `error.type` of an answer (the API's reference, "Errors"), since a gateway may give another status.
_ERROR_TYPES: Final = {
    "overloaded_error": Failure.OVERLOADED,
    "rate_limit_error": Failure.RATE_LIMITED,
    "authentication_error": Failure.AUTH,
    "billing_error": Failure.BILLING,
}

# By Claude Code's own names (`api_error` in the schema of 2.1.328), where there is no status.
_API_ERRORS: Final = {
    "connection_failed": Failure.NETWORK,
    "no_response": Failure.NETWORK,
    "stream_idle_timeout": Failure.NETWORK,
    "computer_slept": Failure.NETWORK,
    "tls_untrusted_ca": Failure.NETWORK,
    "tls_cert_signature_failure": Failure.NETWORK,
    "gateway_content_type": Failure.NETWORK,
    "network_edge_blocked": Failure.NETWORK,
    "stored_login_refused": Failure.AUTH,
    "provider_credentials": Failure.AUTH,
    "gateway_signin_required": Failure.AUTH,
    "gateway_session_expired": Failure.AUTH,
    "api_key_auth_disabled": Failure.AUTH,
    "org_disabled_credential": Failure.AUTH,
    "invalid_credential_header": Failure.AUTH,
    "usage_limit_reached": Failure.RATE_LIMITED,
    "model_requires_usage_credits": Failure.BILLING,
    "long_context_credits_required": Failure.BILLING,
}


# By what an `assistant` line that tells of an API error calls it (`error` in the schema of 2.1.328).
_ERRORS: Final = {
    "authentication_failed": Failure.AUTH,
    "oauth_org_not_allowed": Failure.AUTH,
    "account_on_hold": Failure.AUTH,
    "verification_required": Failure.AUTH,
    "cloud_credential_error": Failure.AUTH,
    "billing_error": Failure.BILLING,
    "rate_limit": Failure.RATE_LIMITED,
    "overloaded": Failure.OVERLOADED,
    "invalid_request": Failure.BAD_REQUEST,
    "model_not_found": Failure.BAD_REQUEST,
    "server_error": Failure.SERVER_ERROR,
}

FINISHED: Final = frozenset({"", "completed", "stop_hook_prevented"})
"""What `terminal_reason` says of a turn that came to its own end; older versions say nothing.

With the last a hook of the user's that is asked whether Claude may stop has said that it must. That is after the
answer, so nothing is missing.
"""

UNFINISHED: Final = {
    "aborted_streaming": (Failure.INTERRUPTED, "it was interrupted while the model answered"),
    "aborted_tools": (Failure.INTERRUPTED, "it was interrupted"),
    "background_requested": (Failure.INTERRUPTED, "its turn was moved to the background"),
    "hook_stopped": (Failure.INTERRUPTED, "a hook stopped it"),
    "tool_deferred": (Failure.INTERRUPTED, "a hook has put off a call of a tool"),
    "tool_deferred_unavailable": (Failure.OTHER, "a hook has put off a call of a tool that there is no more"),
    "max_turns": (Failure.MAX_TURNS, "max turns reached"),
    "budget_exhausted": (Failure.MAX_BUDGET, "budget exceeded"),
    "blocking_limit": (Failure.BAD_REQUEST, "the conversation is too long for the model"),
    "prompt_too_long": (Failure.BAD_REQUEST, "the conversation is too long for the model"),
    "rapid_refill_breaker": (
        Failure.BAD_REQUEST,
        "the conversation is too long again as soon as it is compacted",
    ),
    "image_error": (Failure.BAD_REQUEST, "a picture in the conversation is refused"),
    "malformed_tool_use_exhausted": (Failure.OTHER, "the model's calls of tools could not be read"),
    "structured_output_retry_exhausted": (
        Failure.OTHER,
        "the model did not answer in the form that was asked for",
    ),
    "turn_setup_failed": (Failure.OTHER, "its turn could not be begun"),
    "model_error": (Failure.OTHER, "the model could not answer"),
    "api_error": (Failure.OTHER, "the API failed"),
}
"""All other values of `terminal_reason` in 2.1.328. Most come with `is_error: true`; those of a turn that was
stopped by a hook, by an urgent message or by the user can come with `subtype: success` and `is_error: false`."""


def of_status(status: int) -> tuple[Failure, str]:
    """The kind of failure that an HTTP status tells of, and its name in words."""
    other = (Failure.SERVER_ERROR, "server error") if status >= _SERVER_ERRORS else None
    return _STATUS.get(status) or other or (Failure.BAD_REQUEST, "refused")


def until_reset(limit: RateLimit | None) -> str:
    """When a limit ends, to be put behind what waits for it; "" if that is not known."""
    if limit is None or limit.resets_at is None:
        return ""
    try:
        return f" (the limit resets at {format_time(limit.resets_at)})"
    except InvalidInput:
        return ""


def describe_failure(
    result: Result,
    *,
    retries: int = 0,
    rate_limit: RateLimit | None = None,
    last_tool: str = "",
    spent_usd: float | None = None,
) -> tuple[Failure, str] | None:
    """Say what kind of failure a result tells of, and what it was, in one line that is safe for a terminal.

    Args:
        result: the result.
        retries: how often the last request had been sent again.
        rate_limit: the limit that was in force.
        last_tool: the label of the tool that was called or has answered last.
        spent_usd: what the run has cost.

    Returns:
        None if it tells of none.
    """
    told = one_line(result.text or "; ".join(result.errors), REASON_CHARS)
    session = _SESSION.search(told)
    if result.subtype == "error_max_turns":
        return Failure.MAX_TURNS, f"max turns{_limit(result, ' ({})')} reached"
    if result.subtype == "error_max_budget_usd":
        spent = "" if spent_usd is None else f": it had spent ${spent_usd:.4g}"
        return Failure.MAX_BUDGET, f"budget{_limit(result, ' of {}')} exceeded{spent}"
    if result.is_error is not False and session:
        return (
            Failure.UNKNOWN_SESSION,
            f"the session {session[1]} does not exist; a fresh retry begins another",
        )
    if result.is_interrupted or result.terminal_reason.startswith("aborted"):
        is_tool = result.terminal_reason == "aborted_tools" and last_tool
        at = f"it ran {last_tool}" if is_tool else "the model answered"
        return Failure.INTERRUPTED, f"it was interrupted while {at}"
    if result.is_error is not False:
        return _of_api(result, told, retries, rate_limit)
    return None if result.terminal_reason in FINISHED else _of_unfinished(result, last_tool)


def _of_unfinished(result: Result, last_tool: str) -> tuple[Failure, str]:
    """A turn that is called a success and did not come to its end."""
    reason = result.terminal_reason
    unknown = Failure.OTHER, f"its turn ended with {reason!r}, which is not known to be a success"
    failure, words = UNFINISHED.get(reason, unknown)
    after = f", after {last_tool}" if last_tool and reason in {"hook_stopped", "tool_deferred"} else ""
    return failure, f"{words}{after}"


def _of_api(result: Result, told: str, retries: int, limit: RateLimit | None) -> tuple[Failure, str]:
    failure = _ERROR_TYPES.get(result.api_error_type) or _API_ERRORS.get(result.api_error)
    told = told.removeprefix("API Error: ")
    status = result.api_error_status
    if status is None:
        other, _ = UNFINISHED.get(result.terminal_reason, (Failure.OTHER, ""))
        return _without_status(failure or _ERRORS.get(result.error) or other, result, told, retries, limit)
    by_status, words = of_status(status)
    failure = failure or by_status
    until = until_reset(limit) if failure is Failure.RATE_LIMITED else ""
    # Of an overload there is nothing more to say.
    why = f": {told.removeprefix(f'{status} ')}" if told and status != _OVERLOADED else ""
    return failure, f"the API answered {status} ({words}){_gave_up(failure, retries)}{until}{why}"


def _without_status(
    failure: Failure, result: Result, told: str, retries: int, limit: RateLimit | None
) -> tuple[Failure, str]:
    why = told or result.terminal_reason or result.subtype or "it does not say why"
    if failure is Failure.NETWORK:
        return failure, f"the API could not be reached{_gave_up(failure, retries)}: {why}"
    if failure is Failure.RATE_LIMITED:
        return failure, f"a usage limit is reached{until_reset(limit)}: {why}"
    if failure is Failure.AUTH:
        return failure, f"Claude Code could not authenticate: {why}"
    if result.is_error is None:
        return failure, f"its result does not say whether it is a success: {why}"
    return failure, f"Claude Code reports an error: {why}"


def _gave_up(failure: Failure, retries: int) -> str:
    if not retries:
        return " and Claude Code gave up at once" if failure.may_pass else ""
    return f" and Claude Code gave up after {retries} {'retry' if retries == 1 else 'retries'}"


def _limit(result: Result, form: str) -> str:
    found = _IN_BRACKETS.search(result.errors[0]) if result.errors else None
    return form.format(one_line(found[1])) if found else ""
