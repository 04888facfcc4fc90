"""Durations, sizes and times: read from what people write, and written for people to read."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

from claudine_mcp.core.errors import InvalidInput

MAX_DURATION_MS = 3650 * 86_400_000
"""Ten years: longer is a slip of the keyboard, and all sums of such numbers still fit 64 bits."""

MAX_SIZE_BYTES = 10**18
"""An exabyte, which fits a signed 64-bit integer."""

_MS = {"ms": 1, "s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_BYTES = {
    "b": 1,
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgt", 1)},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", 1)},
}
# The digits are bounded so that neither Decimal nor int() is handed something absurd.
_QUANTITY = re.compile(r"(-?[0-9]{1,18}(?:\.[0-9]{1,18})?) ?([A-Za-z]*)")
_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,18}))?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN_CHARS = 60
_LEAP_SECOND = 60

_DURATION_FORM = 'Write a duration as "30s", "10m", "2h" or "1d", or as a number of milliseconds.'
_SIZE_FORM = 'Write a size as "2GB" (10^9), "512MiB" (2^20), or as a number of bytes.'
_TIME_FORM = 'Write a time as "2026-01-31T09:30:00Z" or "2026-01-31T10:30:00+01:00".'


def printable(text: str) -> str:
    """Write control characters, lone surrogates and the like as escapes, so that no terminal obeys them."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def whole_text(text: str, field: str) -> str:
    """Give a text that can be stored and sent.

    Raises:
        InvalidInput: it has halves of characters (lone surrogates), which is also how bytes come that are no UTF-8.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = ascii(text[error.start])[1:-1]
        raise InvalidInput(
            field, f"character {error.start + 1} ({half}) is no whole character", "Give text in UTF-8."
        ) from error
    return text


def describe(value: object) -> str:
    """Show a value of JSON in an error: short whatever its size, and safe for a terminal."""
    if isinstance(value, str):
        shown = printable(value[:_SHOWN_CHARS])
        return f'"{shown}"' if len(value) <= _SHOWN_CHARS else f'"{shown}…"'
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and abs(value) > MAX_SIZE_BYTES:
        return "a number beyond 10^18"  # repr() itself refuses integers of thousands of digits
    if isinstance(value, int | float):
        return repr(value)
    kind = type(value).__name__
    return {"dict": "an object", "list": "a list", "tuple": "a list"}.get(kind, f"a {kind}")


def _quantity(
    value: object, field: str, units: dict[str, int], form: str, *, any_case: bool = False
) -> tuple[Decimal, bool]:
    """Give the amount in the smallest unit, and whether it came without a unit."""
    if isinstance(value, str):
        match = _QUANTITY.fullmatch(value.strip())
        if match is None:
            raise InvalidInput(field, f"{describe(value)} cannot be understood", form)
        number, unit = match.groups()
        factor = units.get(unit.lower() if any_case else unit) if unit else 1
        if factor is None:
            raise InvalidInput(field, f"{describe(value)} has an unknown unit, {describe(unit)}", form)
        amount, bare = Decimal(number) * factor, not unit
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(field, f"{describe(value)} cannot be understood", form)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InvalidInput(field, f"{describe(value)} is not a number that can be used", form)
    else:
        amount, bare = Decimal(value), True
    if amount < 0:
        raise InvalidInput(field, f"{describe(value)} is negative", form)
    return amount, bare


def parse_duration_ms(
    value: object, field: str, *, minimum: int = 1, suspicious: bool = True, likely_unit: str = "s"
) -> int:
    """Read a duration.

    Args:
        value: milliseconds (a number, or its digits), or a string with one of ms, s, m, min, h, d.
        field: the parameter or key, as its user spells it.
        minimum: the least that makes sense, in ms; 0 where zero does.
        suspicious: whether a bare number under 1000 is refused, since most who write 300 mean seconds.
        likely_unit: what such a number probably meant.

    Returns:
        Whole milliseconds, from `minimum` to `MAX_DURATION_MS`.

    Raises:
        InvalidInput: it is none of these.
    """
    amount, bare = _quantity(value, field, _MS, _DURATION_FORM)
    if suspicious and bare and 0 < amount < _MS["s"]:
        number = str(value).strip()
        likely = round(amount * _MS[likely_unit])
        raise InvalidInput(
            field,
            f"{number} means {number} milliseconds",
            f'Did you mean "{number}{likely_unit}" or {likely}? If it is milliseconds, write "{number}ms".',
        )
    if amount > MAX_DURATION_MS:
        raise InvalidInput(field, f"{describe(value)} is more than ten years", _DURATION_FORM)
    duration_ms = round(amount)
    if duration_ms < minimum:
        least = "more than zero" if minimum == 1 else f"at least {human_duration(minimum / 1000)}"
        raise InvalidInput(field, f"{describe(value)} is too short; it must be {least}", _DURATION_FORM)
    return duration_ms


def parse_size_bytes(value: object, field: str, *, minimum: int = 1) -> int:
    """Read a size.

    Args:
        value: bytes (a whole number, or its digits), or a string with one of B, KB, MB, GB, TB (powers of
            1000) or KiB, MiB, GiB, TiB (powers of 1024), in any case.
        field: the parameter or key, as its user spells it.
        minimum: the least that makes sense, in bytes.

    Returns:
        Whole bytes, from `minimum` to `MAX_SIZE_BYTES`.

    Raises:
        InvalidInput: it is none of these.
    """
    amount, bare = _quantity(value, field, _BYTES, _SIZE_FORM, any_case=True)
    if amount > MAX_SIZE_BYTES:
        raise InvalidInput(field, f"{describe(value)} is more than an exabyte", _SIZE_FORM)
    if bare and amount % 1:
        raise InvalidInput(field, f"{describe(value)} is not a whole number of bytes", _SIZE_FORM)
    size_bytes = round(amount)
    if size_bytes < minimum:
        means = f" ({human_size(size_bytes)})" if bare and size_bytes else ""
        least = "more than zero" if minimum == 1 else f"at least {human_size(minimum)}"
        raise InvalidInput(field, f"{describe(value)}{means} is too small; it must be {least}", _SIZE_FORM)
    return size_bytes


def parse_time(value: object, field: str) -> float:
    """Read a point in time written as RFC 3339 with its zone; give seconds since 1970-01-01 UTC.

    A leap second is the second that follows it, as in POSIX time.

    Raises:
        InvalidInput: it is not such a time, or no date of the calendar, or has no zone.
    """
    match = _RFC3339.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise InvalidInput(field, f"{describe(value)} is not a time", _TIME_FORM)
    *parts, fraction, zone = match.groups()
    if zone is None:
        raise InvalidInput(field, f"{describe(value)} has no time zone", _TIME_FORM)
    year, month, day, hour, minute, second = map(int, parts)
    leap = second == _LEAP_SECOND
    try:
        when = datetime(year, month, day, hour, minute, second - leap, tzinfo=_zone(zone))
    except ValueError as error:
        raise InvalidInput(field, f"{describe(value)} is not a time: {error}", _TIME_FORM) from None
    return (when - _EPOCH).total_seconds() + leap + (float(f"0.{fraction}") if fraction else 0.0)


def _zone(text: str) -> timezone:
    if text in "Zz":
        return UTC
    hours, minutes = int(text[1:3]), int(text[4:6])
    if hours > 23 or minutes > 59:  # noqa: PLR2004 - a clock's
        raise ValueError("its zone must be within 23:59 of UTC")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)


def format_time(epoch_s: float) -> str:
    """Write seconds since 1970-01-01 UTC as RFC 3339 in UTC, to the millisecond.

    Raises:
        InvalidInput: it lies outside the years 1 to 9999, or is no number.
    """
    try:
        when = _EPOCH + timedelta(milliseconds=round(epoch_s * 1000))
    except (OverflowError, ValueError):
        raise InvalidInput("time", f"{describe(epoch_s)} is no time of the years 1 to 9999") from None
    return when.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def human_duration(seconds: float) -> str:
    """Write a duration for a person: "45 ms", "3.2 s", "6 min 12 s", "2 h 5 min", "3 d 4 h".

    What is no number, or endless, is "unknown": a display must not fail.
    """
    if not math.isfinite(seconds):
        return "unknown"
    shown = _positive_duration(abs(seconds))
    return f"-{shown}" if seconds < 0 and shown != "0 ms" else shown


def _positive_duration(seconds: float) -> str:
    if seconds < 1 and round(seconds * 1000) < 1000:  # noqa: PLR2004 - ms in a second
        return f"{round(seconds * 1000)} ms"
    if round(seconds, 1) < 10:  # noqa: PLR2004 - from here on a tenth tells nothing
        return f"{round(seconds, 1):g} s"
    # Two units are enough. Each row rounds to its smaller unit first, so that 59.7 s is never "60 s".
    whole, minutes = round(seconds), round(seconds / 60)
    if whole < 3600:  # noqa: PLR2004 - seconds in an hour
        return _pair(whole, 60, "min", "s")
    if minutes < 24 * 60:
        return _pair(minutes, 60, "h", "min")
    return _pair(round(seconds / 3600), 24, "d", "h")


def _pair(count: int, per: int, large: str, small: str) -> str:
    many, rest = divmod(count, per)
    parts = ([f"{many} {large}"] if many else []) + ([f"{rest} {small}"] if rest else [])
    return " ".join(parts)


def human_size(size_bytes: float) -> str:
    """Write a size for a person, in powers of 1000: "512 B", "1.4 GB", "250 MB", "-3 MB".

    What is no number, or endless, is "unknown": a display must not fail.
    """
    if not math.isfinite(size_bytes):
        return "unknown"
    amount = shown = abs(round(size_bytes))
    sign = "-" if amount and size_bytes < 0 else ""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        shown = round(amount, 1) if amount < 100 else round(amount)  # noqa: PLR2004 - three digits at most
        if shown < 1000 or unit == "TB":  # noqa: PLR2004 - the next unit
            break
        amount /= 1000
    return f"{sign}{shown:.15g} {unit}"
