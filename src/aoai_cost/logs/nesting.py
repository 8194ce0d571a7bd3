"""Calls that are told again around themselves: a framework writes a span around the one of the client that it uses.

Only the innermost spans of a trace are calls. Which these are is known when everything was read: until then each span
is kept by its place in its trace, with a mark on every span around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from .parts import PART, Parts, Shared, digest_of, some
from .schema import FileCounts, Identity, PartKind

__all__ = ["leave_innermost", "span_records"]

_KIND = (PART.names or ()).index("kind")


def span_records(
    shared: Shared, source: int, record: tuple[Any, ...], span: Identity, around: tuple[Identity, ...]
) -> Iterator[tuple[Any, ...]]:
    """Yield the record of a call under its span instead of its identity, and the marks on the spans around it.

    All of them remember the identity in ``call`` and ``request``, which calls of spans do not use.
    """
    identity, _, _, *rest = record
    yield digest_of(shared, source, span), *identity, *rest
    rest[_KIND - 3] = PartKind.AROUND
    for one in around:
        yield digest_of(shared, source, one), *identity, *rest


def leave_innermost(parts: Parts, counts: list[FileCounts]) -> Parts:
    """Return the rows of calls under their identities, given all rows and marks of each of their spans.

    A span around a call is the same call if it names no answer of its own, or the same answer: it is joined, so that
    nothing but its names counts. One that names another answer is another call.
    """
    are_marks = parts["kind"] == PartKind.AROUND
    marks, calls = some(parts, are_marks), some(parts, ~are_marks)
    spans, identities = calls["digest"].copy(), _identities(calls)
    is_around = np.isin(_as_keys(spans), _as_keys(marks["digest"]))
    same_answer = np.isin(
        _as_keys(np.hstack([spans, identities])), _as_keys(np.hstack([marks["digest"], _identities(marks)]))
    )
    calls["kind"][same_answer] = PartKind.REST
    calls["tokens"][same_answer] = 0
    calls["known"][same_answer] = 0
    calls["digest"] = identities
    # Pieces of a call are told from copies by their spans.
    calls["call"] = np.where(same_answer, spans[:, 0] | np.uint64(1), np.uint64(0))
    calls["request"] = 0
    # Its span is the identity of a call that names no answer.
    dropped = is_around & (spans == identities).all(axis=1)
    _, first = np.unique(_as_keys(spans[dropped]), return_index=True)
    firsts = set(first.tolist())
    for i, section in enumerate(calls["section"][dropped].tolist()):
        if i in firsts:
            counts[section].joined += 1
        else:
            counts[section].duplicates += 1
    return some(calls, ~dropped)


def _identities(parts: Parts) -> npt.NDArray[np.uint64]:
    return np.stack([parts["call"], parts["request"]], axis=1)


def _as_keys(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.void]:
    """Return rows of numbers as one value each, which can be sorted."""
    kind = np.dtype([(f"f{i}", "u8") for i in range(numbers.shape[1])])
    return np.ascontiguousarray(numbers).view(kind)[:, 0]
