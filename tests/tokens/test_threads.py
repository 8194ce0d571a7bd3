"""Sixteen threads that share an encoding, and its texts, get the answers that one gets."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import numpy as np
import pytest
from random_texts import KINDS
from reference_tokens import BYTE_RANKS, tiktoken_encoding

from aoai_cost import get_encoding
from aoai_cost._fast.bpe import Counts, Vocabulary
from aoai_cost._fast.split import FAMILIES
from aoai_cost.tokens.encoding import Encoding
from aoai_cost.tokens.vocabulary import load_merges

THREADS = 16
SEED = 16


@pytest.fixture
def hasty_switches() -> Iterator[None]:
    """Let the interpreter change threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def texts_of_all_kinds() -> list[str]:
    random = Random(SEED)
    short = [kind(random) for kind in KINDS for _ in range(8)]
    # Long enough to be counted without the GIL; of every width; misses that fill and empty the caches.
    units = ("don't 12 x/\n", "na\xefve \xe9t\xe9 ", "\u6f22\u5b57\u306e", "\U0001f600 ")
    long = [unit * (20_000 // len(unit)) for unit in units]
    words = ["".join(random.choices("abcdefghij", k=9)) + " " for _ in range(2_000)]
    return [*short, *long, "".join(words), "x" * 30_000, " " * 30_000, ""]


def run_in_threads(work: Callable[[int], None]) -> None:
    """Run `work` for each number at once; raise what one of them raises."""
    errors: list[BaseException] = []
    together = threading.Barrier(THREADS)

    def begin(i: int) -> None:
        try:
            together.wait()
            work(i)
        except BaseException as error:  # noqa: BLE001  (raised again below, in the thread of the test)
            errors.append(error)

    threads = [threading.Thread(target=begin, args=(i,)) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def ask(encoding: Encoding, way: str, texts: list[str]) -> list[list[int]] | list[int]:
    """Return the ids, or the counts, of texts, asked for in one of the ways there are."""
    if way == "count":
        return [encoding.count(text) for text in texts]
    if way == "count_batch":
        return encoding.count_batch(texts, threads=2).tolist()
    if way == "encode_ordinary":
        return [encoding.encode_ordinary(text) for text in texts]
    if way == "encode_batch":
        return encoding.encode_ordinary_batch(texts, num_threads=2)
    ids, offsets = encoding.encode_flat(texts)
    return [ids[offsets[i] : offsets[i + 1]].tolist() for i in range(len(texts))]


WAYS = ("count", "encode_ordinary", "count_batch", "encode_flat", "encode_batch")


@pytest.mark.usefixtures("hasty_switches")
@pytest.mark.parametrize("name", ["cl100k_base", "o200k_base", "p50k_edit", "r50k_base"])
def test_sixteen_threads_get_the_answers_of_one(name: str) -> None:
    encoding, texts = get_encoding(name), texts_of_all_kinds()
    expected = [tiktoken_encoding(name).encode_ordinary(text) for text in texts]
    asked: list[str] = []

    def work(i: int) -> None:
        # Each in an order of its own, beginning with another way: all of them are in use at any time.
        order = Random(i).sample(range(len(texts)), len(texts))
        for turn in range(len(WAYS)):
            way = WAYS[(i + turn) % len(WAYS)]
            found = ask(encoding, way, [texts[k] for k in order])
            wanted = [len(expected[k]) if way.startswith("count") else expected[k] for k in order]
            assert found == wanted, (i, way)
            asked.append(way)

    run_in_threads(work)
    assert len(asked) == THREADS * len(WAYS)


def test_sixteen_threads_that_load_two_encodings_get_one_object_of_each() -> None:
    program = f"""
import sys, threading
from aoai_cost import get_encoding
sys.setswitchinterval(1e-6)
together, found = threading.Barrier({THREADS}), []
def load(i):
    together.wait()
    encoding = get_encoding(("o200k_base", "o200k_harmony")[i % 2])
    found.append((id(encoding), encoding.count("hello world")))
threads = [threading.Thread(target=load, args=(i,)) for i in range({THREADS})]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(found), *(len(set(each)) for each in zip(*found)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == f"{THREADS} 2 1\n"


@pytest.mark.usefixtures("hasty_switches")
def test_threads_that_begin_together_with_a_new_vocabulary() -> None:
    texts = tuple(text for text in texts_of_all_kinds() if len(text) < 1_000)
    expected = [len(tiktoken_encoding("o200k_base").encode_ordinary(text)) for text in texts]
    merges = load_merges("o200k_base")
    for _ in range(3):
        vocabulary = Vocabulary(merges, FAMILIES["o200k"])
        out = np.full(THREADS * len(texts), -1, dtype=np.int64)
        counts = Counts(vocabulary, texts * THREADS, out)
        run_in_threads(lambda i, counts=counts: counts.run(i * len(texts), (i + 1) * len(texts)))  # type: ignore[misc]
        assert out.tolist() == expected * THREADS


@pytest.mark.parametrize("backend", ["compiled", "tiktoken"])
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("wrong", [1, None, b"bytes", ["list"]], ids=repr)
def test_the_first_of_what_is_no_text_is_named(backend: str, threads: int, wrong: Any) -> None:
    import tiktoken

    described: dict[str, Any] = {"pat_str": r"\w+|\W", "mergeable_ranks": BYTE_RANKS, "special_tokens": {}}
    slow = Encoding.from_tiktoken(tiktoken.Encoding("words", **described))
    encoding = slow if backend == "tiktoken" else get_encoding("o200k_base")
    assert encoding.backend == backend
    for at in (0, 1, 499, 998):
        many: list[Any] = ["a"] * 1_000
        many[at] = wrong
        many[999] = object()
        with pytest.raises(TypeError, match=f"text {at} is {type(wrong).__name__}, not str"):
            encoding.count_batch(many, threads=threads)


class Subclass(str):
    __slots__ = ()

    def __len__(self) -> int:
        raise AssertionError("what a subclass does is of no account")


@pytest.mark.parametrize("threads", [1, 2])
def test_texts_of_a_subclass(threads: int) -> None:
    many = [Subclass("hello world"), "", Subclass("\u6f22\u5b57")]
    assert get_encoding("o200k_base").count_batch(many, threads=threads).tolist() == [2, 0, 2]


@pytest.mark.usefixtures("hasty_switches")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_list_that_is_changed_while_it_is_counted(threads: int) -> None:
    encoding = get_encoding("o200k_base")
    many: list[str] = []
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            many.clear()  # nobody but the count holds the old texts then
            many.extend(f"message {i} \u6f22\u5b57" for i in range(2_000))

    changing = threading.Thread(target=change)
    changing.start()
    try:
        counted = [encoding.count_batch(many, threads=threads) for _ in range(200)]
        # On a busy machine the list may not have been filled yet.
        until = time.monotonic() + 30
        while not any(map(len, counted)) and time.monotonic() < until:
            time.sleep(0.001)
            counted.append(encoding.count_batch(many, threads=threads))
    finally:
        done.set()
        changing.join()
    expected = [encoding.count(f"message {i} \u6f22\u5b57") for i in range(2_000)]
    assert max(map(len, counted)) > 0
    for counts in counted:
        assert counts.tolist() == expected[: len(counts)]


@pytest.mark.parametrize(("first", "last"), [(-1, 1), (0, 3), (2, 1)])
def test_texts_that_are_not_there(first: int, last: int) -> None:
    counts = Counts(get_encoding("o200k_base")._vocabulary, ("a", "b"), np.zeros(2, dtype=np.int64))
    with pytest.raises(IndexError, match="among 2"):
        counts.run(first, last)


@pytest.mark.parametrize("many", [("no end of words, " * 5_000,) * 4_000, ("no end of words, " * 4_000_000,)], ids=len)
def test_a_count_that_is_stopped_ends_soon(many: tuple[str, ...]) -> None:
    out = np.zeros(len(many), dtype=np.int64)
    counts = Counts(get_encoding("o200k_base")._vocabulary, many, out)
    running = threading.Thread(target=counts.run, args=(0, len(many)))
    running.start()
    while running.is_alive() and not out[0]:
        time.sleep(0.001)
    counts.stop()
    running.join()
    assert out[-1] < len(many[-1]) // 4


def test_an_interrupted_batch_in_threads_ends_them() -> None:
    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    encoding = get_encoding("o200k_base")
    many = ["no end of words, " * 5_000] * 100_000
    # Tests of notebooks leave threads behind.
    others = set(threading.enumerate())
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(KeyboardInterrupt):
            encoding.count_batch(many, threads=2)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert set(threading.enumerate()) <= others
