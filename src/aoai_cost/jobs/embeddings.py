"""An embeddings job over many texts: a list, a column of a frame, or a file with a text on each line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from os import PathLike
from pathlib import Path
from typing import Any

from ..catalog import Deployment, get_model
from ..errors import RequestError
from ..prices import PriceBook
from ..tokens import Encoding, get_encoding
from ..usage import MeterKey, Usage
from .job import Job, JobEstimate, Rejected, Rejects

__all__ = ["EmbeddingsEstimate", "estimate_embeddings"]

# So much is held at a time.
_CHUNK_TEXTS, _CHUNK_CHARACTERS = 1_000, 4_000_000
_INPUT = MeterKey("input")


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingsEstimate(JobEstimate):
    """What embedding many texts will cost.

    ``texts`` were counted, of ``tokens`` in all. ``rejected`` lists those that the service refuses, with the reason
    (the first hundred thousand), ``rejected_texts`` counts them; they are in no sum. Every text is one or the other.
    """

    texts: int
    tokens: int
    rejected_texts: int
    rejected: tuple[Rejected, ...]

    def _facts(self) -> list[tuple[str, object]]:
        rejected = f"{self.rejected_texts:,}, see .rejected" if self.rejected_texts else None
        return [("texts", f"{self.texts:,}"), ("tokens", f"{self.tokens:,}"), ("texts left out", rejected)]


def estimate_embeddings(
    texts: Iterable[str] | PathLike[str],
    deployment: Deployment,
    *,
    prices: PriceBook | None = None,
    on: date | None = None,
    threads: int = 1,
) -> EmbeddingsEstimate:
    """Price an embeddings job: the sum of the texts' tokens, with no overhead (token-rules, section 7).

    Parameters
    ----------
    texts : iterable of str, or path
        A list, a generator, a pandas Series, an Arrow array; or a ``pathlib.Path`` of a UTF-8 file with a text on each
        line, where empty lines are no texts. They are read in chunks.
    deployment : Deployment
        Where the job would run; its model names the encoding and the limit of a text.
    prices : PriceBook, optional
        By default `PriceBook.current`.
    on : date, optional
        The day whose prices count; by default today in UTC.
    threads : int
        How many threads count.

    Raises
    ------
    RequestError
        For a model that makes no embeddings, and for one text, a mapping or a whole frame in place of texts.
    MissingPriceError
        If the price is not known.

    Examples
    --------
    >>> embed = Deployment("contoso", "embed", "text-embedding-3-small", version="1", sku="GlobalStandard")
    >>> job = estimate_embeddings(["hello world", "hello"], embed, on=date(2026, 10, 1))
    >>> job.tokens, job.amount
    (3, Decimal('6E-8'))
    """
    model = get_model(deployment.model, deployment.version)
    if model.kind != "embedding" or model.encoding is None:
        raise RequestError("model", f"{model.name!r} ({model.kind}) makes no embeddings")
    job = Job(deployment, prices, on)
    job.require(_INPUT)
    assumed = model.encoding_known == "assumed"
    if assumed:
        job.note(f"the encoding of {model.name} is assumed to be {model.encoding}")
    limit = model.max_input_tokens or model.context_tokens
    if limit is None:
        job.note(f"no limit of a text is known for {model.name}, so none is held to one")
    rejects = Rejects()
    counted = total = 0
    for tokens in _counts(_numbered(texts), get_encoding(model.encoding), limit, rejects, threads):
        counted += 1
        total += tokens
    for note in rejects.notes("texts"):
        job.note(note)
    usage = Usage({_INPUT: total})
    return EmbeddingsEstimate(
        **job.facts(usage, usage, None if rejects.count else usage, assumed=assumed),
        texts=counted,
        tokens=total,
        rejected_texts=rejects.count,
        rejected=tuple(rejects.listed),
    )


def _numbered(texts: Any) -> Iterator[tuple[int, Any]]:
    """Yield each text with its place."""
    if isinstance(texts, PathLike):
        return _lines(Path(texts))
    if isinstance(texts, (str, bytes)):
        raise RequestError("texts", "must be many texts, not one; give a pathlib.Path for a file")
    if isinstance(texts, Mapping) or hasattr(texts, "columns"):
        raise RequestError("texts", "must be the texts themselves: one column of a frame, as in frame['text']")
    if hasattr(texts, "to_pylist"):
        texts = texts.to_pylist()  # what Arrow gives one by one is no str
    try:
        return enumerate(iter(texts))
    except TypeError:
        raise RequestError("texts", f"must be many texts, not {type(texts).__name__}") from None


def _lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the lines of a file that are not empty; what is no UTF-8 stays bytes."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            line = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
            line = line.rstrip(b"\r\n")
            if not line.strip():
                continue
            try:
                yield number, line.decode("utf-8")
            except UnicodeDecodeError:
                yield number, line


def _counts(
    numbered: Iterator[tuple[int, Any]], encoding: Encoding, limit: int | None, rejects: Rejects, threads: int
) -> Iterator[int]:
    for chunk in _chunks(numbered):
        counts = iter(encoding.count_batch([text for _, text in chunk if _is_text(text)], threads=threads).tolist())
        for place, text in chunk:
            if not _is_text(text):
                rejects.add(place, _why_no_text(text))
                continue
            tokens = next(counts)
            if limit is not None and tokens > limit:
                rejects.add(place, f"has {tokens:,} tokens; the model accepts at most {limit:,}")
            else:
                yield tokens


def _chunks(numbered: Iterator[tuple[int, Any]]) -> Iterator[list[tuple[int, Any]]]:
    chunk: list[tuple[int, Any]] = []
    characters = 0
    for place, text in numbered:
        chunk.append((place, text))
        characters += len(text) if isinstance(text, (str, bytes)) else 0
        if len(chunk) >= _CHUNK_TEXTS or characters >= _CHUNK_CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    yield chunk


def _is_text(text: Any) -> bool:
    return isinstance(text, str) and text != ""


def _why_no_text(text: Any) -> str:
    if isinstance(text, str):
        return "is empty; the service refuses that"
    return "is not UTF-8 text" if isinstance(text, bytes) else f"is no text, but {type(text).__name__}"
