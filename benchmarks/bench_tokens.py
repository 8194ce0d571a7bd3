"""Counting and encoding beside tiktoken: sizes from 10 to 10 million characters, the worst texts, and threads.

`table.py` measures real texts, beside more tokenizers. Before anything is timed the ids are compared with tiktoken's.
The saved run gives MB of UTF-8 a second. tiktoken has no count, so its encode stands beside ours. Every round reads
the same text again, which flatters caches: a first pass over new text is slower.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from reference_tokens import tiktoken_encoding

from aoai_cost import get_encoding

CORPORA = Path(os.environ.get("AOAI_COST_TEST_DATA", Path(__file__).resolve().parents[2] / "shared")) / "corpora"
SOURCES = sorted((Path(__file__).resolve().parents[1] / "src").rglob("*.py"))
CODE = "".join(path.read_text("utf-8") for path in SOURCES)
WORST = {"one letter": "a" * 1_000_000, "blanks": " " * 900_000, "equals signs": "=" * 1_000_000}
LADDER = {f"{n:,} characters": (CODE * 200)[:n] for n in (10, 1_000, 100_000, 10_000_000)}
TEXTS = {**WORST, **LADDER}


def count(name: str) -> Callable[[str], Any]:
    return get_encoding(name).count


def encode_flat(name: str) -> Callable[[str], Any]:
    encode = get_encoding(name).encode_flat
    return lambda text: encode([text])


def encode(name: str) -> Callable[[str], Any]:
    return get_encoding(name).encode_ordinary


def tiktoken_encode(name: str) -> Callable[[str], Any]:
    return tiktoken_encoding(name).encode_ordinary


def measure(benchmark: BenchmarkFixture, work: Callable[[Any], Any], given: Any, n_bytes: int) -> None:
    benchmark(work, given)
    if benchmark.stats is not None:
        benchmark.extra_info["MB_per_s"] = round(n_bytes / 1e6 / benchmark.stats.stats.median, 1)


@pytest.mark.parametrize("make", [count, encode_flat, encode, tiktoken_encode], ids=lambda make: make.__name__)
@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("name", ["o200k_base", "cl100k_base"])
def test_one_text(benchmark: BenchmarkFixture, name: str, kind: str, make: Callable[[str], Any]) -> None:
    text = TEXTS[kind]
    ids = tiktoken_encoding(name).encode_ordinary(text)
    assert get_encoding(name).encode_ordinary(text) == ids
    assert get_encoding(name).encode_flat([text])[0].tolist() == ids
    assert get_encoding(name).count(text) == len(ids)
    benchmark.group = f"{name}, {kind}"
    measure(benchmark, make(name), text, len(text.encode()))


def batch(threads: int) -> Callable[[list[str]], Any]:
    counts = get_encoding("o200k_base").count_batch
    return lambda many: counts(many, threads=threads)


def tiktoken_batch(threads: int) -> Callable[[list[str]], Any]:
    encode_batch = tiktoken_encoding("o200k_base").encode_ordinary_batch
    return lambda many: encode_batch(many, num_threads=threads)


def tiktoken_loop(threads: int) -> Callable[[list[str]], Any]:
    encode_one = tiktoken_encoding("o200k_base").encode_ordinary
    return lambda many: [encode_one(text) for text in many]


@pytest.mark.parametrize(
    ("make", "threads"),
    [(batch, 1), (batch, 2), (tiktoken_batch, 1), (tiktoken_batch, 2), (tiktoken_loop, 1)],
    ids=lambda value: getattr(value, "__name__", f"{value} threads"),
)
def test_many_messages(benchmark: BenchmarkFixture, make: Callable[[int], Any], threads: int) -> None:
    texts = [path.read_text("utf-8") for path in sorted(CORPORA.glob("*.txt"))] or [CODE]
    many = [line for text in texts for line in text[:1_000_000].splitlines() if 20 <= len(line) <= 400][:20_000]
    expected = [len(ids) for ids in tiktoken_encoding("o200k_base").encode_ordinary_batch(many)]
    assert get_encoding("o200k_base").count_batch(many, threads=threads).tolist() == expected
    benchmark.group = f"{len(many):,} messages of 20 to 400 characters"
    measure(benchmark, make(threads), many, sum(len(text.encode()) for text in many))


def test_load_a_vocabulary(benchmark: BenchmarkFixture) -> None:
    from aoai_cost.tokens.encoding import _load_vocabulary

    benchmark.group = "load o200k_base"
    assert benchmark(_load_vocabulary, "o200k_base", "o200k").n_ids == 199_998
