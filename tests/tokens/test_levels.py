"""The kernels at every level of vector code: the pieces of the automaton, and the ids of tiktoken."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_texts import random_text
from reference_tokens import BYTE_RANKS, merge_piece, packaged_ranks, tiktoken_encoding
from strategies import sharp_texts

from aoai_cost._fast.levels import runnable_levels
from aoai_cost._fast.split import FAMILIES, split_pieces
from aoai_cost.tokens.build_vocabularies import list_merges
from aoai_cost.tokens.vocabulary import load_merges

LEVELS = runnable_levels()
NAMES = {"o200k_base": "o200k", "cl100k_base": "cl100k", "r50k_base": "r50k"}


@cache
def vocabulary(level: str, name: str) -> Any:
    return import_module(f"aoai_cost._fast.bpe_{level}").Vocabulary(load_merges(name), FAMILIES[NAMES[name]])


def made(level: str, family: str, tokens: list[bytes]) -> Any:
    ranks = dict(BYTE_RANKS)
    for token in tokens:
        ranks.setdefault(token, len(ranks))
    return import_module(f"aoai_cost._fast.bpe_{level}").Vocabulary(list_merges(ranks), FAMILIES[family])


def spelled(vocabulary: Any, text: str) -> list[bytes]:
    return [vocabulary.token_bytes(number) for number in vocabulary.encode(text)]


def parts_of(pieces: list[str]) -> list[bytes]:
    """Return every part of every piece, the short ones first, so that each piece is merged into one token."""
    parts = {
        piece[start:end]
        for piece in map(str.encode, pieces)
        for start in range(len(piece))
        for end in range(start + 2, len(piece) + 1)
    }
    return sorted(parts, key=lambda part: (len(part), part))


# A window has 64 bytes; what stands before moves the rest over its end.
@pytest.mark.parametrize("family", FAMILIES)
@given(text=sharp_texts.map(lambda text: text[:60]), before=st.integers(0, 66), ascii_before=st.booleans())
def test_windows_find_the_pieces_of_the_automaton(family: str, text: str, before: int, ascii_before: bool) -> None:
    filled = (("ab " if ascii_before else "é ") * before)[:before] + text
    pieces = [piece for piece in split_pieces(filled, family) if len(piece.encode()) < 60]
    tokens = parts_of(pieces)
    for level in LEVELS:
        found = spelled(made(level, family, tokens), filled)
        expected = [piece.encode() for piece in split_pieces(filled, family)]
        assert b"".join(found) == filled.encode()
        # A longer piece is not made a token, so its parts are whatever merges make of them.
        short = [piece for piece in expected if len(piece) < 60]
        assert list(_between_long(found, expected)) == short, level


def _between_long(found: list[bytes], expected: list[bytes]) -> Iterator[bytes]:
    """Yield the tokens that stand where the expected pieces are short."""
    at, edges, start = 0, [], 0
    for piece in expected:
        edges.append((start, start + len(piece), len(piece) < 60))
        start += len(piece)
    for token in found:
        if any(short and begin <= at < end for begin, end, short in edges):
            yield token
        at += len(token)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", NAMES)
def test_random_texts_have_the_ids_of_tiktoken(name: str, level: str) -> None:
    random = Random(f"{name} {level}")
    theirs, ours = tiktoken_encoding(name), vocabulary(level, name)
    for _ in range(150):
        text = random_text(random)
        ids = theirs.encode_ordinary(text)
        assert ours.encode(text) == ids, ascii(text)
        assert ours.count(text) == len(ids), ascii(text)


SCRIPTS = {
    "Han": (0x4E00, 0x9FFF),
    "kana": (0x3041, 0x30FF),
    "Hangul": (0xAC00, 0xD7A3),
    "Thai": (0x0E01, 0x0E5B),
    "Devanagari": (0x0900, 0x097F),
    "Cyrillic": (0x0400, 0x045F),
    "wide forms": (0xFF00, 0xFFEF),
}


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("name", NAMES)
def test_long_runs_of_a_script_are_cut_only_where_no_token_spans(name: str, script: str) -> None:
    random = Random(script)
    theirs = tiktoken_encoding(name)
    ranks = [token.decode("utf-8", errors="ignore") for token in packaged_ranks(name)]
    first, last = SCRIPTS[script]
    common = [text for text in ranks if text and all(first <= ord(character) <= last for character in text)]
    for size in (5, 40, 700):
        # Characters at random, and tokens at random, whose borders are where merges may cross.
        texts = ["".join(chr(random.randint(first, last)) for _ in range(size)) for _ in range(8)]
        texts += ["".join(random.choices(common, k=size)) for _ in range(8 if common else 0)]
        for text in texts:
            ids = theirs.encode_ordinary(text)
            for level in LEVELS:
                assert vocabulary(level, name).encode(text) == ids, ascii(text)
                assert vocabulary(level, name).count(text) == len(ids), ascii(text)


@pytest.mark.parametrize("level", LEVELS)
@given(
    tokens=st.lists(st.lists(st.sampled_from(b"ab"), min_size=2, max_size=6).map(bytes), min_size=1, max_size=12),
    unit=st.text("ab", min_size=1, max_size=12),
    repeats=st.integers(1, 200),
    rest=st.text("ab", max_size=700),
)
@settings(max_examples=25)
def test_long_pieces_are_merged_as_a_whole(level: str, tokens: list[bytes], unit: str, repeats: int, rest: str) -> None:
    # A token that its own merges do not make is no vocabulary of ours: leave it out.
    kept: dict[bytes, int] = dict(BYTE_RANKS)
    for token in tokens:
        if token not in kept and merge_piece({**kept, token: len(kept)}, token) == [len(kept)]:
            kept[token] = len(kept)
    ours = made(level, "o200k", [token for token in kept if len(token) > 1])
    text = unit * repeats + rest
    expected = merge_piece(kept, text.encode())
    assert ours.encode(text) == expected
    assert ours.count(text) == len(expected)


@pytest.mark.parametrize("level", LEVELS)
def test_what_was_seen_is_forgotten_without_a_trace(level: str) -> None:
    random = Random(1)
    name = "o200k_base"
    # More pieces than any cache holds, of every length that has a cache of its own; then the first ones again.
    words = [
        "".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=random.choice((3, 7, 12, 20, 29, 50))))
        for _ in range(60_000)
    ]
    text = " ".join(words)
    expected = tiktoken_encoding(name).encode_ordinary(text)
    ours = import_module(f"aoai_cost._fast.bpe_{level}").Vocabulary(load_merges(name), FAMILIES[NAMES[name]])
    for _ in range(2):
        assert ours.count(text) == len(expected)
        assert ours.encode(text) == expected
    again = text[:100_000]
    assert ours.encode(again) == tiktoken_encoding(name).encode_ordinary(again)


@pytest.mark.parametrize("level", LEVELS)
def test_ids_given_out_stay_as_they_are_however_many(level: str) -> None:
    ours = vocabulary(level, "o200k_base")
    (letter,) = ours.encode(" a")
    # Few ids are copied out of the memory in which the next ones are made; from 0x4001 on they are given with it.
    sizes = [0, 1, 2, 0x3FFF, 0x4000, 0x4001, 0x5000, 300_000]
    given = [ours.encode_bytes(" a" * size) for size in [*sizes, *reversed(sizes)]]
    for size, ids in zip([*sizes, *reversed(sizes)], given, strict=True):
        assert ids == letter.to_bytes(4, sys.byteorder) * size, size
        assert sys.getsizeof(ids) == sys.getsizeof(bytes(len(ids)))
    offsets = np.zeros(3, dtype=np.int64)
    with pytest.raises(TypeError):
        ours.encode_flat([" b" * 100_000, 1], offsets)
    assert ours.encode_flat([" a" * 0x5000, " a"], offsets) == letter.to_bytes(4, sys.byteorder) * 0x5001
    assert offsets.tolist() == [0, 0x5000, 0x5001]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("line", ["-" * 64 + "\n", "abcd ", " " * 80 + "x\n", "incomprehensibilities " * 3], ids=repr)
def test_ids_keep_little_more_memory_than_they_need(level: str, line: str) -> None:
    ours = vocabulary(level, "o200k_base")
    for size in (1_000, 20_000, 60_000):
        text = line * (size * 6 // len(line))
        ours.encode_bytes(text)
        tracemalloc.start()
        try:
            ids = ours.encode_bytes(text)
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert kept < 2 * len(ids) + 0x1000


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("end", ["", "\u3000"], ids=ascii)
def test_wide_characters_at_the_end_of_a_part(level: str, end: str) -> None:
    # 0x4000 bytes are a part; a block of characters may begin just before that. New, so that no room is left over.
    theirs = tiktoken_encoding("cl100k_base")
    for before in range(24):
        text = "Hello, World 12345678901"[:before] + "\u6f22" * 5_462 + end + "\u6f22" * 2
        ours = import_module(f"aoai_cost._fast.bpe_{level}").Vocabulary(load_merges("cl100k_base"), FAMILIES["cl100k"])
        assert ours.encode(text) == theirs.encode_ordinary(text), before
        assert ours.count(text) == len(theirs.encode_ordinary(text)), before


@pytest.mark.parametrize("level", LEVELS)
def test_a_vocabulary_of_bytes_alone(level: str) -> None:
    ours = made(level, "cl100k", [])
    assert ours.encode("h\u00e9") == [104, 195, 169]
    assert (ours.count_until("abc", 5), ours.count_until("abc", 2)) == (3, None)


@pytest.mark.parametrize("level", LEVELS)
def test_pieces_of_many_tokens_stand_in_order_among_the_others(level: str) -> None:
    random = Random(level)
    theirs, ours = tiktoken_encoding("o200k_base"), vocabulary(level, "o200k_base")
    # Of 1 to 15 tokens in at most 15 bytes, of more in longer ones, and of so many that none is remembered.
    seldom = "zqxjkvbw"
    for _ in range(40):
        words = ["".join(random.choices(seldom, k=size)) for size in (*range(1, 34), 121, 122, 123, 511, 513, 1500)]
        words += ["the", " of", "\u0416", "\U00010348" * 3, "\u0e01\u0e33" * 4, "\u5c0f"] * 8
        text = " ".join(random.sample(words * 3, len(words) * 3))
        expected = theirs.encode_ordinary(text)
        assert ours.encode(text) == expected
        assert memoryview(ours.encode_bytes(text)).cast("I").tolist() == expected


def imported(isa: str | None, statement: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "AOAI_COST_ISA"}
    if isa is not None:
        environment["AOAI_COST_ISA"] = isa
    return subprocess.run(
        [sys.executable, "-c", statement], env=environment, capture_output=True, text=True, check=False
    )


ASK = "from aoai_cost._fast import bpe; print(bpe.LEVEL, bpe.Vocabulary.__module__)"


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_can_be_forced(level: str) -> None:
    assert imported(level, ASK).stdout.split() == [level, f"aoai_cost._fast.bpe_{level}"]


def test_the_best_level_is_taken_unless_one_is_named() -> None:
    assert imported(None, ASK).stdout.split()[0] == LEVELS[0]
    assert imported("", ASK).stdout.split()[0] == LEVELS[0]


def test_an_unknown_level_is_an_error_that_names_the_known_ones() -> None:
    error = imported("sse9", ASK).stderr
    assert "sse9" in error
    assert "portable" in error
    assert "UnknownNameError" in error
