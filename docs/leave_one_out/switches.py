"""What the code writes into a prompt and can leave unwritten: keywords of functions and of formats."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

from aoai_cost.tokens import schema, tools


def _without_key(key: str) -> dict[tuple[Any, str], Any]:
    """Leave one keyword of the parameters of functions unwritten."""
    resolved = tools._Writer._resolved
    return {(tools._Writer, "_resolved"): lambda self, one: {k: v for k, v in resolved(self, one).items() if k != key}}


def _hidden_shown(key: str) -> dict[tuple[Any, str], Any]:
    """Show one keyword of a format's schema that is hidden."""
    return {(schema, "_HIDDEN"): schema._HIDDEN - {key}, (schema, "_SHOWN"): schema._SHOWN | {key}}


def _closed_shown() -> dict[tuple[Any, str], Any]:
    shown = schema._shown

    def with_closed(one: Any, keys: Any, open_keys: Any = None) -> Any:
        found = shown(one, keys, open_keys)
        if isinstance(found, dict) and one.get("additionalProperties") is False:
            found = {key: found.get(key) for key in one if key in found or key == "additionalProperties"}
            found["additionalProperties"] = False
        return found

    return {(schema, "_shown"): with_closed}


def _long_objects() -> dict[tuple[Any, str], Any]:
    """Write each property of a function on a line of its own, as openai/harmony does."""
    written = tools._Writer._object

    def in_lines(self: Any, one: Any, depth: int) -> str:
        text = written(self, one, depth)
        if not text.startswith("{ "):
            return text
        return "\n".join(["{", *(f"{part}," for part in re.split(r", (?=\w+\??: )", text[2:-2])), "}"])

    return {(tools._Writer, "_object"): in_lines}


def _short_arrays() -> dict[tuple[Any, str], Any]:
    """Write the type of an array without what its items say of themselves, as openai/harmony does."""

    def short(self: Any, one: Any, depth: int) -> str:
        items = one.get("items")
        text = "any" if items is None else self._written(items, depth + 1)[1]
        return f"({text})[]" if " | " in text and not text.startswith("{") else f"{text}[]"

    return {(tools._Writer, "_array"): short}


TOOL_SWITCHES = {
    "titles": partial(_without_key, "title"),
    "descriptions of properties": partial(_without_key, "description"),
    "defaults": partial(_without_key, "default"),
    "values of enum": partial(_without_key, "enum"),
    "variants of anyOf": partial(_without_key, "anyOf"),
    "limits as remarks": lambda: {(tools, "_REMARKS"): ()},
    "short objects in one line": _long_objects,
    "items in Array<>": _short_arrays,
}
SCHEMA_SWITCHES = {
    **{f"schemas without {key}": partial(_hidden_shown, key) for key in sorted(schema._HIDDEN)},
    "schemas without additionalProperties": _closed_shown,
    "schemas with escapes": lambda: {(schema, "_dump"): partial(schema._dump, ascii_only=False)},
}
SWITCHES: dict[str, Callable[[], dict[tuple[Any, str], Any]]] = {**TOOL_SWITCHES, **SCHEMA_SWITCHES}


@contextmanager
def left_unwritten(names: Iterable[str]) -> Iterator[None]:
    """Switch off parts of what the code writes."""
    with ExitStack() as stack:
        for name in names:
            for (place, attribute), value in SWITCHES[name]().items():
                stack.enter_context(patch.object(place, attribute, value))
        yield
