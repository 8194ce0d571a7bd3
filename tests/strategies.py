"""Hypothesis strategies that several tests share."""

from __future__ import annotations

from hypothesis import strategies as st

# Each fragment alone, or beside another, is a case of its own in one of the split patterns.
_WORDS = "a Z Ab ' 's 'S 'ſ 'LL 'rE 'd 't 'x / // ! !! . 1 12 ² Ⅷ é e\u0301 \u0301 ª ǅ ʕ 中 日本 кот КОТ ไทย 한 👩 == _"
_BLANKS = [" ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", "\r", "\u0085", "\u00a0", "\u3000", "\u2028"]
_CONTROLS = ["\x00", "\x1c", "\u200b", "\u200d", "\ufeff"]

sharp_texts = st.lists(st.sampled_from([*_WORDS.split(), *_BLANKS, *_CONTROLS])).map("".join)

# Lone surrogates, surrogates in pairs, unassigned code points, and everything else that a str can hold.
any_texts = st.text(st.characters(categories=None) | st.sampled_from("\ud800\udc00\udbff\udfff"))
