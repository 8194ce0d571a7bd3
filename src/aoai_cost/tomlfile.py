"""TOML files that a user keeps: what they say, on which line, and the words in which they are refused.

`tomllib` reads a file and forgets where things stood; the line is looked up in the text when an error is made.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from .errors import shorten

__all__ = ["Entry", "TomlFile", "called_entry", "read_text", "toml_text"]

E = TypeVar("E", bound=Exception)
Refusal = Callable[[str, str, str], E]
"""An error class whose fields are path, entry and reason."""

_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:\\.|[^"\\\n])*"|'[^'\n]*')"""
_PATH = rf"{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*"
_STATEMENT = re.compile(rf"[ \t]*(?P<opens>\[?\[?)[ \t]*(?P<path>{_PATH})[ \t]*[=\]]")
_NOTHING = re.compile(r"[ \t\r]*(?:#|\n|\Z)")
# What can hold a newline, a bracket or a quote that means nothing; then the brackets and newlines that mean something.
_TOKEN = re.compile(
    r'''"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\])*"|'[^']*'|\#[^\n]*|[\[\]{}\n]''',
    re.DOTALL,
)


def read_text(path: str | os.PathLike[str], refusal: Refusal[E]) -> str:
    """Read a UTF-8 file, with or without a byte order mark; a file that cannot be read is refused."""
    shown = os.fspath(path)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise refusal(shown, "", f"cannot be read: {error.strerror or type(error).__name__}") from error
    except ValueError as error:
        raise refusal(shown, "", f"cannot be read: {error}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        advice = " (it is UTF-16, as `>` of Windows PowerShell writes; save it as UTF-8)" if utf16 else ""
        raise refusal(shown, "", f"is not UTF-8 text{advice}") from error


def toml_text(text: str) -> str:
    """Write a text as TOML does: in quotes, and in ASCII alone, so that no stream's encoding can harm it.

    Examples
    --------
    >>> print(toml_text('a "b"'), toml_text("é"))
    "a \\"b\\"" "\\u00E9"
    """

    def escaped(character: str) -> str:
        if character in '"\\':
            return "\\" + character
        if " " <= character <= "~":
            return character
        code = ord(character)
        return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"

    return '"' + "".join(map(escaped, text)) + '"'


def called_entry(table: str, number: int, name: object = None) -> str:
    """Return what errors call an entry.

    Examples
    --------
    >>> called_entry("deployment", 2, "chat")
    "deployment 2 ('chat')"
    """
    return f"{table} {number}" + (f" ({shorten(name, 60)})" if isinstance(name, str) else "")


@dataclass(frozen=True, slots=True)
class Entry(Generic[E]):
    """One table of an array of tables; ``refuse(reason, *key)`` makes the error that names it and its line."""

    facts: dict[str, Any]
    refuse: Callable[..., E]

    def sound(
        self, problems: list[E], *, texts: Sequence[str], days: Sequence[str] = (), others: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Return the facts whose keys are known and whose values have the right type; add the rest to `problems`.

        Parameters
        ----------
        problems : list of error
            Gets one error for each fact that is left out.
        texts, days, others : sequence of str
            The keys that take a text or a day, and those whose values the caller checks.
        """
        known = (*texts, *days, *others)
        found = {}
        for key, value in self.facts.items():
            if key not in known:
                reason = f"has the unknown key {shorten(key, 60)}; the keys are {', '.join(known)}"
            elif key in texts and not isinstance(value, str):
                reason = f"{key} must be a text in quotes, found {shorten(value, 60)}"
            elif key in days and (not isinstance(value, date) or isinstance(value, datetime)):
                reason = f"{key} must be a day such as 2026-08-01, found {shorten(value, 60)}"
            else:
                found[key] = value
                continue
            problems.append(self.refuse(reason, key))
        return found

    def within(self, facts: dict[str, Any], called: str, *key: str) -> Entry[E]:
        """Return a table inside this one, at `key`; what it refuses is told as the entry's."""
        return Entry(facts, lambda reason, *_: self.refuse(f"{called} {reason}", *key))


class TomlFile(Generic[E]):
    """A TOML file that was read.

    Attributes
    ----------
    data : dict
        What the file says, as `tomllib` reads it.

    Raises
    ------
    the given `refusal`
        If the text is not TOML.

    Examples
    --------
    >>> text = '[[rate]]\\nmodel = "gpt-4o"\\nprice.input = 2.5\\n'
    >>> file = TomlFile("my.toml", text, PriceSheetError)
    >>> (rate,) = file.entries("rate", called_by="model")
    >>> print(rate.refuse("the price must be a text", "price", "input"))
    price sheet 'my.toml', line 3, rate 1 ('gpt-4o'): the price must be a text
    """

    def __init__(self, path: str | os.PathLike[str], text: str, refusal: Refusal[E]) -> None:
        import tomllib  # only a file pays for it

        self._path, self._text, self._refusal = os.fspath(path), text, refusal
        try:
            self.data: dict[str, Any] = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            raise refusal(self._path, "", f"is not TOML that can be read: {str(error)[:200]}") from error

    def refuse(self, entry: str, reason: str, *key: str) -> E:
        """Make an error of this file, about an entry or about a key of the file itself."""
        line = self.line_of(*key) if key else None
        return self._refuse_at(line, entry, reason)

    def expect(self, *keys: str) -> None:
        """Refuse the file if it has other keys than these."""
        for key in self.data:
            if key not in keys:
                reason = f"has the unknown key {shorten(key, 60)}; its keys are {', '.join(keys)}"
                raise self.refuse("", reason, key)

    def entries(self, table: str, *, called_by: str) -> Iterator[Entry[E]]:
        """Yield the tables of ``[[table]]``; errors call them by their number and by the key `called_by`."""
        tables = self.data.get(table, [])
        if not isinstance(tables, list):
            raise self.refuse("", f"write [[{table}]] with two brackets, once per {table}", table)
        for number, facts in enumerate(tables, start=1):
            called = called_entry(table, number, facts.get(called_by) if isinstance(facts, dict) else None)
            if not isinstance(facts, dict):
                raise self._refuse_at(self.line_of(table, number=number), called, "is not a table")
            yield Entry(facts, self._refusal_of(table, number, called))

    def line_of(self, table: str, *key: str, number: int | None = None) -> int | None:
        """Tell on which line (from 1) something stands; None where that is not certain.

        Parameters
        ----------
        table : str
            A key of the file.
        *key : str
            A key inside it, from the outside in; of an entry if `number` is given.
        number : int, optional
            Which of the ``[[table]]`` is meant, from 1. Of an array in one value, the line of its key answers.
        """
        statements = self._statements
        if number is not None:
            headers = [i for i, one in enumerate(statements) if one.opens == "[[" and one.path == (table,)]
            if not headers:
                return next((one.line for one in statements if one.path == (table,)), None)
            tables = self.data.get(table)
            if not isinstance(tables, list) or len(tables) != len(headers) or not 1 <= number <= len(headers):
                return None
            statements = statements[headers[number - 1] : (*headers[1:], None)[number - 1]]
            if not key:
                return statements[0].line
            value = tables[number - 1]
        else:
            value = self.data.get(table)
        for name in key:
            if not isinstance(value, dict) or name not in value:
                return None
            value = value[name]
        wanted = (table, *key)
        shorter = 1 if number is not None else 0
        holder: int | None = None
        for one in statements:
            if one.path[: len(wanted)] == wanted:
                return one.line
            # `price = {...}` holds price.input; the longest such key is nearest.
            if len(one.path) > shorter and one.path == wanted[: len(one.path)]:
                holder, shorter = one.line, len(one.path)
        return holder

    @cached_property
    def _statements(self) -> list[_Statement]:
        return list(_statements(self._text))

    def _refusal_of(self, table: str, number: int, called: str) -> Callable[..., E]:
        def refuse(reason: str, *key: str) -> E:
            line = self.line_of(table, *key, number=number)
            return self._refuse_at(self.line_of(table, number=number) if line is None else line, called, reason)

        return refuse

    def _refuse_at(self, line: int | None, entry: str, reason: str) -> E:
        where = ", ".join(filter(None, (f"line {line}" if line is not None else "", entry)))
        return self._refusal(self._path, where, reason)


class _Statement(NamedTuple):
    """A header or a key with its value: what it opens (``[[``, ``[`` or nothing), and its whole path of keys."""

    line: int
    opens: str
    path: tuple[str, ...]


def _statements(text: str) -> Iterator[_Statement]:
    """Yield the statements of a TOML text, in order; of a text that is not understood, none after that."""
    header: tuple[str, ...] = ()
    for line, start in _starts(text):
        found = _STATEMENT.match(text, start)
        if found is None:
            if _NOTHING.match(text, start):
                continue
            return
        path = _keys(found["path"])
        header = path if found["opens"] else header
        yield _Statement(line, found["opens"], path if found["opens"] else (*header, *path))


def _starts(text: str) -> Iterator[tuple[int, int]]:
    """Yield the number and the place of each line that begins outside all texts, arrays and inline tables."""
    line, depth = 1, 0
    yield 1, 0
    for token in _TOKEN.finditer(text):
        line += token[0].count("\n")
        if token[0] in ("[", "{"):
            depth += 1
        elif token[0] in ("]", "}"):
            depth -= 1
        elif token[0] == "\n" and depth == 0:
            yield line, token.end()


def _keys(path: str) -> tuple[str, ...]:
    """Split a dotted key; its quotes and escapes are read as TOML reads them."""
    import tomllib

    value: Any = tomllib.loads(f"{path} = 0")
    keys = []
    while isinstance(value, dict):
        ((key, value),) = value.items()
        keys.append(key)
    return tuple(keys)
