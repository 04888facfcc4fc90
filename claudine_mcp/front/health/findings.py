"""What an examination finds: one sentence each, and how to mend what is wrong."""

from __future__ import annotations

from enum import StrEnum

from claudine_mcp.front.views import View


class Verdict(StrEnum):
    """How bad it is. Only a problem keeps tasks from working."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(View):
    """One thing that was looked at.

    Attributes:
        check: what was looked at, in a word or two.
        verdict: how it is.
        what: a sentence.
        mend: what to do about it, None if nothing needs to be or can be done.
    """

    check: str
    verdict: Verdict
    what: str
    mend: str | None = None


def ok(check: str, what: str, mend: str | None = None) -> Finding:
    """Nothing is wrong; `mend` may say what would be better still."""
    return Finding(check=check, verdict=Verdict.OK, what=what, mend=mend)


def warning(check: str, what: str, mend: str) -> Finding:
    """Something will, or may, go wrong."""
    return Finding(check=check, verdict=Verdict.WARNING, what=what, mend=mend)


def problem(check: str, what: str, mend: str) -> Finding:
    """Something does not work."""
    return Finding(check=check, verdict=Verdict.PROBLEM, what=what, mend=mend)


def plural(count: int, noun: str, many: str | None = None) -> str:
    """Give "1 process", "2 processes"."""
    return f"{count} {noun if count == 1 else many or noun + 's'}"
