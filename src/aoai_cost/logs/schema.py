"""What reading a log gives: parts of calls, one row per call, and what became of each row of the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from .. import markup
from ..usage import cached_beyond_text, split_totals

if TYPE_CHECKING:
    import pandas as pd

    from .._fast.columns import Columns
    from .parts import Parts, Shared
    from .sums import UsageSums

__all__ = [
    "NO_TOKENS",
    "QUALITIES",
    "Content",
    "ContinuedError",
    "Counts",
    "Facets",
    "FileCounts",
    "LogFormat",
    "Part",
    "PartKind",
    "RowError",
    "Tokens",
    "UsageLog",
]

QUALITIES = ("measured", "missing", "not_billed", "estimated", "aggregated")
"""What ``usage_quality`` says of a call.

``measured``: the service counted it. ``missing``: it may be billed and the log does not tell its tokens, so every
total with it is a lower bound. ``not_billed``: refused, failed without usage, or no model was asked. ``estimated``:
whoever wrote the log counted it, not the service. ``aggregated``: the service counted many calls in one row, so that
nothing is known that hangs on one of them, such as the context band.
"""


class RowError(ValueError):
    """A row that cannot be counted; the reason never quotes the row, which may hold a prompt."""


class ContinuedError(RowError):
    """A row after which more follows: the log is whole only if it has calls of the same format and API from then on.

    They are looked for from `begins_us` until `ends_us`, in microseconds since 1970, wherever in the log they stand.
    """

    def __init__(self, reason: str, api: str | None, begins_us: int, ends_us: int) -> None:
        super().__init__(reason)
        self.api, self.begins_us, self.ends_us = api, begins_us, ends_us


class PartKind:
    """What a part knows of its call."""

    USAGE = 0
    """The tokens: it makes a call."""
    STATUS = 1
    """How the call went; joined to the usage of the same identity, or a call without tokens."""
    REST = 2
    """A continuation that knows neither."""
    METER = 3
    """One count of a sum; the other counts stand in rows of their own, and other rows may count the same time again."""
    SO_FAR = 4
    """The tokens of a stream so far: of several the largest counts, and they contradict nothing."""
    AROUND = 5
    """No row: a mark on the span around a call (`Part.around`), which may tell the tokens of the call again."""
    CALLS = 6
    """How many calls a sum of meters stands for, and nothing of what they used."""
    OF_SUMS = (METER, CALLS)


class Facets(NamedTuple):
    """What many calls share; equal facets are kept once while reading."""

    resource: str | None = None
    region: str | None = None
    deployment: str | None = None
    model: str | None = None
    version: str | None = None
    api: str | None = None
    operation: str | None = None
    stream: bool | None = None
    service_tier: str | None = None
    user: str | None = None
    """Who asked: a person, a team, a key, a product, whatever the source tells apart."""
    app: str | None = None
    spillover: bool | None = None
    """Whether another deployment served what was asked of a provisioned one that had no room."""

    def with_given(self, deployment: str | None, resource: str | None) -> Facets:
        """Return self with the names that the user gave where the log has none."""
        return self._replace(deployment=self.deployment or deployment, resource=self.resource or resource)

    def filled(self, other: Facets) -> Facets:
        """Return self with what `other` knows where self knows nothing.

        Who tells of spill-over names the deployment that served, if anybody does; the others, the one that was asked.
        """
        if other is self or None not in self:
            return self
        pairs = zip(self, other, strict=True)
        found = Facets._make(mine if mine is not None else theirs for mine, theirs in pairs)
        if (self.spillover is None) != (other.spillover is None) and found.spillover:
            return found._replace(deployment=other.deployment if self.spillover is None else self.deployment)
        return found


class Tokens(NamedTuple):
    """Counts of one call as the service reports them, overlapping; None where the log does not tell."""

    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_in: int | None = None
    audio_out: int | None = None
    image_in: int | None = None
    image_out: int | None = None
    cached_audio: int | None = None
    cached_image: int | None = None

    def checked(self) -> Tokens:
        """Return self if its parts can be told apart, with the cached audio and image that they imply.

        Raises
        ------
        RowError
            If a part exceeds its total; nothing is clamped.
        """
        _, cached, write, _, *others = self
        if not (cached or write or any(others)):
            return self
        whole = {name: value or 0 for name, value in self._asdict().items()}
        prompt, completion = whole.pop("prompt_tokens"), whole.pop("completion_tokens")
        reasoning, cached, write = (whole.pop(f"{name}_tokens") for name in ("reasoning", "cached", "cache_write"))
        found = self
        if self.cached_audio is None and self.cached_image is None:
            audio, image = cached_beyond_text(prompt, cached, whole["audio_in"], whole["image_in"])
            whole |= {"cached_audio": audio, "cached_image": image}
            found = self._replace(cached_audio=audio or None, cached_image=image or None)
        parts = split_totals(prompt, completion, cached=cached, cache_write=write, **whole)
        for key, quantity in parts.items():
            if quantity < 0:
                total = "completion" if key.meter == "output" else "prompt"
                raise RowError(f"the cached, audio, image and other parts exceed the {total} tokens that hold them")
        if reasoning > completion:
            raise RowError("the reasoning tokens exceed the completion tokens that hold them")
        return found


NO_TOKENS = Tokens()


Identity = tuple[str, ...]


class Part(NamedTuple):
    """What one row of a log says about one call."""

    kind: int
    call_id: str
    """Tells calls of one identity apart (retries behind a gateway); empty where an identity is one call."""
    facets: Facets
    timestamp_us: int | None
    """Microseconds since 1970, UTC."""
    tokens: Tokens = NO_TOKENS
    status: int | None = None
    duration_ms: float | None = None
    request_id: str | None = None
    quantities: tuple[tuple[str, str, str, int], ...] = ()
    """Other meters: (meter, modality, variant, quantity)."""
    quality: str = "measured"
    """What the tokens are, where the row tells them: one of `QUALITIES`, such as ``estimated``."""
    requests: int | None = 1
    """How many calls the row stands for; None where it is a sum and does not say."""
    span_s: int = 0
    """How long the time is that a meter's row sums, from its timestamp; 0 where the rows of an identity are one sum."""
    rank: int = 0
    """Of meters' rows that sum the same time in different ways, those of the highest rank count."""
    span: Identity | None = None
    """Which span of a trace it is, where the spans around a call may tell its tokens again."""
    around: tuple[Identity, ...] = ()
    """The spans around it that are known."""


class Content(NamedTuple):
    """What one row holds of what a call said, to be counted and forgotten (`aoai_cost.logs.contents`)."""

    request: Mapping[str, Any] | None = None
    """The body of the request, in the form of Chat Completions, Responses, Embeddings or Completions."""
    answer: tuple[str, ...] | None = None
    """The visible texts of the answer and the arguments of the calls of tools in it."""


class LineReader(Protocol):
    """Reads whole pieces of JSON lines at once: the plain lines of one format, and none that `read` reads otherwise."""

    columns: Columns
    """Knows after `read` where the lines are, and which of them were plain."""

    def may_read(self, data: bytes) -> bool:
        """Tell, and quickly, whether lines of the format can be in a piece."""

    def read(self, data: bytes) -> Parts:
        """Return the records of the plain lines in their order, without section and line."""


@dataclass(frozen=True, slots=True)
class LogFormat:
    """One format of logs.

    ``sniff`` tells a record of this format by its content; ``read`` gives the identity of its call (None where it has
    none: then the row is a call of its own) and the part, or None for a row that says nothing of usage. A format that
    never names its deployment or resource takes the names that the user gives. ``calls_of`` names the format whose
    identities are this one's too: rows of both are joined, so that they are one kind of log, and asking for that format
    asks for this one as well.
    """

    name: str
    sniff: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Mapping[str, Any]], tuple[Identity | None, Part] | None]
    names_deployment: bool = True
    names_resource: bool = True
    calls_of: str | None = None
    lines: Callable[[Shared, int], LineReader] | None = None
    """Makes what reads whole pieces of JSON lines of this format at once, given the number of the format."""
    open: Callable[[Mapping[str, Any]], Iterator[Any]] | None = None
    """Yields the rows of a record that holds many, once ``sniff`` told it; each is read and counted by itself."""
    contents: Callable[[Mapping[str, Any]], Content] | None = None
    """Gives what a row says to the model and what that answered, of a format that holds it; wrong shapes are nothing.

    It is asked only where somebody wants it counted anew, of rows that ``read`` took.
    """


@dataclass(slots=True)
class FileCounts:
    """What became of the rows of one file, or of a section of it.

    ``rows = requests + joined + duplicates + elsewhere + ignored + rejected``.
    """

    source_file: str
    rows: int = 0
    requests: int = 0
    """Rows that made a call."""
    joined: int = 0
    """Further rows of a call counted elsewhere, here or in another file."""
    duplicates: int = 0
    elsewhere: int = 0
    """Rows that made a call of a resource and hour for which another source counts (`Comparison`)."""
    ignored: int = 0
    """Rows of a known kind that say nothing of usage, and rows of calls outside the time that was asked for."""
    rejected: int = 0
    unmetered: int = 0
    """Among the requests: calls whose tokens the log does not tell and that may be billed."""
    conflicts: int = 0
    """Among the requests: calls whose rows contradict each other; the largest usage was kept."""
    complete: bool = True
    """Whether the file was read to its end and its last line is whole."""

    def add(self, other: FileCounts) -> None:
        """Add what became of other rows."""
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.complete &= other.complete


_NUMBERS = tuple(one.name for one in fields(FileCounts) if one.type == "int")


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of every row, per file and in total."""

    files: tuple[FileCounts, ...]
    reasons: tuple[tuple[str, int], ...] = ()
    """Why rows of all files were rejected, numbers left out, and how many each; the most frequent first."""
    total: FileCounts = field(init=False)

    def __post_init__(self) -> None:
        total = FileCounts("")
        for one in self.files:
            total.add(one)
        object.__setattr__(self, "total", total)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data: ``total``, ``reasons`` and ``files``."""
        total = asdict(self.total)
        del total["source_file"]
        reasons = [{"reason": reason, "rows": rows} for reason, rows in self.reasons]
        return {"total": total, "reasons": reasons, "files": [asdict(one) for one in self.files]}


@dataclass(frozen=True, eq=False, repr=False)
class UsageLog:
    """A usage log that was read.

    Attributes
    ----------
    frame : DataFrame
        One row per call that counts (those ``elsewhere`` in `counts` are not in it), sorted by time: ``timestamp``
        (datetime64[us, UTC]); ``resource, region, deployment, model, version, api, operation`` (category);
        ``prompt_tokens, cached_tokens, cache_write_tokens, completion_tokens, reasoning_tokens, audio_in,
        audio_out, image_in, image_out`` (Int64, overlapping as the service reports them);
        ``requests`` (Int64; 1 but for rows that are sums, where the source may not say it);
        ``status`` (Int16), ``latency_ms`` (Float64), ``stream, spillover`` (boolean), ``service_tier, user, app,
        usage_quality, source_format, source_file`` (category), ``source_line`` (Int64), ``request_id`` (string). Null
        means that the log does not tell; it never means zero. No prompt and no completion is in it.
    quantities : DataFrame
        ``row`` (label in `frame`), ``meter``, ``modality``, ``variant``, ``quantity``: what is not counted in tokens.
    recounted : DataFrame
        ``row`` (label in `frame`), ``model``, ``input_tokens`` (int64), ``input_certainty`` (category: ``exact``,
        ``estimated``, ``lower_bound``), ``output_tokens`` (Int64), ``served_tokens`` (Int64): what calls would count
        under other models, and the same input under the model that served, where `read_usage` was asked to ``recount``;
        otherwise empty.
    images : DataFrame
        ``row``, ``width_px``, ``height_px``, ``detail``, ``count``: the images in the requests of these calls, as far
        as their sizes are in the log.
    rejected : DataFrame
        ``source_file``, ``line`` (from 1; in a file that is one JSON document, the number of the record; null for
        the whole file), ``offset`` (bytes, in the decompressed file; null in a document and in a table), ``reason``,
        ``masked_row`` (how the row begins, 120 characters at most: brackets, names of fields, true, false and null as
        they are, every text as "…", every digit as 0; null where nothing of the row is known). Of each file the first
        100,000 are listed, of all files 500,000; ``counts.total.rejected`` counts them all.
    counts : Counts
        What became of each row, per file and in ``counts.total``, and why rows were rejected.
    complete : bool
        Whether every file was read to its end.
    sums : UsageSums
        The same calls added up, as a report prices them.
    """

    frame: pd.DataFrame
    quantities: pd.DataFrame
    sums: UsageSums
    recounted: pd.DataFrame
    images: pd.DataFrame

    @property
    def rejected(self) -> pd.DataFrame:
        """The rows that could not be read."""
        return self.sums.rejected

    @property
    def counts(self) -> Counts:
        """What became of each row."""
        return self.sums.counts

    @property
    def complete(self) -> bool:
        """Whether every file was read to its end."""
        return self.sums.complete

    def __repr__(self) -> str:
        return f"UsageLog({self._head()})"

    def _head(self) -> str:
        period = self.sums.period
        days = "on no known day" if period is None else f"from {period[0]} until before {period[1]} (UTC)"
        return f"{self.counts.total.requests:,} calls {days}"

    def _repr_html_(self) -> str:
        total = self.counts.total
        told = [(name, f"{getattr(total, name):,}") for name in _NUMBERS if name != "requests" and getattr(total, name)]
        told += [("formats", ", ".join(self.sums.formats)), ("read to its end", "yes" if self.complete else "no")]
        names = ("resource", "deployment", "model")
        counted = self.frame.groupby(list(names), observed=True, dropna=False)
        tokens = ["prompt_tokens", "completion_tokens"]
        sums = counted[tokens].sum().assign(calls=counted.size()).reset_index().sort_values("calls", ascending=False)
        rows = (
            (markup.account(resource), deployment, model, *(f"{count:,}" for count in counts))
            for resource, deployment, model, *counts in sums[[*names, "calls", *tokens]].itertuples(index=False)
        )
        headings = (*names, "calls", "prompt tokens", "completion tokens")
        listed = markup.first_rows(headings, rows, len(sums), all_in=".frame", numeric=(3, 4, 5))
        return markup.result(self._head(), markup.facts(told), listed)
