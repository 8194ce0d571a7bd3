"""Calls that are told again around themselves: a framework writes a span around the one of the client that it uses.

Only the innermost spans of a trace are calls. Which these are is known when everything was read: until then each span
is kept by its place in its trace, with a mark on every span around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .parts import PART, Parts, Shared, digest_of
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
    marks, calls = parts[are_marks], parts[~are_marks]
    held: dict[tuple[int, ...], set[tuple[int, int]]] = {}
    for digest, *identity in _keys(marks):
        held.setdefault(digest, set()).add((identity[0], identity[1]))
    seen: set[tuple[int, ...]] = set()
    keep = np.ones(len(calls), bool)
    for row, (digest, *identity) in enumerate(_keys(calls) if held else ()):
        inside = held.get(digest)
        if inside is None:
            continue
        if tuple(identity) == digest:
            keep[row] = False
            # A copy of it is a duplicate, as of any row.
            of_file = counts[int(calls["file"][row])]
            if digest in seen:
                of_file.duplicates += 1
            else:
                of_file.joined += 1
            seen.add(digest)
        elif tuple(identity) in inside:
            calls["kind"][row], calls["tokens"][row], calls["known"][row] = PartKind.REST, 0, 0
    spans = calls["digest"][:, 0] | np.uint64(1)
    calls["digest"] = np.stack([calls["call"], calls["request"]], axis=1)
    # Pieces of a call are told from copies by their spans.
    calls["call"] = np.where(calls["kind"] == PartKind.REST, spans, 0)
    calls["request"] = 0
    left: Parts = calls[keep]
    return left


def _keys(parts: Parts) -> Iterator[tuple[tuple[int, ...], int, int]]:
    digests = map(tuple, parts["digest"].tolist())
    return zip(digests, parts["call"].tolist(), parts["request"].tolist(), strict=True)
