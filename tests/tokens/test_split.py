"""Where pieces end, for each pattern family: the known traps by hand, and tiktoken's own engine for the rest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference_tokens import pieces_by_tiktoken, tiktoken_encoding
from strategies import sharp_texts

from aoai_cost._fast.split import FAMILIES, split_pieces

PATTERNS = {
    "r50k": tiktoken_encoding("r50k_base")._pat_str,
    "cl100k": tiktoken_encoding("cl100k_base")._pat_str,
    "o200k": tiktoken_encoding("o200k_base")._pat_str,
}

# text, then the pieces in o200k, cl100k and r50k, cut at "|"; None where the text itself holds a bar.
TRAPS = [
    pytest.param("a\n\n  ", "a|\n\n|  ", "a|\n\n  ", "a|\n\n  ", id="newlines, then blanks to the end of the text"),
    pytest.param("a \n ", "a| \n| ", "a| \n ", "a| \n ", id="blank, newline, blank at the end"),
    pytest.param("  \n  x", "  \n| | x", "  \n| | x", "  \n | x", id="a run of blanks ends at its last newline"),
    pytest.param("a\n \n b", "a|\n \n| b", "a|\n \n| b", "a|\n \n| b", id="blanks between newlines"),
    pytest.param("a   b", "a|  | b", "a|  | b", "a|  | b", id="the last blank joins the word"),
    pytest.param("a\t\tb", "a|\t|\tb", "a|\t|\tb", "a|\t|\t|b", id="in r50k only U+0020 joins a word"),
    pytest.param("a \u3000b", "a| |\u3000b", "a| |\u3000b", "a| |\u3000|b", id="a wide blank joins a word"),
    pytest.param("a\u0085b", "a|\u0085b", "a|\u0085b", "a|\u0085|b", id="U+0085 is white space and no newline"),
    pytest.param("a\u180eb", "a|\u180eb", "a|\u180eb", "a|\u180e|b", id="U+180E is no white space"),
    pytest.param("a\x1cb", "a|\x1cb", "a|\x1cb", "a|\x1c|b", id="U+001C is no white space"),
    pytest.param("a\r\n\r b", "a|\r\n\r| b", "a|\r\n\r| b", "a|\r\n\r| b", id="carriage returns are newlines"),
    pytest.param("\u3000!", "\u3000|!", "\u3000|!", "\u3000|!", id="only U+0020 joins punctuation"),
    pytest.param("don't", "don't", "don|'t", "don|'t", id="a contraction is a suffix in o200k, a piece elsewhere"),
    pytest.param("DON'Tx", "DON'T|x", "DON|'T|x", "DON|'|Tx", id="r50k knows no capital contractions"),
    pytest.param("it'\u017fx", "it'\u017f|x", "it|'\u017f|x", "it|'|\u017fx", id="the long s folds to s"),
    pytest.param("!'s", "!'|s", "!'|s", "!'|s", id="an apostrophe in punctuation"),
    pytest.param(" 's", " '|s", " '|s", " '|s", id="an apostrophe after a blank"),
    pytest.param("\t's", "\t|'s", "\t|'s", "\t|'s", id="an apostrophe after a tab"),
    pytest.param("a's's", "a's|'s", "a|'s|'s", "a|'s|'s", id="two contractions"),
    pytest.param("can'ts", "can't|s", "can|'t|s", "can|'t|s", id="letters after a contraction"),
    pytest.param("x'rE", "x'rE", "x|'rE", "x|'|rE", id="a contraction of mixed case"),
    pytest.param("1's", "1|'s", "1|'s", "1|'s", id="digits take no suffix"),
    pytest.param("'\n", "'\n", "'\n", "'|\n", id="an apostrophe before a newline"),
    pytest.param("\u4e2dA", "\u4e2d|A", "\u4e2dA", "\u4e2dA", id="a capital after a caseless letter"),
    pytest.param("\u4e2dAb", "\u4e2dAb", "\u4e2dAb", "\u4e2dAb", id="and a small one after it"),
    pytest.param("a\u4e2dA", "a\u4e2d|A", "a\u4e2dA", "a\u4e2dA", id="caseless letters go on a lower-case run"),
    pytest.param("AB\u4e2dCD", "AB\u4e2d|CD", "AB\u4e2dCD", "AB\u4e2dCD", id="back to the last caseless letter"),
    pytest.param("ABC\u0301DEF", "ABC\u0301|DEF", "ABC|\u0301DEF", "ABC|\u0301|DEF", id="a mark among capitals"),
    pytest.param("a\u01c5", "a|\u01c5", "a\u01c5", "a\u01c5", id="a title-case letter is a capital"),
    pytest.param("\u00aaB", "\u00aa|B", "\u00aaB", "\u00aaB", id="U+00AA is caseless"),
    pytest.param("CamelCase", "Camel|Case", "CamelCase", "CamelCase", id="camel case"),
    pytest.param("HTTPServer", "HTTPServer", "HTTPServer", "HTTPServer", id="capitals lead one word"),
    pytest.param("a\u0301b", "a\u0301b", "a|\u0301b", "a|\u0301|b", id="a mark in a word"),
    pytest.param("!\u0301a", "!\u0301a", "!\u0301|a", "!\u0301|a", id="a mark after one punctuation mark"),
    pytest.param("!!\u0301a", "!!\u0301|a", "!!\u0301|a", "!!\u0301|a", id="a mark in a run of punctuation"),
    pytest.param("1234567", "123|456|7", "123|456|7", "1234567", id="digits by three"),
    pytest.param("12\uff13\u00b2", "12\uff13|\u00b2", "12\uff13|\u00b2", "12\uff13\u00b2", id="digits are characters"),
    pytest.param(" 12", " |12", " |12", " 12", id="a blank before digits"),
    pytest.param("x/\n/y", "x|/\n/|y", "x|/\n|/y", "x|/|\n|/|y", id="a slash in the tail of punctuation"),
    pytest.param(";\n//z", ";\n//|z", ";\n|//|z", ";|\n|//|z", id="the tail takes newlines and slashes in any order"),
    pytest.param("a\u200bb", "a|\u200bb", "a|\u200bb", "a|\u200b|b", id="U+200B is punctuation"),
    pytest.param("\x00\x00a", "\x00\x00|a", "\x00\x00|a", "\x00\x00|a", id="NUL is punctuation"),
]


@pytest.mark.parametrize(("text", "o200k", "cl100k", "r50k"), TRAPS)
def test_a_trap(text: str, o200k: str, cl100k: str, r50k: str) -> None:
    for family, pieces in (("o200k", o200k), ("cl100k", cl100k), ("r50k", r50k)):
        assert split_pieces(text, family) == pieces.split("|"), family
        # The table above was written by hand; it must say what tiktoken does.
        assert pieces_by_tiktoken(PATTERNS[family], text) == pieces.split("|"), family


@pytest.mark.parametrize("family", FAMILIES)
@given(text=st.one_of(sharp_texts.map(lambda text: text[:12]), st.text(max_size=12)))
def test_pieces_are_those_of_tiktoken(family: str, text: str) -> None:
    assert split_pieces(text, family) == pieces_by_tiktoken(PATTERNS[family], text)


@pytest.mark.parametrize("family", FAMILIES)
@given(text=st.text())
def test_pieces_are_the_text(family: str, text: str) -> None:
    pieces = split_pieces(text, family)
    assert "".join(pieces) == text
    assert all(pieces)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_character_of_each_class_in_frames_that_show_its_class(family: str) -> None:
    # A wrong class is mostly invisible in ids; after these frames it changes the pieces.
    for code in (0x41, 0x295, 0x2160, 0x300, 0x1C5, 0xAA, 0x3042, 0x1F600, 0x378, 0xE000, 0x1E5D0, 0x10D50, 0x11BC0):
        for frame in ("{}\n \n x", "a{}B", " {}", "!{}a", "1{}2", "{}'s"):
            text = frame.format(chr(code))
            assert split_pieces(text, family) == pieces_by_tiktoken(PATTERNS[family], text), (hex(code), frame)


def test_an_unknown_family_is_an_error() -> None:
    with pytest.raises(KeyError):
        split_pieces("a", "o100k")


def test_a_surrogate_is_an_error() -> None:
    with pytest.raises(UnicodeEncodeError):
        split_pieces("\ud800", "o200k")
