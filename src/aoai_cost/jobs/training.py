"""A fine-tuning job: the tokens of its training file, times epochs; or the time it trains."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import floor
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from ..catalog import Deployment, Model, get_model
from ..errors import ImageError, RequestError
from ..prices import PriceBook
from ..tokens import count_request
from ..usage import MeterKey, Usage
from .job import Job, JobEstimate, Rejected, Rejects, seconds, whole_number

__all__ = ["TrainingEstimate", "estimate_reinforcement", "estimate_training"]

_TRAINING = MeterKey("training")
_TRAINING_TIME = MeterKey("training_time")

# MicrosoftDocs/azure-ai-docs, articles/foundry/openai/includes/fine-tuning-oai-sdk.md: "at least 10 training examples",
# "each file must be less than 512 MB".
_LEAST_EXAMPLES = 10
_FILE_BYTES = 512 * 1024 * 1024
# "Max training job size (tokens in training file) x (# of epochs)": the quotas page of the same repository.
_MOST_JOB_TOKENS = 2_000_000_000
# Longer lines are passed over unread: no example of text that fits a model is near it.
_LINE_BYTES = 160 * 1024 * 1024
# "Training example context length": the same repository, fine-tune-models.md of 2025 (later copies leave it out).
_EXAMPLE_TOKENS: Mapping[tuple[str, str], int] = MappingProxyType(
    {
        ("gpt-35-turbo", "0613"): 4_096,
        ("gpt-35-turbo", "0125"): 16_385,
        ("gpt-35-turbo", "1106"): 16_385,
        ("gpt-4", "0613"): 8_192,
        ("gpt-4o", "2024-08-06"): 65_536,
        ("gpt-4o-mini", "2024-07-18"): 65_536,
        ("gpt-4.1", "2025-04-14"): 65_536,
        ("gpt-4.1-mini", "2025-04-14"): 65_536,
        ("gpt-4.1-nano", "2025-04-14"): 32_768,
    }
)

# openai/openai-cookbook, examples/Chat_finetuning_data_prep.ipynb, "Cost Estimation".
_TARGET_EPOCHS = 3
_FEWEST_SEEN, _MOST_SEEN = 100, 25_000
_MOST_EPOCHS = 25

# The checks of the same notebook, with what training with tools and images added to the format.
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_MESSAGE_KEYS = frozenset(
    ("role", "content", "name", "weight", "function_call", "tool_calls", "tool_call_id", "refusal")
)
_PART_TYPES = ("text", "image_url", "refusal")
_BODY_KEYS = ("messages", "tools", "functions", "parallel_tool_calls")
_PREFERENCE_KEYS = frozenset(("input", "preferred_output", "non_preferred_output"))

# Reinforcement: "total time in hours rounded to two decimal places" and "billing is capped at $5,000"
# (fine-tuning-cost-management.md, as for `estimate_training`).
_RFT_STEP_S = 36
_RFT_CAP_USD = Decimal(5000)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingEstimate(JobEstimate):
    """What a fine-tuning job will cost, and what the service would say of its file.

    ``lines`` are those of the file up to its last one that is not blank; each is an example (``examples``) or rejected
    (``rejected_lines``; ``rejected`` lists them, the first hundred thousand). ``tokens`` are those of the examples,
    once, between ``token_bounds`` (most is None where something is not counted), and are trained ``epochs`` times.
    ``cut_examples`` are longer than the model trains on. ``problems`` are what is wrong with the file as a whole.
    """

    lines: int
    examples: int
    rejected_lines: int
    rejected: tuple[Rejected, ...]
    tokens: int
    token_bounds: tuple[int, int | None]
    epochs: int
    cut_examples: int
    problems: tuple[str, ...]

    @property
    def accepted(self) -> bool:
        """Whether the service would take the file, as far as its rules are known."""
        return not self.problems and not self.rejected_lines

    def _facts(self) -> list[tuple[str, object]]:
        least, most = self.token_bounds
        bounds = "" if least == most else f" (from {least:,}{'' if most is None else f' to {most:,}'})"
        return [
            ("file", "would be accepted" if self.accepted else "would be refused"),
            ("examples", f"{self.examples:,} of {self.lines:,} lines"),
            ("tokens", f"{self.tokens:,}{bounds}, trained {self.epochs} times"),
            ("examples cut", f"{self.cut_examples:,}" if self.cut_examples else None),
            ("lines left out", f"{self.rejected_lines:,}, see .rejected" if self.rejected_lines else None),
            *[("problem", problem) for problem in self.problems],
        ]


def estimate_training(
    source: str | PathLike[str] | Iterable[str | bytes],
    deployment: Deployment,
    *,
    epochs: int | None = None,
    prices: PriceBook | None = None,
    on: date | None = None,
    strict: bool = False,
) -> TrainingEstimate:
    """Check a training file as the service would, and price the supervised fine-tuning job.

    The price is training tokens times epochs times the price of a training token (MicrosoftDocs/azure-ai-docs @72f61a5,
    articles/foundry/openai/how-to/fine-tuning-cost-management.md). A validation file, waiting, and safety checks cost
    nothing; hosting the tuned model is billed apart. How the service counts the tokens of an example is not published
    ("isn't going to give you the exact token counts", Microsoft's tutorial). Counted is the whole example, answers and
    messages of weight 0 included, as the same messages cost in a prompt, with its tools; that is the rule of OpenAI's
    cookbook (examples/Chat_finetuning_data_prep.ipynb), which adds the few tokens in which a prompt asks for its
    answer. A whole example asks for none, so the lower bound leaves those out.

    Parameters
    ----------
    source : str, path, or iterable of str or bytes
        The path of a JSONL file, or its lines (an open file in binary mode is fine). Read as a stream.
    deployment : Deployment
        The model to train and how: ``sku`` is the training type (``GlobalStandard``, ``Standard``, ``DeveloperTier``).
        Without ``fine_tuned`` it is taken as ``ft``, on ``DeveloperTier`` as ``dev_ft``.
    epochs : int, optional
        By default what the cookbook derives from the number of examples; the service may choose otherwise.
    prices : PriceBook, optional
        By default `PriceBook.current`.
    on : date, optional
        The day whose prices count; by default today in UTC.
    strict : bool
        Raise the first thing that is wrong with the file instead of listing all.

    Raises
    ------
    RequestError
        For a model that is not trained on chats, or epochs that are no number of at least 1; with `strict` also for a
        bad line or file. No message quotes the file.
    MissingPriceError
        If the price of training is not known.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> tune = Deployment("contoso", "tune", "gpt-4.1", version="2025-04-14", sku="GlobalStandard")
    >>> line = '{"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello"}]}'
    >>> job = estimate_training([line] * 10, tune, epochs=2, on=date(2026, 9, 1))
    >>> job.tokens, job.token_bounds, job.amount
    (130, (100, 130), Decimal('0.0065'))
    """
    if epochs is not None:
        epochs = whole_number("epochs", epochs)
    deployment = _tuned(deployment, "ft")
    if deployment.fine_tuned not in ("ft", "dev_ft"):
        raise RequestError("deployment", "reinforcement is billed by time: see estimate_reinforcement")
    model = get_model(deployment.model, deployment.version)
    if model.chat_rule is None or model.encoding is None:
        raise RequestError("model", f"{model.name!r} ({model.kind}) is not trained on chats")
    job = Job(deployment, prices, on)
    job.require(_TRAINING)
    examples = _Examples(model)
    for line, raw in _lines(source, examples):
        examples.read(line, raw)
        if strict and examples.rejects.listed:
            rejected = examples.rejects.listed[0]
            raise RequestError(f"line {rejected.position}", rejected.reason)
    return _estimate(job, examples, epochs, strict=strict)


def _estimate(job: Job, examples: _Examples, epochs: int | None, *, strict: bool) -> TrainingEstimate:
    given = epochs is not None
    epochs = epochs if epochs is not None else _default_epochs(examples.count)
    problems = tuple(examples.problems(epochs))
    if problems and strict:
        raise RequestError("training file", problems[0])
    if not given:
        job.note(
            f"{epochs} epochs are what OpenAI's cookbook derives for {examples.count:,} examples; the service may "
            "choose others (in Microsoft's worked example 2, for 500)"
        )
    job.note(
        "how the service counts training tokens is not published: whole examples are counted as in a prompt, with and "
        "without the tokens that ask for an answer"
    )
    for note in examples.notes():
        job.note(note)
    least, tokens = examples.least, examples.tokens
    most = None if examples.rejects.count or examples.unbounded else examples.most
    facts = job.facts(
        Usage({_TRAINING: tokens * epochs}),
        Usage({_TRAINING: least * epochs}),
        None if most is None else Usage({_TRAINING: most * epochs}),
        assumed=True,
    )
    return TrainingEstimate(
        **facts,
        lines=examples.lines,
        examples=examples.count,
        rejected_lines=examples.rejects.count,
        rejected=tuple(examples.rejects.listed),
        tokens=tokens,
        token_bounds=(least, most),
        epochs=epochs,
        cut_examples=examples.cut,
        problems=problems,
    )


def estimate_reinforcement(
    duration_s: float | Decimal | Fraction,
    deployment: Deployment,
    *,
    prices: PriceBook | None = None,
    on: date | None = None,
) -> JobEstimate:
    """Price reinforcement fine-tuning by the time that it trains.

    The time is taken in hours with two decimals (fine-tuning-cost-management.md, as for `estimate_training`); waiting
    and preparing the data are not in it. A model that grades is billed apart, at its own prices.

    Parameters
    ----------
    duration_s : float, int, Decimal or Fraction
        How long it will train.
    deployment : Deployment
        As for `estimate_training`; without ``fine_tuned`` it is taken as ``rft``, on ``DeveloperTier`` as ``dev_rft``.
    prices : PriceBook, optional
        By default `PriceBook.current`.
    on : date, optional
        The day whose prices count; by default today in UTC.

    Raises
    ------
    RequestError
        For another duration, or a deployment of a model that is tuned otherwise.
    MissingPriceError
        If the price of an hour is not known.

    Examples
    --------
    >>> tune = Deployment("contoso", "tune", "o4-mini", version="2025-04-16", sku="GlobalStandard")
    >>> estimate_reinforcement(4 * 3600, tune, on=date(2026, 9, 1)).amount
    Decimal('400')
    """
    steps = floor(seconds("duration_s", duration_s) / _RFT_STEP_S + Fraction(1, 2))
    deployment = _tuned(deployment, "rft")
    if deployment.fine_tuned not in ("rft", "dev_rft"):
        raise RequestError("deployment", "supervised training is billed by tokens: see estimate_training")
    job = Job(deployment, prices, on)
    job.require(_TRAINING_TIME)
    usage = Usage({_TRAINING_TIME: steps * _RFT_STEP_S * 1000})
    job.note("a model that grades is billed apart, by its tokens at data zone prices")
    cost = job.price(usage)
    if cost.currency == "USD" and cost.amount > _RFT_CAP_USD:
        job.note("training pauses when a job has cost 5,000 USD; beyond that it goes on only if it is resumed")
    return JobEstimate(**job.facts(usage, usage, usage))


def _tuned(deployment: Deployment, how: str) -> Deployment:
    if deployment.fine_tuned:
        return deployment
    return replace(deployment, fine_tuned=f"dev_{how}" if deployment.sku == "DeveloperTier" else how)


def _default_epochs(examples: int) -> int:
    """Return how often the cookbook's rule shows so many examples.

    Examples
    --------
    >>> [_default_epochs(examples) for examples in (1, 5, 10, 500, 10_000, 30_000)]
    [25, 20, 10, 3, 2, 1]
    """
    if examples * _TARGET_EPOCHS < _FEWEST_SEEN:
        return min(_MOST_EPOCHS, _FEWEST_SEEN // max(1, examples))
    if examples * _TARGET_EPOCHS > _MOST_SEEN:
        return max(1, _MOST_SEEN // examples)
    return _TARGET_EPOCHS


class _Examples:
    """Reads the lines of a file one by one, and keeps the sums and what was wrong."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._limit = _EXAMPLE_TOKENS.get((model.name, model.version), model.context_tokens)
        self._limit_known = (model.name, model.version) in _EXAMPLE_TOKENS
        self._asks = model.chat_rule.request_tokens if model.chat_rule is not None else 0
        self._count_notes: dict[str, None] = {}
        self.rejects = Rejects()
        self.lines = self.bytes = self.count = self.cut = 0
        self.least = self.tokens = self.most = 0
        self.unbounded = False

    def read(self, line: int, raw: bytes | None) -> None:
        """Take a line that is not blank; those between the last one and it were."""
        if line > self.lines + 1:
            self.rejects.add_many(range(self.lines + 1, line), "is blank")
        self.lines = line
        reason = "is longer than 160 MB and was not read" if raw is None else self._take(raw)
        if reason:
            self.rejects.add(line, reason)

    def _take(self, raw: bytes) -> str:
        """Count an example; return what is wrong with it instead, if anything is."""
        try:
            example = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            # Where it stops being JSON, and nothing of the error: it holds the line.
            return f"is not JSON (at character {error.pos + 1:,})" if _is_text(raw) else "is not UTF-8 text"
        reason = _wrong(example)
        if reason:
            return reason
        body = {key: example[key] for key in _BODY_KEYS if key in example}
        try:
            count = count_request(body, model=self._model, api="chat")
        except (RequestError, ImageError) as error:
            # The reason may quote what it found; where it is, is enough.
            where = error.field if isinstance(error, RequestError) else error.source
            return f"{where} cannot be counted"
        least, most = count.bounds
        if self._limit is not None and max(count.input_tokens, most or 0) > self._limit:
            self.cut += 1
        self.count += 1
        self.least += self._within(least - self._asks)
        self.tokens += self._within(count.input_tokens)
        self.unbounded = self.unbounded or most is None
        self.most += self._within(most or 0)
        if count.certainty != "exact":
            # Paths count within an example; what was said of one holds for many.
            self._count_notes.update(dict.fromkeys(count.notes[:20]) if len(self._count_notes) < 20 else {})
        return ""

    def _within(self, tokens: int) -> int:
        return tokens if self._limit is None else min(tokens, self._limit)

    def problems(self, epochs: int) -> Iterator[str]:
        """Yield what is wrong with the file as a whole."""
        if self.count < _LEAST_EXAMPLES:
            yield f"has {self.count} examples; the service trains on at least {_LEAST_EXAMPLES}"
        if self.bytes >= _FILE_BYTES:
            yield f"has {self.bytes:,} bytes; the service takes files below 512 MB"
        if self.least * epochs > _MOST_JOB_TOKENS:
            yield f"trains {self.least * epochs:,} tokens; the service trains at most {_MOST_JOB_TOKENS:,} in a job"

    def notes(self) -> Iterator[str]:
        if self.cut:
            known = "documented limit of an example" if self._limit_known else "context of the model"
            yield (
                f"{self.cut:,} examples may be longer than {self._limit:,} tokens, the {known}; they are taken to be "
                "cut there, as the cookbook says"
            )
        yield from self._count_notes
        yield from self.rejects.notes("lines")


def _wrong(example: Any) -> str:
    """Return what the service would find wrong with an example, or nothing; never what stands in it."""
    if not isinstance(example, dict):
        return "is no JSON object"
    if example.keys() >= _PREFERENCE_KEYS:
        return "is a pair of preferences (DPO), which is not counted yet"
    unknown = next((key for key in example if key not in _BODY_KEYS), None)
    if unknown is not None:
        return f"has {_shown_key(unknown)}, which is none of {', '.join(_BODY_KEYS)}"
    messages = example.get("messages")
    if not isinstance(messages, list) or not messages:
        return "messages is missing, or no list, or empty"
    for i, message in enumerate(messages):
        reason = _wrong_message(message)
        if reason:
            return f"messages[{i}] {reason}"
    if not any(message["role"] == "assistant" for message in messages):
        return "has no message of the assistant"
    for key in ("tools", "functions"):
        if key in example and not (isinstance(example[key], list) and example[key]):
            return f"{key} is no list, or empty"
    for i, tool in enumerate(example.get("tools", ())):
        if not isinstance(tool, dict) or tool.get("type") != "function":
            return f"tools[{i}] is no function"
    return ""


def _wrong_message(message: Any) -> str:
    if not isinstance(message, dict):
        return "is no JSON object"
    unknown = next((key for key in message if key not in _MESSAGE_KEYS), None)
    if unknown is not None:
        return f"has {_shown_key(unknown)}, which is not part of the format"
    role = message.get("role")
    if role not in _ROLES:
        return f"has no role, or none of {', '.join(_ROLES)}"
    content = message.get("content")
    calls = message.get("tool_calls") or message.get("function_call")
    if calls and role != "assistant":
        return "has calls, which only the assistant makes"
    if content is not None and not isinstance(content, (str, list)):
        return "has content that is neither a text nor a list of parts"
    for i, part in enumerate(content if isinstance(content, list) else ()):
        if not isinstance(part, dict) or part.get("type") not in _PART_TYPES:
            return f"has a part, content[{i}], of none of the types {', '.join(_PART_TYPES)}"
    if not content and not calls and not message.get("refusal"):
        return "has no content"
    if "weight" in message:
        if role != "assistant":
            return "has a weight, which only messages of the assistant have"
        if isinstance(message["weight"], bool) or message["weight"] not in (0, 1):
            return "has a weight that is neither 0 nor 1"
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        return "has no tool_call_id"
    return ""


def _shown_key(key: str) -> str:
    """Name a key, if it looks like one: in a broken file it may be a piece of a text."""
    return f"a key {key!r}" if len(key) <= 40 and key.isascii() and key.isidentifier() else "a key"


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _lines(source: Any, examples: _Examples) -> Iterator[tuple[int, bytes | None]]:
    """Yield each line that is not blank with its number, without its end; None is one that is too long."""
    if isinstance(source, (str, PathLike)):
        with Path(source).open("rb") as file:
            yield from _stripped(_bounded(file), examples)
    elif isinstance(source, (bytes, Mapping)) or not isinstance(source, Iterable):
        raise RequestError("source", f"must be a path or many lines, not {type(source).__name__}")
    else:
        yield from _stripped(source, examples)


def _bounded(file: Any) -> Iterator[bytes]:
    """Yield the lines of a binary file; of one that is too long, what is just too long, and the rest is skipped."""
    while line := file.readline(_LINE_BYTES + 1):
        yield line
        while len(line) > _LINE_BYTES and not line.endswith(b"\n"):
            line = file.readline(_LINE_BYTES + 1)


def _stripped(lines: Iterable[Any], examples: _Examples) -> Iterator[tuple[int, bytes | None]]:
    for number, line in enumerate(lines, 1):
        if isinstance(line, str):
            line = line.encode("utf-8", "surrogatepass")
        elif not isinstance(line, (bytes, bytearray)):
            raise RequestError(f"line {number}", f"must be a text or bytes, not {type(line).__name__}")
        examples.bytes += len(line)
        if number == 1:
            # Microsoft asks for a byte-order mark, and takes files without one, as its own tutorial writes.
            line = line.removeprefix(b"\xef\xbb\xbf")
        if len(line) > _LINE_BYTES:
            yield number, None
        elif stripped := line.strip():
            yield number, stripped
