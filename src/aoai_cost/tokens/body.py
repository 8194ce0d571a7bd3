"""How the parts of a request are read: one way for dicts, the SDK's typed objects, pydantic models and dataclasses.

The rest of the room reads mappings and lists. `as_json` makes them, at the door of each part, of what a caller may hand
to the ``openai`` SDK: what the SDK would put on the wire (openai/openai-python, src/openai/_utils/_transform.py and
_json.py), so iterables are lists and what was not given is not there. Everything is recognised by what it can do;
neither openai nor pydantic is imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from inspect import isroutine
from typing import Any

from ..errors import RequestError

__all__ = ["as_json", "as_list", "as_object", "field"]

# A dict of nothing but these is JSON as it stands. Its lists and dicts are opened where they are read.
_JSON = frozenset((str, int, float, bool, type(None), list, dict))
# What may have parts and is no object or list all the same. A set has no order, so no one count.
_WHOLE = (str, bytes, bytearray, memoryview, int, float, list, set, frozenset, type)
# The SDK's sentinels for what was not given: NOT_GIVEN of all its versions, and `omit` of the newer ones.
_ABSENT = frozenset(("NotGiven", "Omit"))


def as_json(value: Any) -> Any:
    """Return a part of a request as JSON would have it: a mapping, a list, a text, a number or None.

    An object or a list is opened one level deep: what it holds is opened where it is read in turn. What is JSON at its
    first level comes back as it is, and so does what cannot be opened, for the caller to refuse; an iterator is
    consumed.

    Raises
    ------
    RequestError
        If a pydantic model cannot write itself as JSON.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> as_json(SimpleNamespace(role="user", content=iter(["a", "b"])))
    {'role': 'user', 'content': ['a', 'b']}
    """
    kind = type(value)
    if kind is dict:
        if _JSON.issuperset(map(type, value.values())):
            return value
    elif kind in _JSON:
        return value
    return _opened(value)


def as_object(value: Any, path: str) -> Mapping[str, Any]:
    """Return an object of a request, whose fields are keys or attributes.

    Raises
    ------
    RequestError
        If it is none, with `path` as its place.
    """
    found = as_json(value)
    if not isinstance(found, dict):
        raise RequestError(path, f"must be a mapping or an object with fields, not {type(value).__name__}")
    return found


def as_list(value: Any, path: str, wanted: str = "a list") -> list[Any]:
    """Return a list of a request, whatever iterable it was given as.

    Raises
    ------
    RequestError
        If it is none, with `path` as its place and `wanted` as what it should be.
    """
    found = as_json(value)
    if not isinstance(found, list):
        raise RequestError(path, f"must be {wanted}, not {type(value).__name__}")
    return found


def field(value: Any, name: str) -> Any:
    """Return one field of an object of a request, opened; None where it is absent, or the value is no object."""
    found = value if type(value) is dict else as_json(value)
    inner = found.get(name) if isinstance(found, dict) else None
    # Most fields that are asked for are absent, and an estimate asks for many.
    return None if inner is None else as_json(inner)


def _opened(value: Any) -> Any:
    if isinstance(value, Enum):
        return as_json(value.value)
    if isinstance(value, Mapping):
        return _without_absent(value.items())
    if _is_series(value):
        return list(value)
    if isinstance(value, _WHOLE) or isroutine(value):
        return value
    if type(value).__name__ in _ABSENT:
        return None
    if _is_model(value):
        return _dumped(value)
    if is_dataclass(value):
        # None by default is a field that nobody has set.
        named = ((one.name, getattr(value, one.name, None), one.default) for one in fields(value))
        return _attributes((name, item) for name, item, default in named if item is not None or default is not None)
    own = getattr(value, "__dict__", None)
    if own is None and not any(getattr(one, "__slots__", ()) for one in type(value).__mro__):
        return value
    # In the order in which they were set, then those of the class.
    names = [name for name in dict.fromkeys([*(own or ()), *dir(value)]) if name[:1] != "_"]
    return _attributes((name, getattr(value, name, None)) for name in names)


def _without_absent(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {
        name: as_json(item) if isinstance(item, Enum) or _is_series(item) else item
        for name, item in items
        if type(item).__name__ not in _ABSENT
    }


def _attributes(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    # A trailing underscore keeps a name off a keyword or a method, as in `schema_`, and is no part of the field's name.
    return _without_absent((name.removesuffix("_"), item) for name, item in items if not isroutine(item))


def _is_series(value: Any) -> bool:
    """Whether a value is a list in all but its type: a tuple, an iterator, a column."""
    # A pydantic model can be iterated too, and gives its fields.
    return isinstance(value, Iterable) and not (
        isinstance(value, (Mapping, *_WHOLE)) or _is_model(value) or is_dataclass(value)
    )


def _is_model(value: Any) -> bool:
    return hasattr(value, "model_dump") or hasattr(value, "__fields_set__")


def _dumped(value: Any) -> Any:
    """Return what a pydantic model, of either major version, says is its JSON.

    The SDK leaves out what was never set. A default that is not None is kept here all the same: a model handed over as
    the whole body is dumped by its owner, and a message without its role would be refused.
    """
    # What the SDK made of the text of an answer, such as `parsed`, is not sent back.
    options = {"by_alias": True, "exclude_none": True, "exclude": getattr(value, "__api_exclude__", None)}
    try:
        if hasattr(value, "model_dump"):
            found = value.model_dump(mode="json", warnings=False, **options)
        else:
            found = value.dict(**options)
    except (TypeError, ValueError) as error:
        reason = f"a {type(value).__name__} in it cannot be written as JSON: {str(error)[:200]}"
        raise RequestError("body", reason) from None
    return _without_absent(found.items()) if isinstance(found, Mapping) else found
