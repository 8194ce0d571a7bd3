"""What a structured output costs: the block that a json_schema format adds to the prompt.

The model reads a section "# Response Formats" with the name, the description and the schema as compact JSON, as
OpenAI's own renderer documents for its open models (openai/harmony, docs/format.md, "Structured output"). Which part
of the schema it is shown, and where the block goes, is recovered from recorded usage: 74 requests of five
repositories, all OpenAI's. Of 14 further ones (tidyverse/ellmer, activeagents/activeagent, openai/openai-python),
13 were met at once, and one showed that ``minLength`` and ``format`` are hidden too. No recording of an Azure
deployment has a schema; its messages and tools follow the same rules.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from ..catalog import ChatRule, SchemaRule
from ..errors import RequestError, shorten
from .body import as_json, field
from .encoding import Encoding

__all__ = ["FormatBlock", "Prompt", "SchemaCost", "count_format", "read_format", "render_format"]

# What the model is shown of a schema: all of these were recorded as billed, as sent and in the order sent.
_SHOWN = frozenset(("type", "properties", "items", "description", "title", "anyOf", "$defs", "$ref", "const", "enum"))
# Recorded as sent and not billed.
_HIDDEN = frozenset(("required", "default", "minimum", "maximum", "minLength", "maxItems", "format"))
# Keys in neither set are an open question: the bounds hold both answers. These say what the answer may be, so the
# count takes them as shown, and all others as hidden.
_TAKEN_AS_SHOWN = frozenset(("oneOf", "allOf", "definitions", "additionalProperties"))
_MAPS_OF_SCHEMAS = frozenset(("properties", "$defs", "definitions"))
_LISTS_OF_SCHEMAS = frozenset(("anyOf", "oneOf", "allOf", "items"))


@dataclass(frozen=True, slots=True)
class FormatBlock:
    """A json_schema format as the model reads it."""

    name: str
    text: str
    unescaped: str
    """The same with letters beyond ASCII as they are."""
    others: tuple[str, ...]
    """Renderings that no recording rules out, because of the doubts."""
    doubts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the cost of a format depends on beside the format."""

    api: str
    system_text: str | None
    """Of the first system or developer message; None without one."""
    answers: int
    """Assistant messages with a text in the history."""
    has_tools: bool


@dataclass(frozen=True, slots=True)
class SchemaCost:
    """The tokens of a format, the bounds that hold them, and why they are not one number."""

    tokens: int
    least: int
    most: int
    doubts: tuple[str, ...]


def read_format(body: Any, api: str) -> tuple[str, Any] | None:
    """Find the json_schema format of a chat or responses body: its path, and what has name, description and schema."""
    if api == "chat":
        form, path = field(body, "response_format"), "response_format"
    else:
        form, path = field(field(body, "text"), "format"), "text.format"
    if form is None or field(form, "type") != "json_schema":
        return None
    return (path, form) if api != "chat" else (f"{path}.json_schema", field(form, "json_schema"))


def render_format(form: Any, path: str) -> FormatBlock:
    """Write a format as the model reads it.

    Raises
    ------
    RequestError
        If the name is no text or the schema no JSON object, with the field that is wrong.

    Examples
    --------
    >>> schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    >>> print(render_format({"name": "place", "schema": schema}, "text.format").text)
    # Response Formats
    <BLANKLINE>
    ## place
    <BLANKLINE>
    {"type":"object","properties":{"city":{"type":"string"}}}
    """
    name, description, schema = (field(form, key) for key in ("name", "description", "schema"))
    if not isinstance(name, str) or not name:
        raise RequestError(f"{path}.name", f"must be a text, found {shorten(name)}")
    if description is not None and not isinstance(description, str):
        raise RequestError(f"{path}.description", f"must be a text, found {shorten(description)}")
    if schema is not None and not isinstance(schema, Mapping):
        raise RequestError(f"{path}.schema", f"must be a JSON schema, found {shorten(schema)}")
    open_keys: set[str] = set()
    try:
        shown = _shown(schema or {}, _SHOWN | _TAKEN_AS_SHOWN, open_keys)
        text = _block(name, description, _dump(shown))
        unescaped = _block(name, description, _dump(shown, ascii_only=False)) if "\\u" in text else text
        readings = (_SHOWN, _SHOWN | open_keys) if open_keys else ()
        others = [_block(name, description, _dump(_shown(schema, keys))) for keys in readings]
    except (TypeError, ValueError, RecursionError):
        raise RequestError(f"{path}.schema", "is no JSON, or is nested too deeply") from None
    doubts = [] if schema else [f"{path}: no recording shows what a format without a schema costs"]
    if open_keys:
        doubts.append(
            f"{path}: no recording shows whether and how the model sees {shorten(sorted(open_keys, key=str))}"
        )
    if description and "\n" in description:
        others.append(_block(name, description.replace("\n", "\n// "), _dump(shown)))
        doubts.append(f"{path}: no recording shows how a description of several lines is written")
    return FormatBlock(name, text, unescaped, tuple(one for one in others if one != text), tuple(doubts))


def count_format(
    block: FormatBlock, rule: SchemaRule, chat: ChatRule, encoding: Encoding, prompt: Prompt
) -> SchemaCost:
    """Count what a format adds to a request, by the rule of the model's family.

    The Responses API keeps the block apart from the caller's messages: it costs the same with and without
    ``instructions``. Chat Completions appends it to the first system or developer message, or makes one for it.
    """
    in_chat = prompt.api == "chat"
    texts = [block.text, *block.others]
    doubts = list(block.doubts)
    if block.unescaped != block.text and not (in_chat and rule.escapes):
        texts.append(block.unescaped)
        doubts.append("letters beyond ASCII in a schema were recorded with gpt-4o chat only, as escapes")
    if in_chat:
        counts = [_placed(text, rule, chat, encoding, prompt) for text in texts]
    else:
        counts = [rule.responses_tokens + encoding.count(text) for text in texts]
    named = encoding.count(block.name)
    # The headers of answers that name the format: known, taken so, and not taken so but within the bounds.
    known = taken = spare = 0
    if in_chat and rule.answer_tokens and not prompt.has_tools:
        known = rule.answer_tokens + named
    elif in_chat and rule.answer_tokens:
        spare = rule.answer_tokens + named
        doubts.append("a format beside tools was recorded in one repository only: the answer may be a call")
    if in_chat and prompt.answers:
        taken = prompt.answers * (rule.history_tokens + named)
        doubts.append("a format beside earlier answers was recorded in one repository only, with gpt-5.4")
    least, most = min(counts) + known, max(counts) + known + taken + spare
    if rule.known == "assumed":
        least, most = min(map(encoding.count, texts)), most + 2 + named
        doubts.append(f"what a json_schema format costs on this model is assumed: {rule.source}")
    return SchemaCost(counts[0] + known + taken, least, most, tuple(doubts))


def _placed(text: str, rule: SchemaRule, chat: ChatRule, encoding: Encoding, prompt: Prompt) -> int:
    """Count a block in a chat request: beside the tools, in a message of its own, or in the system message."""
    if prompt.has_tools:
        # The cost of the tools has the message and the heading in it. The blank line between the blocks is a token
        # after the tools, and merges with the last brace of a format before them.
        return encoding.count("\n\n" + text) if rule.after_tools else encoding.count(text)
    if prompt.system_text is None:
        return chat.message_tokens + encoding.count("system") + encoding.count(text)
    together = f"{rule.heading}{prompt.system_text}\n\n{text}"
    return encoding.count(together) - encoding.count(prompt.system_text)


def _block(name: str, description: str | None, schema: str) -> str:
    # An empty description is no description; an empty one inside the schema stays. Both were recorded.
    comment = f"// {description}\n" if description else ""
    return f"# Response Formats\n\n## {name}\n\n{comment}{schema}"


def _dump(schema: Any, *, ascii_only: bool = True) -> str:
    # Each dash beyond ASCII of two recorded schemas was billed as the four tokens of its escape.
    return json.dumps(schema, ensure_ascii=ascii_only, separators=(",", ":"), default=as_json)


def _shown(schema: Any, keys: Set[str], open_keys: set[str] | None = None) -> Any:
    """Keep some keys of a schema, at every depth, and collect those that nothing is known about."""
    schema = as_json(schema)
    if not isinstance(schema, Mapping):
        return schema
    shown: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _HIDDEN or (key == "additionalProperties" and value is False):
            continue
        if open_keys is not None and (key not in _SHOWN or (key == "type" and not isinstance(value, str))):
            open_keys.add(key)
        if key not in keys:
            continue
        if key in _MAPS_OF_SCHEMAS and isinstance(value := as_json(value), Mapping):
            value = {name: _shown(one, keys, open_keys) for name, one in value.items()}
        elif key in _LISTS_OF_SCHEMAS and isinstance(value, Sequence) and not isinstance(value, str):
            value = [_shown(one, keys, open_keys) for one in value]
        elif key in ("items", "additionalProperties"):
            value = _shown(value, keys, open_keys)
        shown[key] = value
    return shown
