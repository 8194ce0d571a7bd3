"""The beginning of a row that was rejected, as anybody may see it: its structure and the names of its fields.

What a row says is masked, so that no prompt, answer, name or secret can stand in a list of rejected rows: a text is
``"…"``, a digit ``0``, and what is no JSON ``…``. A name is shown only where it surely is one: as the key of an object
in a line that has been JSON from its first character on. A line that begins or goes wrong within a text, where
quotes may close instead of open, shows no name from there on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ..sources.raw import BEGINNING_BYTES

__all__ = ["MOST_SHOWN", "mask"]

MOST_SHOWN = 120
"""The most characters of a masked row."""

_TEXT = '"…"'
_CUT = "…"
# An address of mail is no name, nor is an id or a key of many digits; "@timestamp" and "$type" are.
_NAME = re.compile(r"(?!(?:[^0-9]*[0-9]){5})[@$]?[A-Za-z_][A-Za-z0-9_.-]{0,38}")
_BLANKS = re.compile(r"[ \t\r\n]*")
_KEY = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"[ \t\r\n]*:', re.DOTALL)
_VALUE = re.compile(
    r'(?P<text>"[^"\\]*(?:\\.[^"\\]*)*")|(?P<word>true|false|null)(?![^\s,\]}])'
    r"|(?P<number>-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)",
    re.DOTALL,
)
_DIGIT = re.compile("[0-9]")
_ROUGH = re.compile(
    r'(?P<text>"[^"\\]*(?:\\.[^"\\]*)*")|(?P<open>".*)|(?P<shown>[{}\[\],:])|(?P<digit>[0-9])'
    r'|(?:[^"{}\[\],:0-9\s](?:[^"{}\[\],:0-9]*[^"{}\[\],:0-9\s])?)',
    re.DOTALL,
)
# What may come next in a text that is JSON so far.
_FIRST_KEY, _FIRST_VALUE, _KEY_NEXT, _VALUE_NEXT, _NEXT = range(5)
_MOST_DIGITS = 20


def mask(row: object) -> str | None:
    """Return the beginning of a row, masked: of a line (bytes), the texts of a table's row (tuple), or a JSON value.

    None where nothing is known of the row.

    Examples
    --------
    >>> mask(b'{"model": "gpt-4o", "usage": {"total_tokens": 12}, "messages": [{"content": "Hello')
    '{"model":"…","usage":{"total_tokens":00},"messages":[{"content":"…'
    >>> mask({"user": "Ada", "stream": True, "cost": -1.5})
    '{"user":"…","stream":true,"cost":-0.0}'
    >>> mask(b'my name is Ada", "age": 36}')
    '…"…"…"…'
    """
    if row is None:
        return None
    if isinstance(row, bytes):
        return _cut(_of_line(row[:BEGINNING_BYTES].decode("utf-8", "replace").lstrip("\ufeff \t\r\n,")))
    if isinstance(row, tuple):
        return _cut(_of_cells(row))
    return _cut(_of_value(row))


def _cut(pieces: Iterator[str]) -> str:
    shown = ""
    for piece in pieces:
        shown += piece
        if len(shown) > MOST_SHOWN:
            return shown[: MOST_SHOWN - 1] + _CUT
    return shown


def _of_value(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield "{"
        for i, (name, one) in enumerate(value.items()):
            yield "," if i else ""
            yield f"{_name(name)}:"
            yield from _of_value(one)
        yield "}"
    elif isinstance(value, list):
        yield "["
        for i, one in enumerate(value):
            yield "," if i else ""
            yield from _of_value(one)
        yield "]"
    elif value is None or isinstance(value, bool):
        yield {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, int):
        # A number of thousands of digits has no text in Python.
        yield _number(str(value)) if value.bit_length() < 64 else "0" * _MOST_DIGITS
    elif isinstance(value, float):
        shown = repr(value)
        yield _number(shown) if shown[-1].isdigit() else _CUT
    else:
        yield _TEXT if isinstance(value, str) else _CUT


def _name(key: object) -> str:
    return f'"{key}"' if isinstance(key, str) and _NAME.fullmatch(key) else _TEXT


def _number(text: str) -> str:
    return _DIGIT.sub("0", text.lower())


def _of_line(text: str) -> Iterator[str]:
    """Yield a text as long as it is JSON, and from there on its rest without names."""
    brackets, state, at = "", _VALUE_NEXT, 0
    while True:
        at = _blanks_end(text, at)
        here = text[at : at + 1]
        takes_value = state in (_FIRST_VALUE, _VALUE_NEXT)
        if state in (_FIRST_KEY, _KEY_NEXT) and (key := _KEY.match(text, at)) is not None:
            yield f"{_name(key[1])}:"
            at, state = key.end(), _VALUE_NEXT
            continue
        if takes_value and (value := _VALUE.match(text, at)) is not None:
            yield _TEXT if value["text"] else value["word"] or _number(value["number"])
            at, state = value.end(), _NEXT
            continue
        if takes_value and here and here in "{[":
            brackets += here
            state = _FIRST_KEY if here == "{" else _FIRST_VALUE
        elif state not in (_KEY_NEXT, _VALUE_NEXT) and brackets[-1:] + here in ("{}", "[]"):
            brackets, state = brackets[:-1], _NEXT
        elif state == _NEXT and here == "," and brackets:
            state = _KEY_NEXT if brackets[-1] == "{" else _VALUE_NEXT
        else:
            break
        yield here
        at += 1
    yield from _roughly(text[at:])


def _blanks_end(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return at if found is None else found.end()


def _roughly(text: str) -> Iterator[str]:
    for found in _ROUGH.finditer(text):
        if found["text"]:
            yield _TEXT
        elif found["open"]:
            yield '"…'
        elif found["digit"]:
            yield "0"
        else:
            yield found["shown"] or _CUT


def _of_cells(cells: tuple[str, ...]) -> Iterator[str]:
    for i, cell in enumerate(cells):
        yield "," if i else ""
        yield from _roughly(cell[:BEGINNING_BYTES])
