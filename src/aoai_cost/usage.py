"""Usage: integer quantities by meter, each unit of anything in exactly one meter.

This is the coin that all rooms pass on: a count of one request, a row of a log and the sum of a month
are the same thing in different sizes. Totals as the service reports them overlap (cached tokens are
inside prompt tokens); here they no longer do.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from .errors import RequestError, shorten

__all__ = ["METER_UNITS", "MeterKey", "Usage", "cached_beyond_text", "split_totals"]

METER_UNITS: Mapping[str, str] = MappingProxyType(
    {
        "input": "token",
        "cached_input": "token",
        "cache_write": "token",
        "output": "token",
        "training": "token",
        "training_time": "millisecond",
        "image": "image",
        "character": "character",
        "audio": "millisecond",
        "video": "millisecond",
        "session": "session",
        "tool_call": "call",
        "storage": "byte-day",
        "hosting": "millisecond",
        "ptu": "PTU-millisecond",
        "ptu_reservation": "PTU",
    }
)
"""The meters and the integer unit in which each is counted."""


class MeterKey(NamedTuple):
    """What is counted: a meter, its modality, and a variant where a price list has several (an image size)."""

    meter: str
    modality: str = "text"
    variant: str = ""


def split_totals(
    prompt: Any,
    completion: Any,
    *,
    cached: Any = 0,
    cached_audio: Any = 0,
    cached_image: Any = 0,
    cache_write: Any = 0,
    audio_in: Any = 0,
    audio_out: Any = 0,
    image_in: Any = 0,
    image_out: Any = 0,
) -> dict[MeterKey, Any]:
    """Split the overlapping totals of the service into disjoint token meters.

    Parameters
    ----------
    prompt, completion, cached, cached_audio, cached_image, cache_write, audio_in, audio_out, image_in, image_out
        Totals as reported, int or ndarray of int64: `cached`, `cache_write`, `audio_in` and `image_in` are parts of
        `prompt`, `audio_out` and `image_out` of `completion`; `cached_audio` and `cached_image` are parts of `cached`,
        and the rest of it is text. Few sources tell the two: see `cached_beyond_text`.

    Returns
    -------
    dict of MeterKey to int or ndarray
        The parts; they add up to ``prompt + completion``. Nothing is clamped: a part that comes out
        negative is a contradiction in the source, for the caller to report.
    """
    return {
        MeterKey("input"): prompt - cached - cache_write - (audio_in - cached_audio) - (image_in - cached_image),
        MeterKey("cached_input"): cached - cached_audio - cached_image,
        MeterKey("cached_input", "audio"): cached_audio,
        MeterKey("cached_input", "image"): cached_image,
        MeterKey("cache_write"): cache_write,
        MeterKey("input", "audio"): audio_in - cached_audio,
        MeterKey("input", "image"): image_in - cached_image,
        MeterKey("output"): completion - audio_out - image_out,
        MeterKey("output", "audio"): audio_out,
        MeterKey("output", "image"): image_out,
    }


def cached_beyond_text(prompt: int, cached: int, audio_in: int, image_in: int) -> tuple[int, int]:
    """Return how many cached tokens must be audio and how many image, where the service does not say.

    Cached tokens are taken as text as far as the prompt holds text; only what goes beyond it is certainly not.

    Examples
    --------
    >>> cached_beyond_text(1100, 1024, 1000, 0)
    (924, 0)
    """
    beyond = max(0, cached - max(0, prompt - audio_in - image_in))
    audio = min(beyond, audio_in)
    return audio, min(beyond - audio, image_in)


class Usage(Mapping[MeterKey, int]):
    """An immutable map from `MeterKey` to a positive whole quantity in the meter's unit (`METER_UNITS`).

    Zero quantities are left out, so equal usage compares equal. Add with ``+`` and `Usage.sum`.

    Raises
    ------
    RequestError
        For an unknown meter or a quantity that is not a whole number of at least 0 (``bool`` is refused).

    Examples
    --------
    >>> Usage({("input", "text", ""): 1000, ("output", "text", ""): 200}).tokens
    1200
    """

    __slots__ = ("_quantities",)

    def __init__(self, quantities: Mapping[Any, int] | None = None) -> None:
        kept: dict[MeterKey, int] = {}
        for raw, quantity in (quantities or {}).items():
            key = raw if type(raw) is MeterKey else _key(raw)
            if key.meter not in METER_UNITS:
                raise RequestError(str(key.meter), f"not a meter; the meters are {', '.join(METER_UNITS)}")
            whole = quantity
            if type(quantity) is not int:
                if isinstance(quantity, bool) or not hasattr(quantity, "__index__"):
                    raise RequestError(key.meter, f"a quantity must be a whole number, not {shorten(quantity)}")
                whole = quantity.__index__()
            if whole < 0:
                raise RequestError(key.meter, f"a quantity must not be negative, found {shorten(whole)}")
            if whole:
                kept[key] = kept.get(key, 0) + whole
        self._quantities = dict(sorted(kept.items()))

    @classmethod
    def sum(cls, parts: Iterable[Usage]) -> Usage:
        """Add many usages; the order does not matter."""
        total: dict[MeterKey, int] = {}
        for part in parts:
            for key, quantity in part.items():
                total[key] = total.get(key, 0) + quantity
        return cls(total)

    @classmethod
    def from_api(cls, usage: Any) -> Usage:
        """Read the ``usage`` object of a response: Chat Completions, Responses, Embeddings, Completions, Realtime.

        Parameters
        ----------
        usage : mapping or object with attributes
            As the service or the SDK gives it. Absent details count as none.

        Raises
        ------
        RequestError
            When it carries no token count, or parts that exceed their total.
        """
        prompt = _count(usage, "prompt_tokens", "input_tokens")
        completion = _count(usage, "completion_tokens", "output_tokens")
        if prompt is None and completion is None:
            raise RequestError(
                "usage", "has neither prompt_tokens nor input_tokens, completion_tokens or output_tokens"
            )
        in_details = _field(usage, "prompt_tokens_details", "input_tokens_details", "input_token_details")
        out_details = _field(usage, "completion_tokens_details", "output_tokens_details", "output_token_details")
        cached = _count(in_details, "cached_tokens") or 0
        audio_in = _count(in_details, "audio_tokens") or 0
        image_in = _count(in_details, "image_tokens") or 0
        cached_audio, cached_image = cached_beyond_text(prompt or 0, cached, audio_in, image_in)
        cached_details = _field(in_details, "cached_tokens_details")
        if cached_details is not None:
            cached_audio = _count(cached_details, "audio_tokens") or 0
            cached_image = _count(cached_details, "image_tokens") or 0
        parts = split_totals(
            prompt or 0,
            completion or 0,
            cached=cached,
            cached_audio=cached_audio,
            cached_image=cached_image,
            cache_write=_count(in_details, "cache_write_tokens") or 0,
            audio_in=audio_in,
            audio_out=_count(out_details, "audio_tokens") or 0,
            image_in=image_in,
            image_out=_count(out_details, "image_tokens") or 0,
        )
        negative = [key for key, quantity in parts.items() if quantity < 0]
        if negative:
            raise RequestError("usage", f"its details exceed the total of {negative[0].meter} tokens")
        return cls(parts)

    def _repr_html_(self) -> str:
        from . import markup  # counting does without it

        rows = [(*key, f"{quantity:,}", METER_UNITS[key.meter]) for key, quantity in self.items()]
        headings = (*MeterKey._fields, "quantity", "unit")
        listed = markup.first_rows(headings, rows, len(rows), all_in="dict(...)", numeric=(3,))
        return markup.result(f"{self.tokens:,} tokens", listed)

    @property
    def tokens(self) -> int:
        """All tokens, of any meter and modality."""
        return sum(quantity for key, quantity in self.items() if METER_UNITS[key.meter] == "token")

    def __getitem__(self, key: Any) -> int:
        return self._quantities[_key(key)]

    def __iter__(self) -> Iterator[MeterKey]:
        return iter(self._quantities)

    def __len__(self) -> int:
        return len(self._quantities)

    def items(self) -> ItemsView[MeterKey, int]:
        """Return the pairs of key and quantity."""
        return self._quantities.items()

    def __add__(self, other: Usage) -> Usage:
        return Usage.sum((self, other)) if isinstance(other, Usage) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self._quantities.items()))

    def __repr__(self) -> str:
        parts = (f"{'/'.join(filter(None, key))}={quantity}" for key, quantity in self.items())
        return f"Usage({', '.join(parts)})"


def _key(raw: Any) -> MeterKey:
    return MeterKey(raw) if isinstance(raw, str) else MeterKey(*raw)


def _field(source: Any, *names: str) -> Any:
    """Return the first of `names` that `source` has as a key or an attribute and that is not None."""
    for name in names:
        value = source.get(name) if isinstance(source, Mapping) else getattr(source, name, None)
        if value is not None:
            return value
    return None


def _count(source: Any, *names: str) -> int | None:
    value = _field(source, *names)
    if value is None:
        return None
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise RequestError(f"usage.{names[0]}", f"a token count must be a whole number, not {shorten(value)}")
    whole: int = value.__index__()
    if whole < 0:
        raise RequestError(f"usage.{names[0]}", f"a token count must not be negative, found {shorten(whole)}")
    return whole
