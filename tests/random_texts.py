"""Hostile texts at random: of alphabets, of categories, across the edges of blocks; and out of a fuzzer's bytes."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable
from functools import cache
from itertools import chain
from random import Random

# Lengths at which a kernel may change its way: keys, vectors, arrays, cache lines, blocks, the GIL, slices.
EDGES = {15: 3, 16: 3, 31: 3, 32: 3, 64: 20, 128: 8, 256: 4, 4_096: 12, 16_384: 6, 65_536: 2, 1 << 20: 0.03}
# Longer ones are left to chance: a fuzzer that is guided goes where it is slow.
MOST_CHARACTERS = 5_000

ALPHABETS = {
    "contractions": [
        *"'sStTdDmM’ſaZ1! ",
        "'s", "'S", "'ſ", "'re", "'VE", "'ll", "'Ll", "don't", "IT'S", "''", "\t'd", "K",
    ],
    "slashes": [*"///\n\n\r;:.!x ", "//", "/*", "*/", "/\n", "\n/", "https://", ";\n//", "\r\n"],
    "newlines": [*"\n\n\n\r  \tax1!", "\r\n", "\n\n", " \n", "\n ", "\x85", "\u2028", "\u2029"],
    "blanks": [*"      \t\x0b\x0c\x85\xa0\u1680\u2000\u2009\u202f\u205f\u3000\u180e\u200b\ufeff\x1c\x1fxA1!\n"],
    "cases": [*"aabZAABʕʔªǅDžßſİıʰ中한", "Ab", "aB", "AB中", "É", "é", "Ω", "я", "Я", "HTTPServer", "camelCase"],
    "marks": [
        *"eE!中 \u0301\u0308\u0f39\u20dd\ufe0f\u200d\u093f\u0e31ह",
        "!\u0301", "e\u0301", "A\u0301B", "क्षि", "ไทย", "\n\u0301",
    ],
    "digits": [*"0123456789,. -²½Ⅷ３٣๓①𝟘ax", "12", "1234", "1e9", " 12", "1's"],
    "punctuation": [*"!?.,;:-_=+*#@$%^&()[]{}<>|\\\"'`~§«»…“”、。！？¿ \nax", "==", "->", "/*", "```", "##"],
    "CJK": [*"中日本語漢字的一是不了人我在有他這㐀𠀀𪚥ひらがなカタカナー한글ㄱ々〆", "Ab", "A", "、", "1", " "],
    "emoji": [*"😀👩🔬🏽❤\u200d\ufe0f🇩🇪🏴\U000e0067\U000e007fx ", "👩‍🔬", "👨‍👩‍👧", "🏴‍☠️", "1️⃣"],
    "controls": [*"\x00\x01\x08\x0e\x1b\x1c\x1f\x7f\x80\x84\x86\x9f\xad\u200e\u202e\ue000\uffff\U0010ffffa1 \n"],
    # Letters, marks and digits of Unicode 15 to 17: tiktoken 0.14 knows those up to 16, the interpreter maybe fewer.
    "late letters": [
        *"\U00010d4a\U00010d50\U00010d70\U00010d40\U0001e5d0\U0001e5ee\U0001e5f1\U00011bc0\U00011bf0\U000105c0\U00016d40",
        *"\U00016d70\U00031350\U0002ebf0\U000323b0\U00010efd\U00011241\u1c89\u1c8a\ua7cb\ua7da\u0897\ua7ce\u0c5c",
        *"aA1! \n",
    ],
}  # fmt: skip
SPECIALS = [
    "<|endoftext|>", "<|endofprompt|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|startoftext|>",
    "<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|call|>", "<|return|>", "<|constrain|>",
    "<|reserved_200018|>", "<|reserved_201087|>", "<|nonsense|>", "<|endoftext", "endoftext|>", "<|", "|>", "<", "|",
]  # fmt: skip
SURROGATES = ["\ud800", "\udbff", "\udc00", "\udfff", "\ud83d", "\ude00", "\ud83d\ude00", "\ude00\ud83d"]
WORDS = """
the The THE hello World antidisestablishmentarianism return getElementById __init__ naïve Straße ÉCOLE кошка Кошка КОТ
λόγος שלום مرحبا नमस्ते สวัสดี 你好世界 こんにちは 안녕하세요 Việt İstanbul
don't it's x = 42 3.14 0xFF foo_bar e.g. </div> &nbsp; {}
""".split()  # noqa: SIM905  (a list of forty lines says no more)
FILLERS = [*"xQ \n0=\u0301éж中한😀", "/\n", "'s", "word ", "Ab", "漢字", "a ", "12,"]


# Every code point where scripts are many and small; of Han, of the private and of the empty planes one in 64.
_CODE_POINTS = (range(0x3400), range(0x3400, 0xA000, 64), range(0xA000, 0x20000), range(0x20000, 0x110000, 64))


@cache
def characters_by_category() -> dict[str, list[str]]:
    """Return characters by their general category in this interpreter, surrogates and unassigned ones too."""
    found: dict[str, list[str]] = {}
    for code in chain.from_iterable(_CODE_POINTS):
        found.setdefault(unicodedata.category(chr(code)), []).append(chr(code))
    return found


def _some(random: Random, choices: list[str], most: int = 40) -> str:
    return "".join(random.choices(choices, k=random.randint(0, most)))


def of_an_alphabet(random: Random) -> str:
    """Return fragments of one sharp alphabet, or of two."""
    names = random.sample(list(ALPHABETS), random.randint(1, 2))
    return _some(random, [fragment for name in names for fragment in ALPHABETS[name]])


def of_categories(random: Random) -> str:
    """Return characters of one to three general categories, with blanks and letters that show their class."""
    groups = random.sample(list(characters_by_category().values()), random.randint(1, 3))
    alphabet = [random.choice(group) for group in groups for _ in range(8)]
    return _some(random, [*alphabet, " ", "\n \n x", "a", "B", "'s"][: random.randint(1, 29)])


def of_words_and_categories(random: Random) -> str:
    """Return words joined by characters of any category."""
    groups = list(characters_by_category().values())
    parts: list[str] = []
    for _ in range(random.randint(1, 12)):
        parts += random.choice(WORDS), random.choice([" ", "\n", random.choice(random.choice(groups))])
    return "".join(parts)


def of_specials(random: Random) -> str:
    """Return texts of special tokens, whole and broken, beside white space and words."""
    return _some(random, [*SPECIALS, " ", "  ", "\n", "\t", "\u3000", "x", "1", "!", "'s", *WORDS[:6]], 12)


def of_surrogates(random: Random) -> str:
    """Return surrogates alone, in pairs and the wrong way round, among characters of every width."""
    return _some(random, [*SURROGATES, "a", "é", "中", "😀", " ", "\n", "'s", "\ufffd"], 20)


SHORT_KINDS: list[Callable[[Random], str]] = [
    of_an_alphabet, of_an_alphabet, of_categories, of_words_and_categories, of_specials, of_surrogates,
]  # fmt: skip


def across_an_edge(random: Random) -> str:
    """Return a text in which a short one begins up to eight characters before a block's edge, give or take three."""
    [edge] = random.choices(list(EDGES), list(EDGES.values()))
    edge = edge * random.choice((1, 1, 2)) + random.randint(-3, 3)
    unit = random.choice(FILLERS)
    if random.random() < 0.5:  # the edge counts characters
        filler = (unit * edge)[:edge]
    else:  # it counts UTF-8 bytes
        size = len(unit.encode())
        filler = "x" * (edge % size) + unit * (edge // size)
    sharp = random.choice(SHORT_KINDS)(random)
    kept = max(len(filler) - random.randint(0, 8), 0)
    return filler[:kept] + sharp + random.choice(["", "", unit * random.randint(0, 80)])


def joined(random: Random) -> str:
    """Return a few short texts of any kinds as one."""
    return "".join(random.choice(SHORT_KINDS)(random) for _ in range(random.randint(2, 5)))


KINDS: list[Callable[[Random], str]] = [*SHORT_KINDS, across_an_edge, across_an_edge, joined]


def random_text(random: Random) -> str:
    """Return one hostile text."""
    return random.choice(KINDS)(random)


# ---- a fuzzer's bytes as text: any str can be written, sharp fragments are one byte, long ones a few

_FRAGMENTS = [
    "'s", "'S", "'ſ", "'ll", "'rE", "'ve", "'T", "'d", "don't", "''",
    "\r\n", "\n\n", " \n", "  ", "\x85", "\u2028", "\u3000", "\xa0", "\u180e", "\u200b", "\ufeff",
    "//", "/\n", ";\n//", "https://", "/*", "\u0301", "e\u0301", "!\u0301", "\u200d", "\ufe0f",
    "é", "É", "ß", "ª", "ǅ", "ʕ", "ʰ", "я", "Я", "λ", "中", "日本", "漢字", "한", "の", "ー", "𠀀", "ไทย", "क्षि",
    "😀", "👩‍🔬", "²", "３", "Ⅷ", "123", "\ud83d", "\ude00", "\U00010d50", "\U0001e5d0", "==", "\ue000",
    "<|endoftext|>", "<|endofprompt|>",
]  # fmt: skip
_FILL_TO = (32, 64, 256, 4_096)


def text_of_bytes(data: bytes) -> str:
    """Return the text that a fuzzer's bytes stand for; ASCII stands for itself.

    80-BF are fragments; C0-DF and two more bytes any code point, surrogates included; E0-EF repeat the last 1 to 16
    characters as often as the next byte says; F0-FF repeat the last 1 to 4 until an edge, give or take three.
    """
    text = ""
    feed = iter(data)
    for byte in feed:
        if byte < 0x80:
            text += chr(byte)
        elif byte < 0xC0:
            text += _FRAGMENTS[byte - 0x80]
        elif byte < 0xE0:
            text += chr(((byte & 0x1F) << 16 | next(feed, 0) << 8 | next(feed, 0)) % (sys.maxunicode + 1))
        elif byte < 0xF0:
            text += text[-(byte & 0xF) - 1 :] * next(feed, 0)
        else:
            unit = text[-(byte & 3) - 1 :]
            missing = max(_FILL_TO[byte >> 2 & 3] - 3 + next(feed, 0) % 7 - len(text), 0)
            text += (unit * missing)[:missing]
        if len(text) > MOST_CHARACTERS:
            return text[:MOST_CHARACTERS]
    return text


def bytes_of_text(text: str) -> bytes:
    """Return bytes that stand for a text, without repeats."""
    return b"".join(
        bytes([ord(c)]) if c < "\x80" else bytes([0xC0 | ord(c) >> 16, ord(c) >> 8 & 0xFF, ord(c) & 0xFF])
        for c in text
    )  # fmt: skip
