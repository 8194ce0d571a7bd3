"""Sixteen threads that share an encoding, and its texts, get the answers that one gets."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from random import Random

import pytest
from random_texts import KINDS
from reference_tokens import tiktoken_encoding

from aoai_cost import get_encoding
from aoai_cost.tokens.encoding import Encoding

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
