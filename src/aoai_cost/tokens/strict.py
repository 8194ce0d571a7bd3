"""The json_schema format that the SDK makes of a class.

``chat.completions.parse`` and ``responses.parse`` take a pydantic class where the service takes a schema, and send the
class's schema in the form that strict formats ask for. What is sent is what is billed, so the same is done here, step
by step and in the same order of keys (openai/openai-python, src/openai/lib/_pydantic.py and _parsing/).
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from typing import Any

from ..errors import RequestError
from .body import as_object

__all__ = ["with_written_format"]


def with_written_format(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a body in which a class given as ``response_format`` or ``text_format`` is a json_schema format.

    Raises
    ------
    RequestError
        For a class that gives no schema, or one that cannot be made strict.
    """
    if isinstance(asked := body.get("response_format"), type):
        form = {"type": "json_schema", "json_schema": _format_of(asked, "response_format")}
        body = {**body, "response_format": form}
    if isinstance(asked := body.get("text_format"), type):
        text = as_object(body.get("text") or {}, "text")
        if text.get("format") is not None:
            raise RequestError("text_format", "stands beside text.format; only one of the two can be sent")
        form = {"type": "json_schema", **_format_of(asked, "text_format")}
        body = {key: value for key, value in body.items() if key != "text_format"}
        body["text"] = {**text, "format": form}
    return body


def _format_of(asked: type, path: str) -> dict[str, Any]:
    try:
        # Models may keep the schema that they give.
        schema = copy.deepcopy(_schema_of(asked))
        if schema is not None:
            _make_strict(schema, schema)
            return {"name": asked.__name__, "schema": schema, "strict": True}
    except RecursionError:
        raise RequestError(
            path, f"the schema of {asked.__name__} refers to itself without end once it is strict"
        ) from None
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise RequestError(path, f"the schema of {asked.__name__} cannot be made strict: {str(error)[:200]}") from None
    raise RequestError(
        path, f"the class {asked.__name__} has no JSON schema; pass a pydantic model or a json_schema format"
    )


def _schema_of(asked: Any) -> dict[str, Any] | None:
    """Return the schema of a pydantic model of either major version or a pydantic dataclass, None of another class."""
    found: dict[str, Any] | None = None
    if hasattr(asked, "model_json_schema"):
        found = asked.model_json_schema()
    elif hasattr(asked, "__pydantic_config__") and (pydantic := sys.modules.get("pydantic")):
        found = pydantic.TypeAdapter(asked).json_schema()
    elif hasattr(asked, "__fields__") and hasattr(asked, "schema"):
        found = asked.schema()
    return found


def _make_strict(schema: dict[str, Any], root: dict[str, Any]) -> None:
    for key in ("$defs", "definitions"):
        for one in schema.get(key, {}).values():
            _make_strict(one, root)
    if schema.get("type") == "object":
        schema.setdefault("additionalProperties", False)
    if isinstance(properties := schema.get("properties"), dict):
        schema["required"] = list(properties)
        for one in properties.values():
            _make_strict(one, root)
    if isinstance(items := schema.get("items"), dict):
        _make_strict(items, root)
    for key in ("anyOf", "allOf"):
        for one in schema.get(key, ()):
            _make_strict(one, root)
    if len(schema.get("allOf", ())) == 1:
        schema.update(schema["allOf"][0])
        del schema["allOf"]
    if schema.get("default", 0) is None:
        del schema["default"]
    reference = schema.get("$ref")
    if reference and len(schema) > 1:
        # A reference must stand alone: what it refers to takes its place, and the keys beside it win.
        target: Any = root
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
        schema.update({**target, **schema})
        del schema["$ref"]
        _make_strict(schema, root)
