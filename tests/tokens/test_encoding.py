"""Every encoding gives tiktoken's ids, counts, texts and errors."""

from __future__ import annotations

import pickle
import signal
import threading
from collections.abc import Callable, Collection, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from reference_tokens import merge_piece, packaged_ranks, tiktoken_encoding
from strategies import any_texts, sharp_texts

from aoai_cost import Encoding, UnknownNameError, count_tokens, count_tokens_batch, encoding_for_model, get_encoding
from aoai_cost._fast.bpe import Counts
from aoai_cost.tokens.encoding import ENCODING_NAMES

# One name for each vocabulary and pattern; the others differ in special tokens alone.
DISTINCT = ("cl100k_base", "o200k_base", "p50k_base", "r50k_base")
SPECIALS = ["<|endoftext|>", "<|endofprompt|>", "<|fim_prefix|>", "<|start|>", "<|reserved_200018|>", "<|nonsense|>"]

with_specials = st.lists(st.one_of(st.sampled_from([*SPECIALS, "<|", "|>", "<", " \n"]), sharp_texts)).map("".join)
texts = st.one_of(any_texts, sharp_texts, with_specials)

LONG = {
    "a megabyte of one letter": "a" * 1_000_000,
    "capitals": "A" * 100_000,
    "random letters": "".join(chr(97 + (i * i * 31 + i // 7) % 26) for i in range(100_000)),
    "one Han character": "\u6f22" * 50_000,
    "Han in no order": "".join(chr(0x4E00 + i * 7919 % 20_000) for i in range(20_000)),
    "an emoji with a joiner": "\U0001f469\u200d\U0001f52c" * 10_000,
    "marks on one letter": "e" + "\u0301" * 50_000,
    "equals signs": "=" * 100_000,
    "blanks and a word": " " * 100_000 + "x",
    "newlines": "\n" * 100_000,
    "base64": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo0" * 3_000,
    "slashes and newlines": "/\n" * 50_000,
}


@pytest.mark.parametrize("name", ENCODING_NAMES)
@given(text=texts)
@example(text="")
@example(text="\x00")
@example(text="\ud83d\ude00 a pair, \ude00\ud83d none")
def test_ids_counts_and_text_are_those_of_tiktoken(name: str, text: str) -> None:
    ours, theirs = get_encoding(name), tiktoken_encoding(name)
    ids = theirs.encode_ordinary(text)
    assert ours.encode_ordinary(text) == ids
    assert ours.encode(text, disallowed_special=()) == ids
    assert ours.count(text) == len(ids)
    assert ours.decode_bytes(ids) == theirs.decode_bytes(ids)
    assert ours.decode(ids) == theirs.decode(ids)
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert ours.decode(ids, errors="strict") == text


@pytest.mark.parametrize("name", DISTINCT)
@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_long_runs(name: str, text: str) -> None:
    ids = tiktoken_encoding(name).encode_ordinary(text)
    assert get_encoding(name).count(text) == len(ids)
    assert get_encoding(name).encode_ordinary(text) == ids


@pytest.mark.parametrize("name", DISTINCT)
def test_lengths_around_every_edge_in_the_code(name: str) -> None:
    # 15 bytes fit a key, 128 the array, 4,096 keep the GIL, 2**20 are a slice.
    ours, theirs = get_encoding(name), tiktoken_encoding(name)
    for edge in (15, 16, 128, 129, 4_096, 65_536):
        for length in range(edge - 3, edge + 4):
            for filler in ("xq", "é", "\u6f22", "\U0001f600", " a", "\n "):
                text = (filler * length)[:length]
                assert ours.encode_ordinary(text) == theirs.encode_ordinary(text), (length, filler)
                assert ours.count(text) == len(theirs.encode_ordinary(text)), (length, filler)


@pytest.mark.parametrize("name", DISTINCT)
def test_pieces_across_the_edge_of_a_slice(name: str) -> None:
    ours, theirs = get_encoding(name), tiktoken_encoding(name)
    for shift in range(8):
        text = "word " * (1 << 18) + "x" * shift + "  don't 12345 \u6f22\u5b57 \n\n end"
        assert ours.count(text) == len(theirs.encode_ordinary(text))


@pytest.mark.parametrize("name", DISTINCT)
@given(piece=st.binary(min_size=1, max_size=40))
def test_merging_equals_the_slow_twin(name: str, piece: bytes) -> None:
    # Letters of one class are one piece in every family, so these go to merging whole.
    letters = "".join(chr(97 + byte % 26) for byte in piece)
    assert get_encoding(name).encode_ordinary(letters) == merge_piece(packaged_ranks(name), letters.encode())


def test_more_than_tiktoken_can_do_is_counted_by_the_pattern() -> None:
    # tiktoken 0.14 gives up on runs of a million blanks; the pattern leaves one blank to the word.
    blanks = 1_500_000
    encoding = get_encoding("o200k_base")
    assert encoding.count(" " * blanks + "x") == encoding.count(" " * (blanks - 1)) + encoding.count(" x")


# ---- special tokens


def answer(encode: Callable[..., list[int]], text: str, allowed: object, disallowed: object) -> list[int] | str:
    try:
        return encode(text, allowed_special=allowed, disallowed_special=disallowed)
    except ValueError as error:
        return str(error).split("'")[1]


choices = st.one_of(st.just("all"), st.sets(st.sampled_from(SPECIALS)))


@pytest.mark.parametrize("name", ENCODING_NAMES)
@given(text=with_specials, allowed=choices, disallowed=choices)
@example(text="x  <|endoftext|>  y", allowed="all", disallowed="all")
@example(text="<|endof<|endoftext|>", allowed={"<|endoftext|>"}, disallowed=set())
def test_special_tokens_follow_tiktokens_rules(
    name: str, text: str, allowed: Literal["all"] | AbstractSet[str], disallowed: Literal["all"] | Collection[str]
) -> None:
    ours, theirs = get_encoding(name), tiktoken_encoding(name)
    if allowed != "all":
        # A text that is no special token cannot be allowed.
        allowed = set(allowed) & theirs.special_tokens_set
    expected = answer(theirs.encode, text, allowed, disallowed)
    found = answer(ours.encode, text, allowed, disallowed)
    # Of several disallowed texts tiktoken names the first, and so do we.
    assert found == expected
    if isinstance(expected, list):
        assert ours.decode(expected) == theirs.decode(expected)


@pytest.mark.parametrize("name", ENCODING_NAMES)
def test_the_special_tokens_are_those_of_tiktoken(name: str) -> None:
    ours, theirs = get_encoding(name), tiktoken_encoding(name)
    assert ours.special_tokens_set == theirs.special_tokens_set
    assert (ours.max_token_value, ours.n_vocab, ours.eot_token) == (
        theirs.max_token_value,
        theirs.n_vocab,
        theirs.eot_token,
    )
    for special in theirs.special_tokens_set:
        number = theirs.encode_single_token(special)
        assert ours.encode(special, allowed_special="all") == [number] == [ours.encode_single_token(special)]
        assert ours.is_special_token(number)
        assert ours.decode([number]) == theirs.decode([number])


def test_a_count_never_fails_on_the_text_of_a_special_token() -> None:
    assert get_encoding("cl100k_base").count("<|endoftext|>") == 7
    with pytest.raises(ValueError, match=r"disallowed special token '<\|endoftext\|>'"):
        get_encoding("cl100k_base").encode("a<|endoftext|>")


def test_a_special_text_is_found_wherever_it_stands() -> None:
    encoding = get_encoding("o200k_harmony")
    text = "<|start|><|<|end|>|><|reserved_200013|"
    assert encoding.decode(encoding.encode(text, allowed_special="all")) == text
    assert encoding.encode(text, allowed_special={"<|end|>"}, disallowed_special=()).count(200007) == 1
    with pytest.raises(ValueError, match=r"'<\|start\|>'"):
        encoding.encode(text, allowed_special={"<|end|>"})


def test_openings_of_special_tokens_take_linear_time() -> None:
    encoding = get_encoding("o200k_harmony")
    text = "<|" * 100_000
    assert encoding.encode(text) == encoding.encode_ordinary(text)


# ---- many texts


@given(many=st.lists(texts, max_size=20), threads=st.integers(1, 4))
def test_a_batch_equals_one_by_one_and_threads_change_nothing(many: list[str], threads: int) -> None:
    encoding = get_encoding("o200k_base")
    counts = encoding.count_batch(many, threads=threads)
    assert counts.dtype == np.int64
    assert counts.tolist() == [encoding.count(text) for text in many]
    ids, offsets = encoding.encode_flat(many)
    each = [encoding.encode_ordinary(text) for text in many]
    assert (ids.dtype, offsets.dtype) == (np.uint32, np.int64)
    assert [ids[offsets[i] : offsets[i + 1]].tolist() for i in range(len(many))] == each
    assert encoding.encode_ordinary_batch(many, num_threads=threads) == each
    assert encoding.encode_batch(many, num_threads=threads, disallowed_special=()) == each


def test_a_batch_takes_what_yields_text() -> None:
    encoding = get_encoding("o200k_base")
    listed = ["hello world", "", "a"]
    # A NumPy array of texts yields numpy.str_, which is a subclass of str.
    for many in (
        listed,
        tuple(listed),
        np.array(listed),
        np.array(listed, dtype=object),
        pd.Series(listed),
        pl.Series(listed),
        pl.Series(listed, dtype=pl.Categorical),
        pa.chunked_array([listed[:1], listed[1:]]),
        iter(listed),
    ):
        assert encoding.count_batch(many).tolist() == [2, 0, 1]
    assert [encoding.count(text) for text in np.array(listed)] == [2, 0, 1]
    assert encoding.encode_flat(np.array(listed))[1].tolist() == [0, 2, 2, 3]
    assert encoding.count_batch([]).shape == (0,)


def test_a_batch_of_texts_longer_than_a_slice() -> None:
    encoding = get_encoding("o200k_base")
    many = ["word " * 300_000, "", "\u6f22" * 400_000, "x"]
    assert encoding.count_batch(many, threads=2).tolist() == [encoding.count(text) for text in many]


def test_a_batch_raises_what_one_raises() -> None:
    encoding = get_encoding("o200k_base")
    with pytest.raises(TypeError, match="many, not one str"):
        encoding.count_batch("hello")
    with pytest.raises(TypeError, match="many, not one str"):
        encoding.count_batch(np.array("hello"))
    with pytest.raises(TypeError, match="text 1 is int, not str"):
        encoding.count_batch(["a", 1])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="threads"):
        encoding.count_batch(["a"], threads=0)
    with pytest.raises(ValueError, match="disallowed"):
        encoding.encode_batch(["a", "<|endoftext|>"])


def test_threads_that_share_an_encoding() -> None:
    encoding = get_encoding("o200k_base")
    many = [f"thread {i} counts \u6f22\u5b57 and don't " * 400 for i in range(16)]
    expected = [len(tiktoken_encoding("o200k_base").encode_ordinary(text)) for text in many]
    found: list[list[int]] = [[] for _ in many]

    def work(i: int) -> None:
        found[i] = [encoding.count(many[i]) for _ in range(20)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(many))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[count] * 20 for count in expected]


@contextmanager
def alarms(handler: Callable[..., None], after: float, every: float) -> Iterator[None]:
    """Let a signal come after so many seconds, and then again and again."""
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, after, every)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_signals_are_answered_during_a_long_text() -> None:
    encoding = get_encoding("o200k_base")
    text = "no end of words in sight, " * 1_000_000
    for work in (encoding.count, encoding.encode_ordinary, lambda text: encoding.count_batch([text])):
        # Each comes as soon as the one before was answered, however fast the machine is.
        calls: list[int] = []
        with alarms(lambda number, frame, calls=calls: calls.append(number), after=0.001, every=0.0001):
            work(text)
        # Between two steps of Python the handler runs once, however many signals came: before, after and that is all.
        assert len(calls) > 3


def test_an_interrupted_batch_is_left_where_it_was() -> None:
    class StopError(Exception):
        pass

    def stop(number: int, frame: object) -> None:
        raise StopError

    many = ("no end of words in sight, " * 40_000,) * 100
    out = np.zeros(len(many), dtype=np.int64)
    counts = Counts(get_encoding("o200k_base")._vocabulary, many, out)
    with alarms(stop, after=0.01, every=10), pytest.raises(StopError):
        counts.run(0, len(many))
    assert out[-1] == 0


# ---- names, ids and errors


CLASSIC = [
    # "hamburger is ham|bur|ger, and pear is one token": said of the GPT-3 vocabularies, r50k and p50k, where
    # it is so of "hamburger" at the start of a text and of "pear" after a blank. Newer vocabularies cut elsewhere.
    ("r50k_base", "ham|bur|ger", " hamb|urger", "pe|ar", " pear"),
    ("p50k_base", "ham|bur|ger", " hamb|urger", "pe|ar", " pear"),
    ("cl100k_base", "h|amburger", " hamburger", "pear", " pear"),
    ("o200k_base", "hamb|urger", " hamburger", "pear", " pear"),
]


@pytest.mark.parametrize(("name", *"abcd"), CLASSIC, ids=[row[0] for row in CLASSIC])
def test_hamburger_and_pear(name: str, a: str, b: str, c: str, d: str) -> None:
    encoding = get_encoding(name)
    for cut in (a, b, c, d):
        pieces = encoding.decode_tokens_bytes(encoding.encode(cut.replace("|", "")))
        assert [piece.decode() for piece in pieces] == cut.split("|")


def test_an_encoding_is_one_object_and_survives_pickling() -> None:
    encoding = get_encoding("cl100k_base")
    assert get_encoding("cl100k_base") is encoding
    assert pickle.loads(pickle.dumps(encoding)) is encoding
    assert (encoding.name, encoding.backend, repr(encoding)) == ("cl100k_base", "compiled", "<Encoding 'cl100k_base'>")
    assert isinstance(encoding, Encoding)


def test_an_unknown_encoding_names_what_is_near() -> None:
    with pytest.raises(UnknownNameError, match="o200k_base") as caught:
        get_encoding("o200k")
    assert caught.value.kind == "encoding"
    with pytest.raises(UnknownNameError):
        get_encoding("x" * 100_000)


@pytest.mark.parametrize("text", [None, b"bytes", 1, ["list"]], ids=repr)
def test_what_is_no_text_is_a_type_error(text: Any) -> None:
    encoding = get_encoding("o200k_base")
    for ask in (
        encoding.count,
        encoding.encode,
        encoding.encode_ordinary,
        lambda x: encoding.encode(x, allowed_special="all"),
    ):
        with pytest.raises(TypeError):
            ask(text)


@pytest.mark.parametrize("name", ENCODING_NAMES)
def test_single_tokens_and_ids_that_are_none(name: str) -> None:
    ours, theirs = get_encoding(name), tiktoken_encoding(name)
    for number in [*range(0, theirs.n_vocab, 997), *range(theirs.n_vocab - 30, theirs.n_vocab + 30)]:
        try:
            expected = theirs.decode_single_token_bytes(number)
        except KeyError:
            with pytest.raises(KeyError):
                ours.decode_single_token_bytes(number)
            with pytest.raises(KeyError):
                ours.decode([number])
            continue
        assert ours.decode_single_token_bytes(number) == expected
        if not ours.is_special_token(number):
            assert ours.encode_single_token(expected) == number
    for absent in ("no such token", b"\xff\xfe\xfd", ""):
        with pytest.raises(KeyError):
            ours.encode_single_token(absent)


def test_ids_that_do_not_fit() -> None:
    encoding = get_encoding("o200k_base")
    for number in (-1, 1 << 32):
        with pytest.raises(OverflowError):
            encoding.decode([number])
    for wrong in ("abc", [1.0], {1: 2}):
        with pytest.raises(TypeError):
            encoding.decode(wrong)  # type: ignore[arg-type]
    with pytest.raises(UnicodeDecodeError):
        encoding.decode(encoding.encode_ordinary("\U0001f9ff")[:1], errors="strict")


def test_counting_by_model_or_by_encoding() -> None:
    assert encoding_for_model("gpt-4o").name == "o200k_base"
    assert encoding_for_model("gpt-35-turbo").name == "cl100k_base"
    assert count_tokens("hello world", model="gpt-4") == count_tokens("hello world", encoding="cl100k_base") == 2
    assert count_tokens_batch(["hello world", ""], model="gpt-4o").tolist() == [2, 0]
