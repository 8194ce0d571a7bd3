"""Counting up to a limit, cutting to a number of tokens, showing tokens, and counts that are kept."""

from __future__ import annotations

import gc
import html
import re
import sys
from array import array
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference_tokens import BYTE_RANKS, tiktoken_encoding
from strategies import any_texts, sharp_texts

from aoai_cost import get_encoding
from aoai_cost._fast.bpe import Counts
from aoai_cost.tokens.encoding import Encoding, _edges

NAMES = ["o200k_base", "cl100k_base", "r50k_base"]
texts = st.one_of(sharp_texts, any_texts, st.text("ab ", max_size=300))


@pytest.fixture(scope="module")
def slow() -> Encoding:
    """An encoding whose backend is tiktoken."""
    import tiktoken

    made = tiktoken.Encoding("words", pat_str=r"\w+|\W", mergeable_ranks=BYTE_RANKS, special_tokens={})
    return Encoding.from_tiktoken(made)


@pytest.mark.parametrize("name", NAMES)
@given(text=texts, limit=st.integers(-2, 40))
def test_counting_until_a_limit(name: str, text: str, limit: int) -> None:
    encoding = get_encoding(name)
    count = encoding.count(text)
    assert encoding.count_until(text, limit) == (count if count <= limit else None)


def test_counting_until_a_limit_in_long_texts() -> None:
    encoding = get_encoding("o200k_base")
    for text in ("hello wide world " * 20_000, "日本語の文章です。" * 20_000, "a" * 300_000):
        count = encoding.count(text)
        assert encoding.count_until(text, count) == count
        assert encoding.count_until(text, count - 1) is None
        assert encoding.count_until(text, 3) is None


@pytest.mark.parametrize("name", NAMES)
@given(text=texts, most=st.integers(0, 30))
def test_a_cut_text_is_a_beginning_with_no_more_tokens(name: str, text: str, most: int) -> None:
    encoding = get_encoding(name)
    kept = encoding.truncate(text, most)
    assert text.startswith(kept)
    assert encoding.count(kept) <= most
    if encoding.count(text) <= most:
        assert kept == text


@pytest.mark.parametrize(
    ("text", "most", "kept"),
    [
        pytest.param("hello wide world", 2, "hello wide", id="at the end of a token"),
        pytest.param("hello wide world", 3, "hello wide world", id="all of it"),
        pytest.param("hello", 0, "", id="nothing"),
        pytest.param("🦸", 1, "", id="a character of several tokens stays whole"),
        pytest.param("a🦸", 2, "a", id="what is before it is kept"),
        pytest.param("日本語" * 9, 5, "日本語" * 2 + "日本", id="characters of three bytes"),
        pytest.param("\ud83e\uddb8" + "a" * 40, 3, "\ud83e\uddb8", id="surrogates that make a pair are one character"),
        pytest.param("\ud83e" + " b" * 40, 2, "\ud83e b", id="a lone surrogate is one"),
    ],
)
def test_where_a_text_is_cut(text: str, most: int, kept: str) -> None:
    assert get_encoding("o200k_base").truncate(text, most) == kept


def test_a_negative_number_of_tokens_is_an_error() -> None:
    with pytest.raises(ValueError, match="max_tokens"):
        get_encoding("o200k_base").truncate("hello", -1)


@pytest.mark.parametrize(
    "ask", [lambda e: e.count_until(b"x", 1), lambda e: e.truncate(1, 1), lambda e: e.split_tokens(None)]
)
def test_what_is_no_text_is_a_type_error(ask: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError):
        ask(get_encoding("o200k_base"))


@pytest.mark.parametrize("name", NAMES)
@given(text=st.one_of(sharp_texts, st.text()))
def test_tokens_and_where_they_start(name: str, text: str) -> None:
    theirs = tiktoken_encoding(name)
    ids = theirs.encode_ordinary(text)
    spelled, offsets = get_encoding(name).split_tokens(text)
    assert spelled == theirs.decode_tokens_bytes(ids)
    assert offsets == theirs.decode_with_offsets(ids)[1]


def test_the_other_backend_gives_the_same_parts(slow: Encoding) -> None:
    assert slow.backend == "tiktoken"
    assert slow.count_until("naïve x", 8) == 8
    assert slow.count_until("naïve x", 7) is None
    assert slow.truncate("naïve x", 3) == "na"
    assert slow.truncate("naïve x", 4) == "naï"
    assert slow.split_tokens("ï") == ([b"\xc3", b"\xaf"], [0, 0])
    assert [part.tolist() for part in slow.encode_flat(["ab", "", "c"])] == [[97, 98, 99], [0, 2, 2, 3]]
    with pytest.raises(TypeError, match="text 1 is int"):
        slow.encode_flat(["a", 1])  # type: ignore[list-item]


class Arrow:
    """What an Arrow array offers: its texts come out of it as ``str`` only all at once."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts

    def __iter__(self) -> Any:
        raise AssertionError("one by one they are no str")

    def to_pylist(self) -> list[str]:
        return self.texts


SHAPES: dict[str, Callable[[list[str]], Any]] = {
    "list": list,
    "tuple": tuple,
    "generator": iter,
    "NumPy objects": lambda texts: np.array(texts, dtype=object),
    "NumPy strings": np.array,
    "Series of objects": lambda texts: pd.Series(texts, dtype=object),
    "Series of strings": lambda texts: pd.Series(texts, dtype="string"),
    "Arrow": Arrow,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_batch_comes_in_many_shapes(shape: str) -> None:
    encoding = get_encoding("o200k_base")
    many = ["hello", "", "naïve 日本語", "don't\n"]
    make = SHAPES[shape]
    expected: list[Sequence[int]] = [encoding.encode(text) for text in many]
    assert encoding.count_batch(make(many)).tolist() == [len(ids) for ids in expected]
    ids, offsets = encoding.encode_flat(make(many))
    assert [ids[a:b].tolist() for a, b in pairwise(offsets)] == expected
    assert encoding.encode_batch(make(many)) == expected
    assert encoding.encode_ordinary_batch(make(many), num_threads=1) == expected


@given(many=st.lists(texts, max_size=6))
def test_a_flat_batch_equals_one_by_one(many: list[str]) -> None:
    ids, offsets = get_encoding("cl100k_base").encode_flat(many)
    assert (ids.dtype, offsets.dtype, offsets[0], offsets[-1]) == (np.uint32, np.int64, 0, len(ids))
    for i, text in enumerate(many):
        assert ids[offsets[i] : offsets[i + 1]].tolist() == get_encoding("cl100k_base").encode_ordinary(text)


@pytest.mark.parametrize("wrong", [[1], ["a", None], [b"a"]])
def test_what_is_no_text_in_a_flat_batch_is_named(wrong: list[Any]) -> None:
    with pytest.raises(TypeError, match=f"text {len(wrong) - 1} is"):
        get_encoding("o200k_base").encode_flat(wrong)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_threads_share_one_long_text(name: str, threads: int) -> None:
    text = "".join(f"It's line {i},  of  {i * i} «слово»\n\n  日本語 x\n" for i in range(20_000))
    assert get_encoding(name).count(text, threads=threads) == len(tiktoken_encoding(name).encode_ordinary(text))


def test_a_text_without_blanks_is_not_shared(slow: Encoding) -> None:
    assert _edges("x" * 1_000_000, 4) == [0, 1_000_000]
    assert _edges("x  " * 1_000_000, 1)[:2] == [0, 750_001]
    assert len(_edges("x " * 1_000_000, 2)) == 9
    assert slow.count("ab c" * 300_000, threads=3) == 1_200_000
    with pytest.raises(ValueError, match="threads"):
        get_encoding("o200k_base").count("x", threads=0)


@pytest.mark.parametrize("edges", [[], [0], [0, 2], [1, 3], [0, 4, 3]])
def test_edges_that_are_none_of_the_text(edges: list[int]) -> None:
    with pytest.raises(ValueError, match=r"edges|counts"):
        Counts(
            get_encoding("o200k_base")._vocabulary,
            ("abc",),
            np.zeros(max(len(edges) - 1, 1), np.int64),
            array("q", edges),
        )


def test_the_length_of_a_text_is_not_what_a_subclass_says() -> None:
    class Longer(str):
        __slots__ = ()

        def __len__(self) -> int:
            return 1_000_000

    edges = array("q", [0, 1_000_000])
    with pytest.raises(ValueError, match="edges"):
        Counts(get_encoding("o200k_base")._vocabulary, (Longer("abc"),), np.zeros(1, np.int64), edges)


def test_counts_that_are_kept_are_those_of_the_very_text() -> None:
    encoding = get_encoding("o200k_base")
    long = ["x" * 600, "é" * 600, "日" * 600, "🦸" * 600, "a b " * 200, "12 " * 300]
    # Many more than are kept, so that places are taken again; twice, equal but not the same objects.
    many = [f"{text}{i}" for i in range(60) for text in long]
    expected = [len(tiktoken_encoding("o200k_base").encode_ordinary(text)) for text in many]
    for _ in range(2):
        assert [encoding.count(text) for text in many] == expected
        for text, count in zip(many, expected, strict=True):
            again = "".join(list(text))
            assert again is not text
            assert encoding.count(again) == encoding.count(text) == count


def test_the_texts_that_are_kept_are_few_and_short() -> None:
    encoding = get_encoding("o200k_base")
    many = [f"a text that is counted, {i} " * 40 for i in range(2_000)]
    long = ["y" * 70_000 + str(i) for i in range(8)]
    short = [f"short {i}" for i in range(50)]
    for text in (*many, *long, *short):
        encoding.count(text)
    del text
    gc.collect()
    # As many references as texts have that were never counted.
    alone = [f"a text that is not counted, {i}" for i in range(3)]
    least = max(sys.getrefcount(text) for text in alone)
    assert 0 < sum(sys.getrefcount(text) > least for text in many) <= 64
    assert not any(sys.getrefcount(text) > least for text in long)
    assert not any(sys.getrefcount(text) > least for text in short)


@given(st.text(max_size=60))
def test_a_split_shows_every_character_of_the_text(text: str) -> None:
    split = get_encoding("o200k_base").split_tokens(text)
    shown = re.sub(r"<style>.*?</style>|<p>.*?</p>|<[^>]*>", "", split._repr_html_(), flags=re.DOTALL)
    assert html.unescape(shown) == text.encode("utf-8", "replace").decode("utf-8")
    assert f"<p>{len(split.tokens):,} tokens</p>" in split._repr_html_()
