"""What people call on ``tiktoken.Encoding`` works on ours with equal results and errors, whatever the vocabulary."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import tiktoken
from hypothesis import example, given, settings
from hypothesis import strategies as st
from reference_tokens import BYTE_RANKS, merge_piece, packaged_ranks, pieces_by_tiktoken, tiktoken_encoding
from strategies import any_texts, sharp_texts

from aoai_cost import Encoding, encoding_for_model, encoding_name_for_model, get_encoding, list_encoding_names
from aoai_cost.tokens import backends
from aoai_cost.tokens.backends import PATTERNS
from aoai_cost.tokens.encoding import ENCODING_NAMES

# Fewer examples than elsewhere: each is tried on many encodings, against both packages.
FEWER = settings(max_examples=settings.default.max_examples // 8)

DISTINCT = ("cl100k_base", "o200k_base", "p50k_base", "r50k_base")
GPT2_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
OLD_CL100K_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPELLINGS = [
    *((family, pattern) for family in ("r50k",) for pattern in sorted(backends._R50K_SPELLINGS)),
    *((family, pattern) for family in ("cl100k",) for pattern in sorted(backends._CL100K_SPELLINGS)),
]


def trained(text: str, n_merges: int) -> dict[bytes, int]:
    """Return a vocabulary made by merging the commonest pair of a text again and again."""
    ranks = dict(BYTE_RANKS)
    words = [[bytes([byte]) for byte in word.encode()] for word in text.replace(" ", "\0 ").split("\0")]
    for _ in range(n_merges):
        pairs = [pair for word in words for pair in pairwise(word)]
        left, right = max(sorted(set(pairs)), key=pairs.count)
        ranks[left + right] = len(ranks)
        for word in words:
            for i in range(len(word) - 2, -1, -1):
                if word[i : i + 2] == [left, right]:
                    word[i : i + 2] = [left + right]
    return ranks


SMALL = trained("the cat and the hat, then the mat: that's the thing they don't eat\n\n  the   end ", 24)
# "abc" is no merge of two tokens, so merging never makes it; as a whole piece it is one token all the same.
UNREACHABLE = {**BYTE_RANKS, b"abc": 256, b"the": 257, b"th": 258}
SPECIALS = {"<|endoftext|>": 1000, "[INST]": 1001, "<s>": 1002, "é|": 1003, "\U0001f600": 1004}
OVERLAPPING = {
    word: 1000 + i for i, word in enumerate(("ab", "a", "abab", "b", "ba", "babb", "aa", "aab", "<|", "<|a"))
}


@cache
def made(key: str) -> tuple[Encoding, tiktoken.Encoding]:
    """Return ours and theirs of one vocabulary."""
    if key in ENCODING_NAMES:
        return get_encoding(key), tiktoken_encoding(key)
    pattern, ranks, specials = {
        "small": (PATTERNS["o200k"], SMALL, SPECIALS),
        "overlapping": (PATTERNS["cl100k"], SMALL, OVERLAPPING),
        "two texts of one id": (PATTERNS["r50k"], SMALL, {f"<{i}>": 1000 + i % 3 for i in range(12)}),
        "no special tokens": (PATTERNS["cl100k"], SMALL, {}),
        "a special id of a token": (PATTERNS["cl100k"], SMALL, {"<a>": 97, "<b>": 1000}),
        "earlier spelling": (OLD_CL100K_PATTERN, packaged_ranks("cl100k_base"), SPECIALS),
        "unknown pattern": (r"\w+|[^\w\s]", SMALL, SPECIALS),
        "not made by its merges": (PATTERNS["o200k"], UNREACHABLE, SPECIALS),
    }[key]
    theirs = tiktoken.Encoding(name=key, pat_str=pattern, mergeable_ranks=ranks, special_tokens=specials)
    return Encoding.from_tiktoken(theirs), theirs


COMPILED = (
    "small",
    "overlapping",
    "two texts of one id",
    "no special tokens",
    "a special id of a token",
    "earlier spelling",
)
THROUGH_TIKTOKEN = ("unknown pattern", "not made by its merges")
ALL = (*ENCODING_NAMES, *COMPILED, *THROUGH_TIKTOKEN)
OTHERS = (*COMPILED, *THROUGH_TIKTOKEN)

some_specials = st.sampled_from(["<|endoftext|>", "<|fim_prefix|>", "<|start|>", "[INST]", "<s>", "é|", "\U0001f600"])
texts = st.lists(
    st.one_of(
        some_specials,
        st.sampled_from(["the ", "that's", "<|", "[IN", "<0>", "<11>", "\n\n  ", "\r\n ", "\ud83d\ude00", "abc"]),
        sharp_texts,
        any_texts,
    ),
    max_size=6,
).map("".join)


def answer(ask: Callable[[], Any]) -> Any:
    """Return what a call gives, or the type of its error and, where tiktoken words it, how the message starts."""
    try:
        return ask()
    except (KeyError, UnicodeError) as error:
        return type(error), str(error)
    except ValueError as error:
        return type(error), str(error).partition("'")[0]
    except (TypeError, AttributeError, AssertionError, ArithmeticError, LookupError) as error:
        return type(error)


def as_set(unstable: Any) -> Any:
    if isinstance(unstable, tuple) and isinstance(unstable[0], list):
        return unstable[0], {tuple(ids) for ids in unstable[1]}
    return unstable


# ---- every method


@pytest.mark.parametrize("key", ALL)
@given(text=texts, data=st.data())
@FEWER
@example(text="", data=None)
@example(text="\ud83d\ude00[INST]\udc00", data=None)
def test_encoding_a_text(key: str, text: str, data: Any) -> None:
    ours, theirs = made(key)
    sets = st.sets(st.sampled_from(sorted(theirs.special_tokens_set) or ["none"]), max_size=3)
    choice = st.sampled_from(["all", ()]) | sets
    rules = {"allowed_special": "all", "disallowed_special": ()}
    if data is not None:
        rules = {"allowed_special": data.draw(st.just("all") | sets), "disallowed_special": data.draw(choice)}
    for method in ("encode", "encode_to_numpy"):
        found = answer(lambda method=method: getattr(ours, method)(text, **rules))
        expected = answer(lambda method=method: getattr(theirs, method)(text, **rules))
        if isinstance(expected, np.ndarray):
            assert (found.dtype, found.flags.writeable) == (expected.dtype, expected.flags.writeable)
            found, expected = found.tolist(), expected.tolist()
        assert found == expected
    assert answer(lambda: ours.encode_batch([text], num_threads=1, **rules)) == answer(
        lambda: theirs.encode_batch([text], num_threads=1, **rules)
    )
    ids = theirs.encode_ordinary(text)
    assert ours.encode_ordinary(text) == ids
    assert ours.encode_ordinary_batch([text, ""], num_threads=1) == [ids, []]
    assert ours.count(text) == len(ids)
    assert ours.count_batch([text, "", text], threads=2).tolist() == [len(ids), 0, len(ids)]
    assert ours.encode_flat([text])[0].tolist() == ids


@pytest.mark.parametrize("key", ALL)
@given(data=st.data())
@FEWER
def test_decoding_ids(key: str, data: Any) -> None:
    ours, theirs = made(key)
    near = st.integers(0, theirs.max_token_value + 3) | st.sampled_from([*theirs._special_tokens.values(), 0x80, 0xE9])
    ids = data.draw(st.lists(near, max_size=8))
    for ask in (
        lambda e: e.decode(ids),
        lambda e: e.decode(ids, errors="strict"),
        lambda e: e.decode(ids, "ignore"),
        lambda e: e.decode_bytes(ids),
        lambda e: e.decode_tokens_bytes(ids),
        lambda e: e.decode_with_offsets(ids),
        lambda e: e.decode_batch([ids, []], errors="ignore"),
        lambda e: e.decode_bytes_batch([ids, tuple(ids)], num_threads=2),
        lambda e: [e.decode_single_token_bytes(token) for token in ids],
        lambda e: [e.encode_single_token(e.decode_single_token_bytes(token)) for token in ids],
        lambda e: [e.is_special_token(token) for token in ids],
    ):
        assert answer(lambda ask=ask: ask(ours)) == answer(lambda ask=ask: ask(theirs))


@pytest.mark.parametrize("key", ALL)
@given(text=texts)
@FEWER
def test_offsets_of_tokens(key: str, text: str) -> None:
    ours, theirs = made(key)
    ids = theirs.encode(text, allowed_special="all")
    assert ours.decode_with_offsets(ids) == theirs.decode_with_offsets(ids)


@pytest.mark.parametrize("key", ALL)
@given(data=st.binary(max_size=30) | texts.map(lambda text: text.encode(errors="ignore") + b"\xe6\xbc"))
@FEWER
@example(data=b"the cat \xff\xfe the cat")
@example(data=b"x\r\n  \xe3\x80")
def test_bytes_and_single_pieces(key: str, data: bytes) -> None:
    ours, theirs = made(key)
    assert ours._encode_bytes(data) == theirs._encode_bytes(data)
    if data:
        assert ours._encode_single_piece(data) == theirs._encode_single_piece(data)
        assert answer(lambda: ours.encode_single_token(data)) == answer(lambda: theirs.encode_single_token(data))
    text = data.decode(errors="ignore")
    if text:
        assert ours._encode_single_piece(text) == theirs._encode_single_piece(text)


def test_a_long_piece_of_bytes_is_merged_as_defined() -> None:
    piece = bytes((i * i * 31 + i // 7) % 256 for i in range(3_000))
    ours, theirs = made("o200k_base")
    assert ours._encode_single_piece(piece) == theirs._encode_single_piece(piece)
    assert ours._encode_single_piece(piece[:300]) == merge_piece(packaged_ranks("o200k_base"), piece[:300])
    # tiktoken panics here.
    assert ours._encode_single_piece(b"") == []


# What stays open at the end: words, blanks that newlines may join, a character cut in two, contractions, digits.
ENDINGS = [
    "hello fanta",
    "fanta",
    "x\r\n\u3000\u3000",
    "it'",
    "don't",
    "12",
    "!\n\nqz",
    " \u2003\u2003",
    "中国",
    "👩\u200d",
    "<|endoftext|>xyz",
    "xyz<|endoftext|>",
    "",
    "zq\x1c\x1d",
    "q\ud800",
]


@pytest.mark.parametrize(
    "key", ["cl100k_base", "o200k_base", "r50k_base", "overlapping", *THROUGH_TIKTOKEN, "earlier spelling"]
)
@pytest.mark.parametrize("text", ENDINGS, ids=ascii)
def test_what_more_text_can_change(key: str, text: str) -> None:
    ours, theirs = made(key)
    for rules in ({"allowed_special": "all"}, {"disallowed_special": ()}, {}):
        expected = answer(lambda rules=rules: theirs.encode_with_unstable(text, **rules))
        assert as_set(answer(lambda rules=rules: ours.encode_with_unstable(text, **rules))) == as_set(expected)


@pytest.mark.parametrize("key", OTHERS)
@given(text=texts.map(lambda text: text[:24]))
@FEWER
def test_completions_of_small_vocabularies(key: str, text: str) -> None:
    ours, theirs = made(key)
    if key == "earlier spelling":
        # A big vocabulary has a hundred thousand completions of one blank.
        text = "it's\r\n \n\u3000\u3000\u3000"[len(text) % 7 :]
    expected = answer(lambda: theirs.encode_with_unstable(text, allowed_special="all"))
    assert as_set(answer(lambda: ours.encode_with_unstable(text, allowed_special="all"))) == as_set(expected)


@pytest.mark.parametrize("key", ALL)
def test_what_an_encoding_says_of_itself(key: str) -> None:
    ours, theirs = made(key)
    for name in ("name", "n_vocab", "max_token_value", "special_tokens_set", "eot_token", "_special_tokens"):
        assert answer(lambda name=name: getattr(ours, name)) == answer(lambda name=name: getattr(theirs, name))
    assert (ours._pat_str, ours._mergeable_ranks) == (theirs._pat_str, theirs._mergeable_ranks)
    assert ours.token_byte_values() == theirs.token_byte_values()
    assert ours.token_byte_values() is not ours.token_byte_values()
    assert repr(ours) == repr(theirs)
    assert ours.backend == ("tiktoken" if key in THROUGH_TIKTOKEN else "compiled")


@pytest.mark.parametrize("key", ALL)
def test_pieces_cut_natively(key: str) -> None:
    ours, theirs = made(key)
    for text in ("the cat's hat 12345 \n\n x", "<|endoftext|>", "", "\ud800"):
        assert answer(lambda text=text: ours._encode_only_native_bpe(text)) == answer(
            lambda text=text: theirs._encode_only_native_bpe(text)
        )


@pytest.mark.parametrize("key", ALL)
def test_pickling_and_copying(key: str) -> None:
    ours, theirs = made(key)
    text = "the cat <s>[INST] <|endoftext|>"
    for again in (pickle.loads(pickle.dumps(ours)), copy.copy(ours), copy.deepcopy(ours)):
        assert again.encode(text, allowed_special="all") == theirs.encode(text, allowed_special="all")
        assert (again.name, again.backend, again._special_tokens) == (ours.name, ours.backend, ours._special_tokens)


# ---- errors


def fails_alike(ask: Callable[[Any], Any], *keys: str) -> None:
    for key in keys or ("cl100k_base", "small", "unknown pattern"):
        ours, theirs = made(key)
        found, expected = answer(lambda ours=ours: ask(ours)), answer(lambda theirs=theirs: ask(theirs))
        found, expected = (x.tolist() if isinstance(x, np.ndarray) else as_set(x) for x in (found, expected))
        assert found == expected, key


WRONG = [None, b"the", 1, ["the"], np.str_("the"), "the"]


def shown(value: Any) -> str:
    """Name a value by what is the same in every process: neither its place in memory nor the order of a set."""
    return str(sorted(map(repr, value))) if isinstance(value, (set, frozenset)) else repr(value).partition(" at 0x")[0]


@pytest.mark.parametrize("text", WRONG, ids=repr)
def test_what_is_a_text_and_what_is_none(text: Any) -> None:
    for rules in ({}, {"disallowed_special": ()}, {"allowed_special": "all"}):
        for method in ("encode", "encode_to_numpy", "encode_with_unstable"):
            fails_alike(lambda e, method=method, rules=rules: getattr(e, method)(text, **rules))
    for method in ("encode_ordinary", "encode_single_token", "_encode_single_piece", "_encode_bytes"):
        fails_alike(lambda e, method=method: getattr(e, method)(text))
    fails_alike(lambda e: e.encode_batch([text]))
    fails_alike(lambda e: e.encode_ordinary_batch([text]))


@pytest.mark.parametrize("text", ["clean", "a <|endoftext|>"])
@pytest.mark.parametrize(
    "allowed",
    [
        ["a"],
        ("a",),
        {"a": 1},
        "a",
        None,
        {1},
        {"a", b"b"},
        {"\ud800"},
        {"no such"},
        frozenset({"<|endoftext|>"}),
    ],
    ids=shown,
)
def test_what_may_be_allowed(text: str, allowed: Any) -> None:
    for disallowed in ("all", ()):
        for method in ("encode", "encode_to_numpy", "encode_with_unstable"):
            fails_alike(
                lambda e, m=method, d=disallowed: getattr(e, m)(text, allowed_special=allowed, disallowed_special=d)
            )


@pytest.mark.parametrize("text", ["clean", "a <|endoftext|>", ""])
@pytest.mark.parametrize(
    "disallowed",
    [None, 0, [1], {""}, "a", ["zz", "le"], [b"a"], {"x": 1}, 5, {"<|endoftext|>", 1}, ["<|endoftext|>"]],
    ids=shown,
)
def test_what_may_be_disallowed(text: str, disallowed: Any) -> None:
    fails_alike(lambda e: e.encode(text, disallowed_special=disallowed))
    fails_alike(lambda e: e.encode(text, disallowed_special=disallowed, allowed_special="all"))
    fails_alike(lambda e: e.encode_batch([text], disallowed_special=disallowed))


IDS = [
    b"AB",
    "AB",
    {1: 2},
    {65},
    65,
    None,
    [1.0],
    [True],
    ["a"],
    [None],
    [-1],
    [1 << 32],
    [1 << 31],
    [1 << 70],
    [999],
    (1, 2),
    range(65, 68),
    np.array([65, 66]),
    np.array([65.0]),
    [np.uint32(65)],
    bytearray(b"AB"),
    memoryview(b"AB"),
]


@pytest.mark.parametrize("ids", IDS, ids=shown)
def test_what_are_ids_and_what_are_none(ids: Any) -> None:
    fails_alike(lambda e: e.decode(ids))
    fails_alike(lambda e: e.decode_bytes(ids))
    fails_alike(lambda e: e.decode_tokens_bytes(ids))
    fails_alike(lambda e: e.decode_with_offsets(ids))
    fails_alike(lambda e: e.decode_batch([ids]))
    fails_alike(lambda e: e.decode_bytes_batch(ids))
    for token in ids if isinstance(ids, list) else [ids]:
        fails_alike(lambda e, token=token: e.decode_single_token_bytes(token))
        fails_alike(lambda e, token=token: e.is_special_token(token))


def test_odd_arguments_of_decoding() -> None:
    for errors in ("bogus", "strict", None, 1):
        fails_alike(lambda e, errors=errors: e.decode([200, 65], errors=errors))
        fails_alike(lambda e, errors=errors: e.decode_batch([[200, 65]], errors=errors))
    for threads in (0, -1):
        fails_alike(lambda e, threads=threads: e.decode_batch([[65]], num_threads=threads))
        fails_alike(lambda e, threads=threads: e.encode_batch(["a"], num_threads=threads))


def test_an_iterator_of_ids() -> None:
    fails_alike(lambda e: e.decode(iter([65])))
    fails_alike(lambda e: e.decode_tokens_bytes(iter([65])))


@pytest.mark.parametrize(
    "token", ["zz no such", b"\xff\xfe\xff", "", "\ud800", bytearray(b"a"), memoryview(b"a"), np.bytes_(b"a")]
)
def test_single_tokens_that_are_none(token: Any) -> None:
    fails_alike(lambda e: e.encode_single_token(token))
    fails_alike(lambda e: e._encode_bytes(token))


# ---- any vocabulary


@pytest.mark.parametrize("name", ENCODING_NAMES)
def test_an_official_encoding_is_the_packaged_one(name: str) -> None:
    assert Encoding.from_tiktoken(tiktoken_encoding(name)) is get_encoding(name)
    assert Encoding.from_tiktoken(get_encoding(name)) is get_encoding(name)
    assert tiktoken_encoding(name)._pat_str == get_encoding(name)._pat_str


@pytest.mark.parametrize("name", DISTINCT)
def test_an_extended_encoding_shares_the_vocabulary(name: str) -> None:
    theirs, ours = tiktoken_encoding(name), get_encoding(name)
    extended = tiktoken.Encoding(
        name=f"{name}_im",
        pat_str=theirs._pat_str,
        mergeable_ranks=theirs._mergeable_ranks,
        special_tokens={**theirs._special_tokens, "<|im_start|>": 300_000, "<|im_end|>": 300_001},
    )
    described = Encoding(
        name=f"{name}_im",
        pat_str=ours._pat_str,
        mergeable_ranks=ours._mergeable_ranks,
        special_tokens={**ours._special_tokens, "<|im_start|>": 300_000, "<|im_end|>": 300_001},
    )
    text = "<|im_start|>user\nhello<|im_end|><|endoftext|>"
    for found in (Encoding.from_tiktoken(extended), described, pickle.loads(pickle.dumps(described))):
        assert found._vocabulary is ours._vocabulary
        assert found.encode(text, allowed_special="all") == extended.encode(text, allowed_special="all")
        assert (found.n_vocab, found.backend) == (extended.n_vocab, "compiled")
        with pytest.raises(ValueError, match="im_start"):
            found.encode(text)


def test_the_gpt2_release_is_the_packaged_vocabulary_too() -> None:
    theirs = tiktoken.Encoding(
        name="gpt2",
        pat_str=GPT2_PATTERN,
        mergeable_ranks=packaged_ranks("r50k_base"),
        special_tokens={"<|endoftext|>": 50256},
    )
    ours = Encoding.from_tiktoken(theirs)
    assert ours._vocabulary is get_encoding("gpt2")._vocabulary
    assert (ours.backend, ours._pat_str) == ("compiled", GPT2_PATTERN)
    assert pickle.loads(pickle.dumps(ours))._pat_str == GPT2_PATTERN


@pytest.mark.parametrize(("family", "pattern"), SPELLINGS)
@given(text=sharp_texts.map(lambda text: text[:30]))
@FEWER
@example(text="a\r\n \u3000")
def test_earlier_spellings_cut_alike(family: str, pattern: str, text: str) -> None:
    found, expected = pieces_by_tiktoken(pattern, text), pieces_by_tiktoken(PATTERNS[family], text)
    if family == "cl100k" and expected and expected[-1].isspace():
        # Only the last blanks may be cut once more, after their last newline.
        border = 1 + max(expected[-1].rfind("\n"), expected[-1].rfind("\r"))
        expected[-1:] = filter(None, [expected[-1][:border], expected[-1][border:]])
    assert found == expected


@given(text=st.text("\r\n\t \u00a0\u3000\u2028\x0bx", max_size=20))
def test_an_earlier_spelling_of_a_pattern_gives_the_same_ids(text: str) -> None:
    ours, theirs = made("earlier spelling")
    assert (
        ours.encode_ordinary(text) == theirs.encode_ordinary(text) == get_encoding("cl100k_base").encode_ordinary(text)
    )


def test_a_token_over_the_border_of_a_spelling_is_left_to_tiktoken() -> None:
    ranks = {**BYTE_RANKS, b"\n ": 256}
    theirs = tiktoken.Encoding(name="x", pat_str=OLD_CL100K_PATTERN, mergeable_ranks=ranks, special_tokens={})
    ours = Encoding.from_tiktoken(theirs)
    assert ours.backend == "tiktoken"
    assert ours.encode("a\n ") == theirs.encode("a\n ") == [97, 10, 32]


LEFT_TO_TIKTOKEN = [
    pytest.param({**BYTE_RANKS, b"ab": 1 << 18}, id="an id too great"),
    pytest.param({**BYTE_RANKS, b"ab": (1 << 32) - 1}, id="the greatest id"),
    pytest.param({bytes([byte]): 300 + byte for byte in range(256)}, id="bytes at other ids"),
    pytest.param(
        {token: 0 if token == b"ab" else rank + 1 for token, rank in [(b"ab", 0), *BYTE_RANKS.items()]},
        id="a merge first",
    ),
    pytest.param({**BYTE_RANKS, b"a" * 129: 256}, id="a token too long"),
    pytest.param({**BYTE_RANKS, b"abc": 256, b"bc": 257}, id="a part with a later id"),
    pytest.param(UNREACHABLE, id="a token that is never merged"),
]


@pytest.mark.parametrize("ranks", LEFT_TO_TIKTOKEN)
def test_what_merges_alone_do_not_tell_is_left_to_tiktoken(ranks: dict[bytes, int]) -> None:
    theirs = tiktoken.Encoding(name="x", pat_str=PATTERNS["o200k"], mergeable_ranks=ranks, special_tokens={"<s>": 700})
    for ours in (
        Encoding.from_tiktoken(theirs),
        Encoding("x", pat_str=PATTERNS["o200k"], mergeable_ranks=ranks, special_tokens={"<s>": 700}),
    ):
        assert ours.backend == "tiktoken"
        for text in ("abc the abcd<s> ab", "a" * 300):
            ids = theirs.encode(text, allowed_special="all")
            assert ours.encode(text, allowed_special="all") == ids
            assert ours.decode(ids) == text
        assert ours.n_vocab == theirs.n_vocab


def test_a_vocabulary_with_holes_and_bytes_in_another_order() -> None:
    ranks = {token: 255 - rank for token, rank in BYTE_RANKS.items()} | {b"th": 300, b"the": 400, b" the": 100_000}
    theirs = tiktoken.Encoding(name="x", pat_str=PATTERNS["r50k"], mergeable_ranks=ranks, special_tokens={"<s>": 350})
    ours = Encoding.from_tiktoken(theirs)
    assert ours.backend == "compiled"
    assert ours.encode("the the<s>", allowed_special="all") == theirs.encode("the the<s>", allowed_special="all")
    assert answer(lambda: ours.decode([301])) == answer(lambda: theirs.decode([301]))
    assert ours._mergeable_ranks == ranks


@settings(max_examples=settings.default.max_examples // 2)
@given(
    specials=st.lists(st.text("ab\u00e9", min_size=1, max_size=4), unique=True, max_size=30),
    text=st.text("ab\u00e9c", max_size=40),
    data=st.data(),
)
def test_overlapping_special_tokens_of_any_spelling(specials: list[str], text: str, data: Any) -> None:
    ids = {special: 1000 + i for i, special in enumerate(specials)}
    theirs = tiktoken.Encoding(name="x", pat_str=PATTERNS["r50k"], mergeable_ranks=BYTE_RANKS, special_tokens=ids)
    sets = st.sets(st.sampled_from(specials or ["none"]))
    allowed, disallowed = data.draw(st.just("all") | sets), data.draw(st.just("all") | sets)
    for ours in (
        Encoding.from_tiktoken(theirs),
        Encoding("x", pat_str=PATTERNS["r50k"], mergeable_ranks=BYTE_RANKS, special_tokens=ids),
    ):
        for refused in ((), disallowed):
            rules = {"allowed_special": allowed, "disallowed_special": refused}
            assert answer(lambda o=ours, r=rules: o.encode(text, **r)) == answer(
                lambda r=rules: theirs.encode(text, **r)
            )


def described(**changes: Any) -> Callable[[Any], Any]:
    arguments = {"name": "x", "pat_str": r"\w", "mergeable_ranks": BYTE_RANKS, "special_tokens": {}, **changes}
    return lambda encoding: encoding(**arguments).n_vocab


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(described(pat_str="("), id="a pattern that is none"),
        pytest.param(described(pat_str=b"x"), id="a pattern of bytes"),
        pytest.param(described(pat_str=None), id="no pattern"),
        pytest.param(described(mergeable_ranks={}), id="no tokens"),
        pytest.param(described(mergeable_ranks={}, special_tokens={"<s>": 3}), id="no tokens but special ones"),
        pytest.param(described(mergeable_ranks={"a": 1}), id="a token of text"),
        pytest.param(described(mergeable_ranks={b"a": 1 << 40}), id="an id that does not fit"),
        pytest.param(described(mergeable_ranks={b"a": -1}), id="a negative id"),
        pytest.param(described(special_tokens={"<s>": -1}), id="a negative special id"),
        pytest.param(
            described(special_tokens={"<s>": -1}, pat_str=PATTERNS["o200k"]), id="a negative id, known pattern"
        ),
        pytest.param(
            described(special_tokens={"<s>": 1 << 32}, pat_str=PATTERNS["o200k"]), id="too great, known pattern"
        ),
        pytest.param(described(special_tokens={b"<s>": 300}, pat_str=PATTERNS["o200k"]), id="a special token of bytes"),
        pytest.param(described(special_tokens={"\ud800": 300}, pat_str=PATTERNS["o200k"]), id="a lone surrogate"),
        pytest.param(described(special_tokens={"<s>": "300"}, pat_str=PATTERNS["o200k"]), id="an id of text"),
        pytest.param(described(special_tokens=None), id="special tokens that are none"),
        pytest.param(described(explicit_n_vocab=3), id="not as many as said"),
        pytest.param(described(explicit_n_vocab=256), id="as many as said"),
        pytest.param(described(special_tokens={"<s>": 300}, explicit_n_vocab=257), id="a gap"),
    ],
)
def test_what_an_encoding_can_be_made_of(ask: Callable[[Any], Any]) -> None:
    assert answer(lambda: ask(Encoding)) == answer(lambda: ask(tiktoken.Encoding))


def test_what_is_refused_where_tiktoken_panics_or_never_ends() -> None:
    with pytest.raises(ValueError, match="257 tokens with 256 ids"):
        Encoding("x", pat_str=r"\w", mergeable_ranks={**BYTE_RANKS, b"ab": 5}, special_tokens={})
    theirs = tiktoken.Encoding(name="x", pat_str=r"\w", mergeable_ranks=BYTE_RANKS, special_tokens={"": 300})
    with pytest.raises(ValueError, match="a special token is empty"):
        Encoding.from_tiktoken(theirs)
    for wrong in ("o200k_base", None, tiktoken):
        with pytest.raises(TypeError, match=r"not a tiktoken\.Encoding"):
            Encoding.from_tiktoken(wrong)


def test_a_pattern_that_fails_is_an_error_that_can_be_caught() -> None:
    theirs = tiktoken.Encoding(name="x", pat_str=r"\s+(?!\S)|\s+|\w", mergeable_ranks=BYTE_RANKS, special_tokens={})
    ours = Encoding.from_tiktoken(theirs)
    for ask in (ours.count, ours.encode, ours.encode_ordinary, lambda text: ours.count_batch([text])):
        with pytest.raises(ValueError, match="Regex error"):
            ask(" " * 1_100_000 + "x")


def test_names_of_encodings_and_models() -> None:
    assert set(list_encoding_names()) == set(tiktoken.list_encoding_names())
    for model in ("gpt-4o", "gpt-35-turbo", "text-embedding-3-small", "gpt-4.1"):
        assert (
            encoding_name_for_model(model) == tiktoken.encoding_name_for_model(model) == encoding_for_model(model).name
        )
    for name in ("davinci-without-a-name", "whisper"):
        with pytest.raises((LookupError, ValueError)):
            encoding_name_for_model(name)
