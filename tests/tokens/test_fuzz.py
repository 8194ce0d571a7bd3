"""A moment of fuzzing at random, from a fixed seed; and proof that the fuzzer sees and reaches what it must."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import fuzz_tokens
import numpy as np
import pytest
from fuzz_tokens import (
    Difference,
    check,
    check_and_shrink,
    fuzz_at_random,
    fuzz_by_coverage,
    names_alike,
    write_seeds,
)
from hypothesis import given
from hypothesis import strategies as st
from random_texts import (
    ALPHABETS,
    EDGES,
    KINDS,
    MOST_CHARACTERS,
    across_an_edge,
    bytes_of_text,
    characters_by_category,
    of_categories,
    of_specials,
    of_surrogates,
    text_of_bytes,
)
from strategies import any_texts

from aoai_cost import get_encoding
from aoai_cost.tokens.encoding import ENCODING_NAMES

SEED = 20_261_125
TEXTS = 1_200


def test_texts_at_random_have_the_answers_of_tiktoken() -> None:
    print(f"seed {SEED}")
    done = fuzz_at_random(SEED, lambda texts: texts < TEXTS)
    assert done["texts"] == TEXTS
    assert min(done["special"], done["surrogate"]) > TEXTS // 10


class _Wrong:
    """An encoding with one answer that is wrong on texts with a long s after an apostrophe."""

    def __init__(self, name: str, fault: str, answer: object) -> None:
        self.right, self.fault, self.answer = get_encoding(name), fault, answer

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.right, name)
        if name != self.fault:
            return real
        return lambda asked, **rules: self.answer if "'\u017f" in str(asked) else real(asked, **rules)


@pytest.mark.parametrize("name", ENCODING_NAMES)
@pytest.mark.parametrize("fault", ["count", "encode_ordinary"])
def test_a_wrong_answer_is_found_and_shrunk(name: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = _Wrong(name, fault, 999 if fault == "count" else [999])
    monkeypatch.setattr(fuzz_tokens, "get_encoding", lambda asked: wrong if asked == name else get_encoding(asked))
    with pytest.raises(Difference) as caught:
        check_and_shrink("a longer text, it'\u017f said, with <|much|> that does not matter " * 3)
    assert (caught.value.name, caught.value.what, caught.value.text) == (name, fault, "'\u017f")
    assert r"""pytest.param("'\u017f", id=""" in str(caught.value)


def test_where_tiktoken_gives_up_ours_must_only_have_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    # The length chooses the vocabulary.
    text = next(
        " " * n for n in range(1_000_000, 1_000_010) if [*names_alike()][n % len(names_alike())] == "o200k_base"
    )
    assert fuzz_tokens.answer("o200k_base", text) is None
    assert check_and_shrink(text) == 1
    right = get_encoding("o200k_base")
    wrong = SimpleNamespace(encode_ordinary=right.encode_ordinary, decode=lambda ids: "shorter")
    monkeypatch.setattr(fuzz_tokens, "get_encoding", lambda name: wrong)
    with pytest.raises(Difference, match="without an answer"):
        check(text)


def test_each_way_of_asking_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "it'\u017f<|endoftext|>"
    expected = get_encoding("o200k_base").encode_ordinary(text)
    answers = {
        "count": 1,
        "encode_ordinary": [1],
        "count_batch": np.array([1, 0, 2]),
        "encode_flat": (np.array([1]), np.array([0, 0, 1])),
        "encode": [1],
    }
    for fault, answer in answers.items():
        wrong = _Wrong("o200k_base", fault, answer)
        monkeypatch.setattr(fuzz_tokens, "get_encoding", lambda name, wrong=wrong: wrong)
        found = list(fuzz_tokens.differences("o200k_base", text, expected))
        assert found == [fault if fault != "encode" else "encode with special tokens"]
    monkeypatch.undo()
    assert list(fuzz_tokens.differences("o200k_base", text, expected)) == []


def test_the_texts_reach_every_category_edge_special_token_and_surrogate() -> None:
    random = Random(SEED)
    categories = {unicodedata.category(c) for _ in range(400) for c in of_categories(random)}
    assert categories == set(characters_by_category())
    lengths = {len(across_an_edge(random)) for _ in range(400)}
    assert [edge for edge in EDGES if edge < 1 << 20 and not any(edge <= n <= edge + 400 for n in lengths)] == []
    assert any("<|endoftext|> " in of_specials(random) for _ in range(400))
    assert any("\ud83d\ude00" in of_surrogates(random) for _ in range(400))


@given(text=any_texts)
def test_every_text_can_be_written_as_bytes(text: str) -> None:
    assert text_of_bytes(bytes_of_text(text)) == text


@given(data=st.binary(max_size=100))
def test_all_bytes_stand_for_a_text(data: bytes) -> None:
    text = text_of_bytes(data)
    assert len(text) <= MOST_CHARACTERS
    assert text_of_bytes(bytes_of_text(text)) == text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        pytest.param(b"a'\x80b", "a''sb", id="a fragment"),
        pytest.param(b"\xc0\xd8\x00\xd0\xff\xff", "\ud800\U0010ffff", id="code points"),
        pytest.param(b"ab\xe1\x02", "ababab", id="a repeat"),
        pytest.param(b"ab\xf5\x05", "ab" * 33, id="two characters up to an edge"),
        pytest.param(b"x\xfc\x00\xf0\x00", "x" * 4_093, id="no text is made shorter"),
        pytest.param(b"\xf0\x00\xe0\x09", "", id="nothing to repeat"),
        pytest.param(b"\xc0\x41", "\u4100", id="a code point cut short"),
    ],
)
def test_what_bytes_stand_for(data: bytes, text: str) -> None:
    assert text_of_bytes(data) == text


def test_the_seeds_of_a_corpus_are_texts_of_every_kind(tmp_path: Path) -> None:
    write_seeds(tmp_path / "corpus", seed=SEED)
    written = {path.name: path.read_bytes() for path in (tmp_path / "corpus").iterdir()}
    assert {name.split("-")[1] for name in written} == {*ALPHABETS, *(kind.__name__ for kind in KINDS)}
    assert b"/word/" in written.values()
    write_seeds(tmp_path / "again", seed=SEED)
    assert written == {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()}


def test_fuzzing_by_coverage_refuses_kernels_that_were_not_built_for_it(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="not built for fuzzing"):
        fuzz_by_coverage(tmp_path / "corpus", seconds=1, seed=SEED)
