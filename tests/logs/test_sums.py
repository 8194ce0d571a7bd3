"""Sums of the parts of a log, each added up by a process of its own, are the sums of the log."""

from __future__ import annotations

import pickle
import re
from collections.abc import Sequence
from inspect import signature
from typing import Any, NamedTuple

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aoai_cost import cost_report
from aoai_cost.logs import Facets, ReadOptions, Tokens, read_usage, sum_usage
from aoai_cost.logs.formats import find_formats
from aoai_cost.logs.join import Calls
from aoai_cost.logs.parts import NOT_A_TIME, PART, Shared
from aoai_cost.logs.schema import QUALITIES
from aoai_cost.logs.sums import Sums

HOUR_US = 3_600_000_000
NOON_US = 1_791_979_200_000_000
FORMATS = find_formats("auto")
NAMES = [one.name for one in FORMATS]


class Call(NamedTuple):
    """A call, as a test says it."""

    facets: Facets
    timestamp_us: int
    prompt: int = 100
    source: str = "azure-monitor"
    quality: str = "measured"
    quantities: tuple[tuple[str, str, str, int], ...] = ()
    file: int = 0
    requests: int = 1


CALLS = st.lists(
    st.builds(
        Call,
        st.builds(
            Facets,
            resource=st.sampled_from([None, "/x/accounts/one", "one", "two"]),
            deployment=st.sampled_from([None, "chat", "mini"]),
            # One of them has a band for long prompts.
            model=st.sampled_from([None, "gpt-4o", "gpt-5.5"]),
            service_tier=st.sampled_from([None, "batch"]),
        ),
        st.sampled_from([NOT_A_TIME, NOON_US, NOON_US + HOUR_US, NOON_US + 12 * HOUR_US, 0]),
        st.sampled_from([0, 100, 300_000, 2**40]),
        st.sampled_from(["azure-monitor", "apim-llm-log", "apim-gateway-logs", "litellm", "azure-batch"]),
        st.sampled_from(QUALITIES),
        st.sampled_from([(), (("image", "text", "hd", 2),), (("image", "text", "hd", 1), ("image", "text", "low", 3))]),
        st.integers(0, 2),
        st.sampled_from([1, 1, -1, 4]),
    ),
    max_size=30,
)


def calls_of(calls: Sequence[Call], shared: Shared) -> Calls:
    """Return calls as the joiner gives them."""
    rows = np.zeros(len(calls), PART)
    for row, call in zip(rows, calls, strict=True):
        row["facets"] = shared.facets.number(call.facets)
        row["timestamp_us"], row["requests"], row["section"] = call.timestamp_us, call.requests, call.file
        row["source"] = NAMES.index(call.source)
        row["tokens"][Tokens._fields.index("prompt_tokens")] = call.prompt
        row["tokens"][Tokens._fields.index("completion_tokens")] = 7
        row["known"] = 0b1001
        row["quantities"] = shared.quantities.number(call.quantities)
    return Calls(
        rows, np.array([QUALITIES.index(call.quality) for call in calls], np.uint8), np.zeros(len(calls), bool)
    )


def added(*parts: Sequence[Call], by_hour: bool = False) -> Sums:
    """Return the sums of parts of a log, each added by itself."""
    sums = Sums(Shared(FORMATS, keep_texts=False), by_hour=by_hour)
    for calls in parts:
        alone = Shared(FORMATS, keep_texts=False)
        of_part = Sums(alone, by_hour=by_hour)
        of_part.add(calls_of(calls, alone))
        sums.learn(pickle.loads(pickle.dumps(of_part.state)))
    return sums


def told(sums: Sums) -> Any:
    return list(sums.groups()), sums.period, sums.formats


@given(CALLS, st.data())
def test_any_split_in_any_order_gives_the_same_sums(calls: list[Call], data: st.DataObject) -> None:
    shared = Shared(FORMATS, keep_texts=False)
    whole = Sums(shared)
    whole.add(calls_of(calls, shared))
    parts: list[list[Call]] = [[] for _ in range(data.draw(st.integers(1, 4)))]
    for call in data.draw(st.permutations(calls)):
        data.draw(st.sampled_from(parts)).append(call)
    assert told(added(*parts)) == told(whole)


def test_sums_of_sums_are_sums() -> None:
    calls = [Call(Facets(deployment=name), NOON_US) for name in ("a", "b", "a", "c")]
    inner = added(calls[:1], calls[1:3])
    outer = Sums(Shared(FORMATS, keep_texts=False))
    outer.learn(added(calls[3:]).state)
    outer.learn(inner.state)
    assert told(outer) == told(added(calls))
    assert [group.requests for _, group in outer.groups()] == [2, 1, 1]


def test_learning_changes_nothing_of_what_was_learnt() -> None:
    first, second = added([Call(Facets(), NOON_US)]), added([Call(Facets(), NOON_US, 5)])
    before = told(first)
    both = Sums(Shared(FORMATS, keep_texts=False))
    both.learn(first.state)
    both.learn(second.state)
    assert told(first) == before
    assert told(both) != before


def test_many_keys_are_put_together_while_they_are_added() -> None:
    day_us = 24 * HOUR_US
    calls = [Call(Facets(deployment=str(i % 7)), NOON_US + i % 400 * day_us, i) for i in range(5_000)]
    shared = Shared(FORMATS, keep_texts=False)
    sums = Sums(shared)
    for _ in range(30):
        sums.add(calls_of(calls, shared))
    found = list(sums.groups())
    assert len(found) == 2_800
    assert sum(group.usage["input", "text", ""] for _, group in found) == 30 * sum(range(5_000))


def test_a_report_takes_whatever_sums_take_and_the_docstrings_name_it() -> None:
    options = [name for name, one in signature(sum_usage).parameters.items() if one.kind is one.KEYWORD_ONLY]
    assert list(ReadOptions.__annotations__) == options
    for function in (sum_usage, cost_report):
        words = set(re.findall(r"\w+", function.__doc__ or ""))
        assert words.issuperset(options)
    own = [name for name, one in signature(read_usage).parameters.items() if one.kind is one.KEYWORD_ONLY]
    assert [*(name for name in options if name in own), "recount"] == own
    assert set(re.findall(r"\w+", read_usage.__doc__ or "")).issuperset(own)
