"""Texts that a fuzzer found, here or in the record of other tokenizers, each asked of every encoding in every way.

`fuzz_tokens.py` prints the row to add here. In this package it has found no difference yet: these rows are what is
known to have gone wrong elsewhere and is no row of the tables beside this one.
"""

from __future__ import annotations

import pytest
from fuzz_tokens import check

FOUND = [
    pytest.param("x\n\n  <|endoftext|>\n\n  y", id="the end of a slice before a special token is an end of text"),
    pytest.param("<|endoftext|>  <|endoftext|>", id="blanks between two special tokens"),
    pytest.param("<<|endoftext|>|><|endoftext", id="a special token within the parts of others"),
    pytest.param("<|start|>user<|message|>don't<|end|>", id="special tokens of one encoding are text in another"),
    pytest.param("<|reserved_200018|> <|endofprompt|>", id="two special tokens with one id"),
    pytest.param("'\ud800s a\ud800'\ud83d\ude00s", id="surrogates after apostrophes"),
    pytest.param("\ud800\n\n \udc00 \ud83dx", id="lone surrogates are punctuation that takes newlines"),
    pytest.param("\ude00\ud83d\ude00\ud83d", id="a pair of surrogates between the halves of another"),
    pytest.param("\U00010d50\n \n x \U00010d70\U00010d50A", id="letters with case of Unicode 16"),
    pytest.param("\U0001e5d0\n \n x!\U0001e5eea", id="letters and marks of Unicode 16"),
    pytest.param("\U000323b0\n \n x \ua7ce\n \n x", id="letters of Unicode 17 are punctuation to tiktoken 0.14"),
    pytest.param("\u0295A \u0295b B\u0295", id="U+0295 is a small letter in Unicode 16"),
    pytest.param("\u1c89\u1c8a \ua7cb\ua7da'S", id="capital and small letters of Unicode 16 and a contraction"),
    pytest.param("\u0897a !\u0897\u0897 \n\u0897", id="a mark of Unicode 16"),
    pytest.param("\U00010d40\U00010d41\U00010d42\U00010d43 1", id="digits of Unicode 16"),
    pytest.param("a\u2028\nb \u0085\r\nc\u2029 d", id="separators of lines beside newlines"),
    pytest.param("\u3000\u3000 x\t !\u00a0 1\u2009\u2009a", id="blanks of several kinds before all sorts"),
    pytest.param("\n\r\n \r/\r\n/ /\n//", id="carriage returns beside slashes"),
    pytest.param(".\n/\n/\r/a ./\n .//\n", id="tails of punctuation, newlines and slashes"),
    pytest.param("\u0301a \u0301b 1\u0301c \n\u0301d '\u0301s", id="marks at the start and after all sorts"),
    pytest.param("a'll've 'LL'ReX'D'\u017f's'", id="contractions in rows"),
    pytest.param("it\u2019s O'\u212a 'K's", id="other apostrophes, and the Kelvin sign"),
    pytest.param("\u0130'S \u0131't \u01c5a\u01c5'd A\u01c5", id="dotted and dotless i, and title case"),
    pytest.param("\u02b0A\u02b0b \u30fcA\u3042A\u3042b", id="modifier letters are caseless"),
    pytest.param("\u2167\u2167\u2167\u2167\u00bd\u0663\u00b2\u00b212", id="numbers of every kind in threes"),
    pytest.param("\x00\x00\n\x00 \x00'\x00s", id="NUL beside newlines and apostrophes"),
    pytest.param("\x1ca\x1d\x1e \x1f\n\x1f", id="U+001C to U+001F are no white space"),
    pytest.param("\u180e\ufeff\u200b \u180e\n", id="what looks like white space and is none"),
    pytest.param("\U0001f469\u200d\U0001f52c\ufe0f\u20e3 \U0001f1e9\U0001f1ea'", id="joiners, selectors and flags"),
    pytest.param("\u1112\u1161\u11ab \ud55c\uae00a", id="Hangul by parts"),
    pytest.param("\ue000\U0010ffff\uffff\ufffe a\u0378", id="private, unassigned and none"),
    pytest.param(" " * 4_095 + "\u3000x", id="a run of blanks of a block and a wide one"),
    pytest.param("x" * 4_093 + "\r\n\r\n \n y", id="a run of newlines across the edge of a block"),
    pytest.param("=" * 63 + "'s\n\n//\n", id="a tail of punctuation across the edge of a vector"),
    pytest.param("\u00e9" * 8_191 + "'\u017fx", id="a contraction across the edge of a block of two-byte letters"),
]


@pytest.mark.parametrize("text", FOUND)
def test_a_text_that_was_found(text: str) -> None:
    check(text)
