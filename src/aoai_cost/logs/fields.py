"""One field of a record: a text, a count, a time, a usage object. What cannot be read exactly raises `RowError`.

Reasons name the field and never its value: a log line may hold a prompt anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ..catalog import is_fine_tuned, split_model_name
from .schema import RowError, Tokens

__all__ = [
    "EARLIEST_US",
    "LATEST_US",
    "needed_id",
    "needed_time_us",
    "served_model",
    "to_count",
    "to_duration_ms",
    "to_flag",
    "to_status",
    "to_text",
    "to_timestamp_us",
    "to_tokens",
    "to_whole",
]

LONGEST_TEXT = 2_000
LARGEST_COUNT = 10**12
"""Above this a count is damage, and a sum of such counts could leave int64."""

_LARGEST_EXACT = 2**53
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
# The service opened in 2021; a time far outside its life is damage, and would stretch a report over centuries.
EARLIEST_US = (datetime(2015, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND
LATEST_US = (datetime(2100, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND


def to_text(value: Any, name: str) -> str | None:
    """Return a name as it stands; None where it is absent or empty."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise RowError(f"{name} must be a text, found {_type(value)}")
    if len(value) > LONGEST_TEXT:
        raise RowError(f"{name} is longer than {LONGEST_TEXT:,} characters")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise RowError(f"{name} is not valid Unicode") from None
    return value


def needed_id(value: Any, name: str) -> str:
    """Return the name that rows of one call share, without which a row could not be told from a copy of itself."""
    found = to_text(value, name)
    if found is None:
        raise RowError(f"{name} is absent: the row can be joined to nothing, nor told from a duplicate")
    return found


def served_model(name: str | None, version: str | None = None) -> tuple[str | None, str | None]:
    """Return the model and version that served a call; a version beside the name goes before one within it.

    The name of a fine-tuned model stays whole: its prices are its own, and its base model's must not answer.
    """
    if name is None:
        return None, version
    if is_fine_tuned(name):
        return name, None
    model, named_version = split_model_name(name)
    return model, version or named_version


def to_count(value: Any, name: str) -> int | None:
    """Return a count written as an integer, a text of digits, or an array of either, which is summed."""
    if type(value) is int:
        if 0 <= value <= LARGEST_COUNT:
            return value
        raise RowError(f"{name} is negative" if value < 0 else f"{name} is larger than {LARGEST_COUNT:,}")
    if value is None or value == "":
        return None
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit() and len(value) <= 20):
            raise RowError(f"{name} must be a whole number of at least 0, found another text")
        return to_count(int(value), name)
    if isinstance(value, list):
        parts = [to_count(one, name) for one in value if not isinstance(one, list)]
        if len(parts) != len(value) or None in parts:
            raise RowError(f"{name} must be an array of whole numbers")
        return to_count(sum(part for part in parts if part is not None), name) if parts else None
    raise RowError(f"{name} must be a whole number, found {_type(value)}")


def to_whole(value: Any, name: str) -> int | None:
    """Return a count that a source of sums writes as a number with a point: 120.0 is 120."""
    if isinstance(value, float):
        if not value.is_integer() or abs(value) > _LARGEST_EXACT:
            raise RowError(f"{name} is not a whole number, or too large to be exact")
        value = int(value)
    elif isinstance(value, str):
        whole, _, rest = value.partition(".")
        value = value if rest.strip("0") else whole
    return to_count(value, name)


def to_timestamp_us(value: Any, name: str) -> int | None:
    """Return microseconds since 1970 from ISO 8601 (UTC where it has no offset) or from epoch seconds."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        found = _from_digits(value) if value.isdigit() else _from_iso(value)
    elif type(value) is int:
        found = value * 1_000_000
    elif isinstance(value, float) and math.isfinite(value):
        # Whole seconds first: their microseconds are beyond what a float holds exactly.
        whole = math.floor(value)
        found = whole * 1_000_000 + int((value - whole) * 1_000_000)
    else:
        found = None
    if found is None:
        raise RowError(f"{name} is not a time")
    if not EARLIEST_US <= found < LATEST_US:
        raise RowError(f"{name} is not between the years 2015 and 2100")
    return found


def needed_time_us(value: Any, name: str) -> int:
    """Return the time of a row that must have one, as `to_timestamp_us` reads it."""
    found = to_timestamp_us(value, name)
    if found is None:
        raise RowError(f"{name} is absent")
    return found


def _from_digits(value: str) -> int | None:
    return int(value) * 1_000_000 if value.isascii() and len(value) <= 12 else None


def _from_iso(value: str) -> int | None:
    # fromisoformat also takes week dates, bare days and basic form; a log that writes these is read wrongly sooner or
    # later, so only the extended form counts. It drops digits after the sixth of a fraction: exact in microseconds.
    if len(value) < 19 or len(value) > 40 or value[4] != "-" or value[10] not in "Tt " or value[13] != ":":
        return None
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        return None
    since = when - (_EPOCH if when.tzinfo is not None else _NAIVE_EPOCH)
    return since.days * 86_400_000_000 + since.seconds * 1_000_000 + since.microseconds


def to_status(value: Any) -> int | None:
    """Return an HTTP status written as a number or a text; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599:
        return value
    return None


def to_duration_ms(value: Any) -> float | None:
    """Return a duration, which may be negative as the service writes it; None for anything that is not a number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def to_flag(value: Any) -> bool | None:
    """Return a truth value written as such or as a text, as the command line of Azure prints it."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None


def to_tokens(usage: Mapping[str, Any]) -> Tokens:
    """Return the counts of a ``usage`` object of the service, of whatever API."""
    into = _details(usage, "prompt_tokens_details", "input_tokens_details", "input_token_details")
    cached = _details(into, "cached_tokens_details")
    out = _details(usage, "completion_tokens_details", "output_tokens_details", "output_token_details")

    def total(*names: str) -> int | None:
        name = next((one for one in names if usage.get(one) is not None), names[0])
        return to_count(usage.get(name), name)

    def inside(details: Mapping[str, Any], name: str) -> int | None:
        return to_count(details.get(name), name)

    return Tokens(
        prompt_tokens=total("prompt_tokens", "input_tokens"),
        cached_tokens=inside(into, "cached_tokens"),
        cache_write_tokens=inside(into, "cache_write_tokens"),
        completion_tokens=total("completion_tokens", "output_tokens"),
        reasoning_tokens=inside(out, "reasoning_tokens"),
        audio_in=inside(into, "audio_tokens"),
        audio_out=inside(out, "audio_tokens"),
        image_in=inside(into, "image_tokens"),
        image_out=inside(out, "image_tokens"),
        cached_audio=inside(cached, "audio_tokens"),
        cached_image=inside(cached, "image_tokens"),
    ).checked()


def _details(usage: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        value = usage.get(name)
        if isinstance(value, dict):
            return value
        if value is not None:
            raise RowError(f"{name} must be an object")
    return {}


def _type(value: Any) -> str:
    names = {
        bool: "true or false",
        float: "a number with a point or beyond 64 bits",
        dict: "an object",
        list: "an array",
    }
    return names.get(type(value), "a number" if isinstance(value, int) else "something else")
