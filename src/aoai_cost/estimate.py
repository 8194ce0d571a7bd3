"""What one request will cost before it is sent: tokens times prices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from . import markup
from .catalog import TIERS, Deployment, Model, get_model
from .errors import RequestError, shorten
from .prices import Cost, PriceBook
from .tokens.body import as_object
from .tokens.chat import Certainty, Count, CountLine, count_request
from .usage import MeterKey, Usage

__all__ = ["Estimate", "estimate_request"]

# Prompts from this size on may be billed partly at the cached rate (token-rules, section 9).
_CACHEABLE_TOKENS = 1024
# The service refuses more (reference of Chat Completions, ``n``).
_MOST_ANSWERS = 128
# Azure's pages on quotas (azure-ai-docs, quotas-limits.md) and on chats with images disagree since November 2024.
_MOST_IMAGES, _MOST_IMAGES_TOLD = 50, 10
# 20 MB by the page on chats with images. In the larger reading of MB: what is refused is then sure to be.
_LARGEST_IMAGE_BYTES = 20 << 20
_LARGEST_NUMBER = (1 << 63) - 1
_INPUT, _OUTPUT, _CACHE_WRITE = MeterKey("input"), MeterKey("output"), MeterKey("cache_write")
_HEARD, _SPOKEN = MeterKey("input", "audio"), MeterKey("output", "audio")
_OUTPUT_LIMITS = {
    "chat": ("max_completion_tokens", "max_tokens"),
    "responses": ("max_output_tokens",),
    "completions": ("max_tokens",),
    "embeddings": (),
}
# What Completions writes where it is not told (reference of Completions, ``max_tokens``).
_SIXTEEN = 16


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one request will cost.

    ``low`` is the cost of the fewest input tokens and an empty answer, ``high`` that of the most input
    tokens and the longest answer; ``high`` is None when nothing bounds it. ``output_tokens`` is
    (fewest, most). ``certainty`` speaks of the input: ``exact``, ``estimated`` or ``lower_bound``.
    ``lines`` itemise the input tokens, ``low_cost`` and ``high_cost`` the money with the price rows used.
    ``expected`` is the cost with an answer as long as the caller's earlier ones were on average, where they were given.
    ``refusals`` are the reasons for which the service would refuse the request.
    """

    deployment: Deployment
    on: date
    input_tokens: int
    input_bounds: tuple[int, int | None]
    output_tokens: tuple[int, int | None]
    low: Decimal
    high: Decimal | None
    currency: str
    certainty: Certainty
    lines: tuple[CountLine, ...]
    low_cost: Cost
    high_cost: Cost | None
    expected: Decimal | None
    refusals: tuple[RequestError, ...]
    notes: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether the request keeps to every limit of the model and the service that is known."""
        return not self.refusals

    def _repr_html_(self) -> str:
        cost = markup.span(self.low, self.high, self.currency)
        fewest, most = self.output_tokens
        told = [
            ("input tokens", f"{self.input_tokens:,} ({self.certainty})"),
            ("output tokens", f"from {fewest:,}" if most is None else f"{fewest:,} to {most:,}"),
            ("expected cost", None if self.expected is None else f"{markup.amount(self.expected)} {self.currency}"),
            ("model", f"{self.deployment.model} {self.deployment.version or ''}"),
            ("prices of", self.on),
        ]
        lines = [(line.label, f"{line.tokens:,}") for line in self.lines]
        parts = markup.first_rows(("part", "tokens"), lines, len(lines), all_in=".lines", numeric=(1,))
        return markup.result(f"{self.deployment.name}: {cost}", markup.facts(told), parts, notes=self.notes)


def estimate_request(
    request: Any,
    deployment: Deployment,
    *,
    prices: PriceBook | None = None,
    on: date | None = None,
    earlier_output_tokens: Iterable[int] | None = None,
    must_fit: bool = False,
) -> Estimate:
    """Price a request body before it is sent.

    Parameters
    ----------
    request : mapping or object
        The body as it would be handed to the ``openai`` SDK: Chat Completions, Responses, Embeddings or Completions.
        A dict, typed objects or both, and an iterator is read once: see `count_request`.
    deployment : Deployment
        Where it would be sent; its model, version, sku, region and tier select the prices.
    prices : PriceBook, optional
        By default `PriceBook.current`.
    on : date, optional
        The day whose prices count, and whose rules; by default today in UTC.
    earlier_output_tokens : iterable of int, optional
        The output tokens of earlier answers to such requests: their mean gives `expected`. A usage log has them, as
        ``log.frame["completion_tokens"].dropna()``.
    must_fit : bool
        Raise the first of the estimate's ``refusals`` instead of returning it.

    Raises
    ------
    RequestError, ImageError, UnknownNameError
        As `count_request`; with `must_fit` also for a request that the model's limits do not allow.
    MissingPriceError
        If a price that the request needs is not known; an unknown price is never zero.

    Examples
    --------
    >>> from aoai_cost import Deployment
    >>> chat = Deployment("my-account", "chat", "gpt-4o", version="2024-11-20", sku="GlobalStandard")
    >>> body = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 100}
    >>> estimate = estimate_request(body, chat, on=date(2026, 10, 1))
    >>> estimate.input_tokens, estimate.low, estimate.high
    (8, Decimal('0.00002'), Decimal('0.00102'))
    """
    day = on if on is not None else datetime.now(UTC).date()
    book = prices if prices is not None else PriceBook.current()
    request = as_object(request, "body")
    model = get_model(deployment.model, deployment.version)
    count = count_request(request, model=model, on=day)
    notes = list(count.notes)
    least, most = count.bounds
    certainty = count.certainty
    # The service is asked to shorten a request that is too long.
    cut = count.api == "responses" and request.get("truncation") == "auto"
    if cut and least > (_most_input(model) or least):
        certainty, least = "estimated" if most is not None else certainty, 0
        notes.append("truncation: the service drops items until the rest fits; how many is not known here")
    limited_by, asked = _output_asked(request, count.api)
    refusals = tuple(_refusals(model, count, cut, limited_by, asked))
    if refusals and must_fit:
        raise refusals[0]
    if _MOST_IMAGES_TOLD < len(count.images) <= _MOST_IMAGES:
        notes.append(
            f"{len(count.images)} images: one page of Azure's documentation allows {_MOST_IMAGES_TOLD} a request, "
            f"another {_MOST_IMAGES}"
        )
    output_most = _longest_answer(request, model, count, asked, notes)
    deployment = _with_tier_asked(deployment, request)
    if model.reasoning:
        notes.append(
            f"{model.name} reasons before it answers: those tokens are billed as output, also where none is shown"
        )

    least_heard, most_heard = count.audio_bounds
    answer = _SPOKEN if "audio" in (request.get("modalities") or ()) else _OUTPUT
    low_cost = _price(book, deployment, day, model, {_INPUT: least - least_heard, _HEARD: least_heard})
    high_cost = None
    if most is not None and output_most is not None:
        # What is spoken costs more than what is written, and what is heard more than what is read.
        dearest = {_INPUT: most - most_heard, _HEARD: most_heard, answer: output_most}
        high_cost = _price(book, deployment, day, model, dearest)
        if most >= _CACHEABLE_TOKENS and book.has_meter("cache_write", deployment):
            dearest |= {_INPUT: 0, _CACHE_WRITE: most - most_heard}
            high_cost = max(high_cost, _price(book, deployment, day, model, dearest), key=lambda cost: cost.amount)
    elif most is None:
        notes.append("the input is a lower bound, so no upper end is given")
    if least >= _CACHEABLE_TOKENS:
        notes.append(
            f"no prompt caching is assumed; from {_CACHEABLE_TOKENS:,} input tokens on a part may be billed as "
            "cached input, or on newer models as cache writes"
        )
    expected = None
    if earlier_output_tokens is not None:
        mean = _mean(earlier_output_tokens)
        read, heard = (least, least_heard) if most is None else (most, most_heard)
        expected = _price(book, deployment, day, model, {_INPUT: read - heard, _HEARD: heard, answer: mean}).amount
        notes.append(
            f"the expected cost takes an answer of {mean:,} tokens, the mean of those given, and the most input"
        )
    for note in (*low_cost.notes, *(high_cost.notes if high_cost else ())):
        if note not in notes:
            notes.append(note)
    return Estimate(
        deployment=deployment,
        on=day,
        input_tokens=count.input_tokens,
        input_bounds=(least, most),
        output_tokens=(0, output_most),
        low=low_cost.amount,
        high=high_cost.amount if high_cost else None,
        currency=low_cost.currency,
        certainty=certainty,
        lines=count.lines,
        low_cost=low_cost,
        high_cost=high_cost,
        expected=expected,
        refusals=refusals,
        notes=(*notes, *[f"would be refused: {one}" for one in refusals]),
    )


def _with_tier_asked(deployment: Deployment, request: Mapping[str, Any]) -> Deployment:
    """Let the ``service_tier`` of the body win over the deployment's; ``auto`` is the deployment's own."""
    asked = request.get("service_tier")
    if asked is None or asked == "auto":
        return deployment
    if asked not in TIERS:
        raise RequestError("service_tier", f"must be auto or one of {', '.join(TIERS)}; found {shorten(asked)}")
    return replace(deployment, tier=asked)


def _refusals(model: Model, count: Count, cut: bool, limited_by: str, asked: int | None) -> Iterator[RequestError]:
    """Yield what the service would refuse of a request: more tokens than the model takes, too many or large images."""
    if len(count.images) > _MOST_IMAGES:
        yield RequestError(count.images[_MOST_IMAGES][0], f"is one image more than the {_MOST_IMAGES} of a request")
    for path, size_bytes in count.images:
        if size_bytes is not None and size_bytes > _LARGEST_IMAGE_BYTES:
            yield RequestError(path, f"is an image of {size_bytes:,} bytes; at most 20 MB are accepted")
    limit = None if cut else _most_input(model)
    parts = [("messages" if count.api == "chat" else "input", count.bounds[0])]
    if count.api in ("embeddings", "completions"):
        # Each text of a list is read by itself.
        parts = [(line.label, line.tokens) for line in count.lines]
    for field, tokens in parts:
        if limit is not None and tokens > limit:
            yield RequestError(field, f"has {tokens:,} input tokens; {model.name} accepts at most {limit:,}")
    if asked is None or count.api == "embeddings":
        return
    if model.max_output_tokens is not None and asked > model.max_output_tokens:
        most = model.max_output_tokens
        yield RequestError(limited_by, f"asks for up to {asked:,} output tokens; {model.name} gives at most {most:,}")
    longest = max(tokens for _, tokens in parts)
    # Where input has a limit of its own, the answer has room beside it.
    window = None if model.max_input_tokens else model.context_tokens
    if window is not None and longest <= window < longest + asked:
        told = f"{longest:,} input and up to {asked:,} output tokens"
        reason = f"with {told} the request is over the context window of {model.name}, {window:,}"
        yield RequestError(limited_by, reason)


def _most_input(model: Model) -> int | None:
    return model.max_input_tokens or model.context_tokens


def _output_asked(request: Mapping[str, Any], api: str) -> tuple[str, int | None]:
    """Return the field that limits the answer, and its limit; None where none does."""
    found = [(field, _number(request, field, least=0 if api == "completions" else 1)) for field in _OUTPUT_LIMITS[api]]
    # Of two in one request the service refuses one; the larger is safe.
    told = [(field, asked) for field, asked in found if asked is not None]
    if told:
        return max(told, key=lambda one: one[1])
    return (found[0][0] if found else "", _SIXTEEN if api == "completions" else None)


def _mean(tokens: Iterable[int]) -> int:
    """Return the mean of token counts, to the nearest whole token, halves up."""
    total = number = 0
    for one in tokens:
        if isinstance(one, bool) or not hasattr(one, "__index__") or one.__index__() < 0:
            raise RequestError("earlier_output_tokens", f"must be whole numbers of at least 0, found {shorten(one)}")
        total, number = total + one.__index__(), number + 1
    if not number:
        raise RequestError("earlier_output_tokens", "is empty")
    return (2 * total + number) // (2 * number)


def _longest_answer(
    request: Mapping[str, Any], model: Model, count: Count, asked: int | None, notes: list[str]
) -> int | None:
    """Return the most output tokens that can be billed, or None when nothing bounds them."""
    if count.api == "embeddings":
        return 0
    answers = _number(request, "n", most=_MOST_ANSWERS) or 1
    if count.api == "completions":
        answers = max(answers, _number(request, "best_of", most=_MOST_ANSWERS) or 1) * len(count.lines)
    limit = model.max_output_tokens
    if asked is None and limit is None:
        notes.append(f"no output limit is set and none is known for {model.name}, so no upper end is given")
        return None
    if asked is None:
        notes.append(f"no output limit is set; the model's own of {limit:,} tokens is taken")
    longest = min([x for x in (asked, limit) if x is not None])
    # Rejected parts of a prediction are no part of the answer.
    return (longest + count.prediction_tokens) * answers


def _number(request: Mapping[str, Any], field: str, *, least: int = 1, most: int = _LARGEST_NUMBER) -> int | None:
    value = request.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        allowed = f"of at least {least}" if most == _LARGEST_NUMBER else f"from {least} to {most}"
        raise RequestError(field, f"must be a whole number {allowed}, found {shorten(value)}")
    return value


def _price(book: PriceBook, deployment: Deployment, on: date, model: Model, quantities: Mapping[MeterKey, int]) -> Cost:
    read = sum([tokens for key, tokens in quantities.items() if key.meter != "output"])
    cost = book.price(Usage(quantities), deployment, on=on, band=model.band(read))
    for _, _, missing in cost.unpriced:
        raise missing
    return cost
