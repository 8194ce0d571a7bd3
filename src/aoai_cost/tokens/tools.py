"""How tools, their calls and their results are written into a prompt.

The service writes functions as types of TypeScript, one namespace for all. How, is known from three sides: OpenAI's
renderer of gpt-oss prompts (openai/harmony, src/encoding.rs and docs/format.md); what ChatGPT's tools look like from
within, keyword by keyword (serbyte-development/json-schema-to-openai-typescript, fixtures/conversion); and recorded
usage, which those forms explain to the token where the first two agree with it and where they do not.
"""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..catalog import ToolForm
from ..errors import RequestError, shorten
from .body import as_json, as_list, as_object, field
from .encoding import Encoding

__all__ = [
    "UNTOLD_FIELDS",
    "CallHistory",
    "Counted",
    "Declared",
    "Function",
    "choice_tokens",
    "declared_functions",
    "read_tools",
    "tool_block",
]

# Keywords that recorded requests with exact counts used.
_PROVEN = frozenset(
    """
    type properties required title description items enum const default anyOf $ref $defs definitions
    additionalProperties strict $schema
    """.split()  # noqa: SIM905
)
_FUNCTION_FIELDS = frozenset({"type", "function", "name", "description", "parameters", "strict"})
UNTOLD_FIELDS = frozenset({"defer_loading", "output_schema"})
"""Fields of a function that change what the model is told of it, in a way that no recording shows."""
# By how many tokens a block may be off for each such keyword (what its remark costs), and for each object whose
# properties may stand in another order (pieces at the borders of a property merge differently).
_KEYWORD_TOKENS = 8
_ORDER_TOKENS = 2
# The most that a tool choice was seen to cost, with a name of three tokens.
_CHOICE_TOKENS = 14
# By how many a choice may be off that one repository alone recorded.
_FEW_TOKENS = 4
# What calls and results in the style of 2023 may cost more or less on models that were only recorded with the new one.
_OLD_STYLE_TOKENS = 4
# Deeper than this a schema is written as `any`; the service refuses more than ten levels in strict functions.
_DEEPEST = 40
# References may multiply without end; what comes after so many types of one function is written as `any`.
_MOST_TYPES = 5_000
# So many sets of tools are kept as they were written, none of more bytes than this.
_MOST_KEPT, _LARGEST_KEPT_BYTES = 64, 1 << 16
# Parameters that say no more than these are none.
_SAYING_NOTHING = frozenset({"type", "required", "title", "strict", "$schema", "$defs", "definitions"})

# What a remark behind a property says, in the order in which ChatGPT's tools say it.
_REMARKS = (
    *("minLength", "maxLength", "pattern", "format"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minItems", "maxItems"),
)


class Counted(NamedTuple):
    """Tokens of one part, and by how many they may be too high or too low."""

    label: str
    tokens: int
    below: int = 0
    above: int = 0


@dataclass(frozen=True, slots=True)
class Function:
    """A declared function."""

    path: str
    name: str
    description: str
    parameters: Any
    unread: tuple[str, ...] = ()


class Declared(NamedTuple):
    """The tools of a request: its functions as the model is told of them, and all others."""

    has_functions: bool
    block: str
    unsure: int
    """By how many tokens the block may be off."""
    reasons: tuple[str, ...]
    others: tuple[tuple[str, str], ...]
    """Path and type."""
    unread: tuple[tuple[str, str], ...]
    """Path and name of what is set of a function and not read."""


class _Content(pickle.Pickler):
    """Writes what JSON is made of, to know it again: equal bytes are equal content of equal types. None are ever read.

    The other way round equal content may have other bytes, where one text stands in two places.
    """

    def reducer_override(self, value: Any) -> Any:
        raise TypeError(f"{type(value).__name__} is no JSON")  # before any code of the object runs


_NONE = Declared(False, "", 0, (), (), ())
_kept: dict[tuple[bytes, str, str, str], Declared] = {}


def read_tools(body: Mapping[str, Any], form: ToolForm | None) -> Declared:
    """Read the tools of a request; those whose content is that of an earlier one are not written again.

    Without a form no block is written.
    """
    if body.get("tools") is None and body.get("functions") is None:
        return _NONE
    tools = {key: body[key] for key in ("tools", "functions") if key in body}
    content = None if form is None else _content(tools)
    if content is None or form is None:
        return _read(tools, form)
    key = (content, form.types, form.header, form.footer)
    found = _kept.get(key)
    if found is None:
        found = _read(tools, form)
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        # Another thread may have changed the tools meanwhile.
        if _content(tools) == content:
            _kept[key] = found
    return found


def _content(tools: Mapping[str, Any]) -> bytes | None:
    """Write tools as bytes; None where they are too large to keep, or hold typed objects or iterators."""
    written = io.BytesIO()
    try:
        _Content(written, pickle.HIGHEST_PROTOCOL).dump(tools)
    except (TypeError, RecursionError):
        return None
    return written.getvalue() if written.tell() <= _LARGEST_KEPT_BYTES else None


def _read(tools: Mapping[str, Any], form: ToolForm | None) -> Declared:
    functions: list[Function] = []
    others: list[tuple[str, str]] = []
    for one in declared_functions(tools):
        if isinstance(one, Function):
            functions.append(one)
        else:
            others.append(one)
    # A function that is loaded when it is asked for is not told before.
    told = [one for one in functions if "defer_loading" not in one.unread]
    block, unsure, reasons = tool_block(form, told) if form and told else ("", 0, [])
    unread = [(one.path, name) for one in functions for name in one.unread]
    return Declared(bool(told), block, unsure, tuple(reasons), tuple(others), tuple(unread))


def declared_functions(body: Any) -> Iterator[Function | tuple[str, str]]:
    """Yield the functions of a request, of either API or as ``functions``, and (path, type) of every other tool."""
    for key in ("tools", "functions"):
        tools = field(body, key)
        if tools is None:
            continue
        for i, one in enumerate(as_list(tools, key)):
            path = f"{key}[{i}]"
            tool = as_object(one, path)
            kind = "function" if key == "functions" else field(tool, "type")
            if kind != "function":
                yield path, str(shorten(kind))
                continue
            function = field(tool, "function") or tool
            name, description = field(function, "name"), field(function, "description")
            if not isinstance(name, str) or not name:
                raise RequestError(f"{path}.name", f"must be a text, found {shorten(name)}")
            if description is not None and not isinstance(description, str):
                raise RequestError(f"{path}.description", f"must be a text, found {shorten(description)}")
            parameters = field(function, "parameters")
            if parameters is not None and not isinstance(parameters, Mapping):
                raise RequestError(f"{path}.parameters", f"must be a JSON schema, found {shorten(parameters)}")
            unread = [key for one in (tool, function) for key in one if key not in _FUNCTION_FIELDS and one[key]]
            yield Function(path, name, description or "", parameters, tuple(dict.fromkeys(unread)))


def tool_block(form: ToolForm, functions: Sequence[Function]) -> tuple[str, int, list[str]]:
    """Write the block of tools; return it, by how many tokens it may be off, and why.

    Examples
    --------
    >>> form = ToolForm(header="namespace functions {\\n\\n", footer="} // namespace functions")
    >>> city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    >>> print(tool_block(form, [Function("tools[0]", "weather", "Looks outside.", city)])[0])
    namespace functions {
    <BLANKLINE>
    // Looks outside.
    type weather = (_: { city: string }) => any;
    <BLANKLINE>
    } // namespace functions
    """
    texts, unsure, reasons = [], 0, []
    for function in functions:
        writer = (_Writer if form.types == "2024" else _Writer2023)(function.parameters)
        comments = _commented(function.description.strip())
        texts.append("\n".join([*comments, f"type {function.name} = {writer.signature()} => any;"]))
        unsure += _KEYWORD_TOKENS * writer.unproven + _ORDER_TOKENS * writer.reordered
        if writer.unproven:
            reasons.append(f"{function.path}: keywords of its parameters that no recording shows make it a range")
        if writer.reordered:
            reasons.append(
                f"{function.path}: properties stand in alphabetical order and `required` in another; "
                "if they were sorted after sending, a few tokens differ"
            )
    return form.header + "\n\n".join(texts) + ("\n\n" + form.footer if form.footer else ""), unsure, reasons


def choice_tokens(form: ToolForm, encoding: Encoding, choice: Any) -> Counted:
    """Count what ``tool_choice`` or ``function_call`` costs."""
    choice = as_json(choice)
    name = field(choice, "name") or field(field(choice, "function"), "name")
    if name is not None and not isinstance(name, str):
        raise RequestError("tool_choice.name", f"must be a text, found {shorten(name)}")
    if isinstance(choice, str) and choice not in ("auto", "none", "required"):
        raise RequestError("tool_choice", f"must be auto, none, required or an object, found {shorten(choice)}")
    kind = choice if isinstance(choice, str) else "auto" if choice is None else "forced" if name else "allowed"
    tokens = {"required": form.required_tokens, "none": form.none_tokens}.get(kind, 0)
    if kind == "forced" and form.forced_tokens is not None:
        tokens = form.forced_tokens + encoding.count(f" to=functions.{name}")
    if kind not in form.unsure_choices:
        return Counted("tool choice", tokens)
    return Counted("tool choice", tokens, min(tokens, _FEW_TOKENS), _FEW_TOKENS if tokens else _CHOICE_TOKENS)


def _commented(text: str) -> list[str]:
    """Comment a text line by line; indentation and trailing blanks go."""
    return [f"// {line.strip()}".rstrip() for line in text.split("\n")] if text else []


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=as_json)
    except (TypeError, ValueError, RecursionError):
        return "null"


def _plain(value: Any) -> str:
    try:
        return str(value)
    except (ValueError, RecursionError):
        return "null"


class _Writer:
    """Writes the parameters of one function."""

    def __init__(self, parameters: Any) -> None:
        self._root = parameters
        self._open: list[str] = []
        self._left = _MOST_TYPES
        self.unproven = 0
        self.reordered = 0

    def signature(self) -> str:
        root = self._top()
        if root is None:
            return "()"
        if field(root, "properties"):
            return f"(_: {self._named(root)})"
        # As any other type is written; no recording has it.
        self.unproven += 1
        return f"(_: {self._unnamed(root)})"

    def _named(self, root: Mapping[str, Any]) -> str:
        self._check(root)
        return "\n".join([*self._comments(root), self._object(root, 0)])

    def _unnamed(self, root: Mapping[str, Any]) -> str:
        return "\n".join([*self._comments(root), self._type(root, 0)])

    def _top(self) -> Mapping[str, Any] | None:
        """Return the parameters, resolved, or None where there are none."""
        root = self._resolved(self._root or {})
        self.unproven += "$ref" in (self._root or {})
        saying = {"properties", *root} - _SAYING_NOTHING
        return root if any(field(root, key) for key in saying) else None

    def _check(self, schema: Mapping[str, Any]) -> None:
        self.unproven += sum(1 for keyword in schema if keyword not in _PROVEN)
        self.unproven += bool(field(schema, "additionalProperties"))

    def _resolved(self, schema: Any) -> Mapping[str, Any]:
        """Follow references within the parameters; keywords beside one stay."""
        schema = as_json(schema)
        for _ in range(_DEEPEST):
            reference = field(schema, "$ref")
            if not isinstance(reference, str):
                break
            target: Any = self._root
            for step in reference.removeprefix("#").strip("/").split("/"):
                target = field(target, step.replace("~1", "/").replace("~0", "~")) if step else target
            beside = {key: value for key, value in schema.items() if key != "$ref"}
            schema = {**target, **beside} if isinstance(target, Mapping) else beside
        if isinstance(schema, Mapping):
            return schema
        self.unproven += 1
        return {"type": "never"} if schema is False else {}

    def _written(self, schema: Any, depth: int) -> tuple[list[str], str, list[str]]:
        """Return the comments above, the type, and the remarks behind it."""
        schema = as_json(schema)
        reference = field(schema, "$ref")
        if reference in self._open:
            self.unproven += 1
            return [], "any", [f"$ref: {_json(reference)}"]
        one = self._resolved(schema)
        if isinstance(reference, str):
            self._open.append(reference)
        text, comments, remarks = self._type(one, depth), self._comments(one), self._remarks(one)
        if isinstance(reference, str):
            self._open.pop()
        if "default" in one:
            default = f"default: {_json(one['default'])}"
            if "\n" in text:
                comments.append(f"// {default}")
            else:
                remarks.append(default)
        return comments, text, remarks

    def _comments(self, schema: Mapping[str, Any]) -> list[str]:
        title, description = schema.get("title"), schema.get("description")
        comments = _commented(title) if isinstance(title, str) else []
        if isinstance(description, str) and description:
            comments += ["//"] * bool(comments) + _commented(description.strip())
        examples = schema.get("examples")
        if isinstance(examples, list) and len(examples) == 1:
            comments.append(f"// Example: {_json(examples[0])}")
        elif isinstance(examples, list) and examples:
            comments += ["// Examples:", *(f"// - {_json(example)}" for example in examples)]
        return comments

    def _remarks(self, schema: Mapping[str, Any]) -> list[str]:
        remarks = []
        for keyword in _REMARKS:
            value = schema.get(keyword)
            if value is None:
                continue
            if keyword == "pattern":
                value = f"/{_plain(value)}/"
            elif keyword == "format":
                value = _json(value)
            elif schema.get("type") == "number" and isinstance(value, int) and abs(value) < 1 << 53:
                value = float(value)
            remarks.append(f"{keyword}: {_plain(value)}")
        return remarks

    def _type(self, schema: Mapping[str, Any], depth: int) -> str:
        """Write the type of a resolved schema; one of several lines that starts with a break is a union."""
        self._check(schema)
        self._left -= 1
        if depth > _DEEPEST or self._left < 0:
            self.unproven += 1
            return "any"
        for keyword, sign in (("anyOf", "|"), ("oneOf", "|"), ("allOf", "&")):
            variants = schema.get(keyword)
            if isinstance(variants, list) and variants:
                return self._union(variants, sign, depth)
        if "const" in schema:
            return _json(schema["const"])
        values = schema.get("enum")
        if isinstance(values, list) and values:
            return " | ".join(map(_json, values))
        kind = schema.get("type")
        if isinstance(kind, list):
            # Each variant is written with all that stands beside the types: a description comes once for each.
            beside = {key: value for key, value in schema.items() if key not in ("default", "$ref")}
            return self._union([{**beside, "type": one} for one in kind], "|", depth)
        text = kind if isinstance(kind, str) else "any"
        if kind == "array":
            text = self._array(schema, depth)
        elif kind == "object" or "properties" in schema:
            text = self._object(schema, depth)
        return f"{text} | null" if schema.get("nullable") is True and "\n" not in text else text

    def _array(self, schema: Mapping[str, Any], depth: int) -> str:
        items, first = schema.get("items"), schema.get("prefixItems")
        if isinstance(first, list) and first:
            parts = [f"item{i}?: {self._written(one, depth + 1)[1]}" for i, one in enumerate(first)]
            rest = [] if items is False else [f"...items: {self._written(items or {}, depth + 1)[1]}[]"]
            return f"[{', '.join(parts + rest)}]"
        if items is None:
            return "any[]"
        comments, text, remarks = self._written(items, depth + 1)
        if comments or remarks or "\n" in text:
            return "\n".join(["Array<", *comments, _remarked(text, remarks), ">"])
        return f"({text})[]" if " | " in text and not text.startswith("{") else f"{text}[]"

    def _union(self, variants: list[Any], sign: str, depth: int) -> str:
        written = [self._written(one, depth + 1) for one in variants]
        if not any(comments or remarks or "\n" in text for comments, text, remarks in written):
            return f" {sign} ".join(text for _, text, _ in written)
        lines = [""]
        for comments, text, remarks in written:
            lines += [*comments, _remarked(f" {sign} {text}", remarks)]
        return "\n".join(lines) + "\n"

    def _object(self, schema: Mapping[str, Any], depth: int) -> str:
        more, required = field(schema, "additionalProperties"), _required(schema)
        properties = _properties(schema)
        names = list(properties)
        if names == sorted(names) and [one for one in required if one in properties] != [
            one for one in names if one in required
        ]:
            self.reordered += 1
        written = []
        for name, inner in properties.items():
            comments, text, remarks = self._written(inner, depth + 1)
            head = f"{name}{'' if name in required else '?'}:"
            written.append((comments, f"{head}{text}" if text[:1] == "\n" else f"{head} {text}", remarks))
        if more:
            text = "any" if more is True else self._written(more, depth + 1)[1]
            written.append(([], f"[key: string]: {text}", []))
        if not written:
            return "object"
        if not any(comments or remarks or "\n" in text for comments, text, remarks in written):
            return "{ " + ", ".join(text for _, text, _ in written) + " }"
        lines = ["{"]
        for comments, text, remarks in written:
            lines += [*comments, _remarked(f"{text},", remarks)]
        return "\n".join([*lines, "}"])


def _properties(schema: Any) -> dict[str, Any]:
    """Return the properties of an object by their names as JSON has them."""
    found = field(schema, "properties")
    found = found if isinstance(found, Mapping) else {}
    return {name if isinstance(name, str) else _json(name): inner for name, inner in found.items()}


def _required(schema: Any) -> list[str]:
    found = field(schema, "required")
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def _remarked(text: str, remarks: list[str]) -> str:
    return f"{text} // {', '.join(remarks)}" if remarks else text


class _Writer2023(_Writer):
    """As gpt-3.5-turbo-0613 was told: no titles, defaults, constants; what is nested is indented, without comments."""

    def _named(self, root: Mapping[str, Any]) -> str:
        return "\n".join(["{", *self._lines(root, 0, 0), "}"])

    def _unnamed(self, root: Mapping[str, Any]) -> str:
        return self._type2023(root, 0, 0)

    def _lines(self, schema: Any, indent: int, depth: int) -> list[str]:
        lines: list[str] = []
        required = _required(schema)
        for name, inner in _properties(schema).items():
            one = self._resolved(inner)
            description = one.get("description")
            if isinstance(description, str) and description and indent < 2:
                lines += _commented(description)
            head = f"{name}{'' if name in required else '?'}: "
            lines += (" " * indent + head + self._type2023(one, indent, depth + 1) + ",").split("\n")
        return lines

    def _type2023(self, schema: Mapping[str, Any], indent: int, depth: int) -> str:
        self._left -= 1
        if depth > _DEEPEST or self._left < 0:
            self.unproven += 1
            return "any"
        variants, values, kind = schema.get("anyOf"), schema.get("enum"), schema.get("type")
        if isinstance(variants, list):
            return " | ".join(self._type2023(self._resolved(one), indent, depth + 1) for one in variants)
        if isinstance(values, list) and values:
            return " | ".join(map(_json, values))
        if kind == "object":
            return "\n".join(["{", *self._lines(schema, indent + 2, depth), "}"])
        if kind == "array":
            items = schema.get("items")
            return f"{self._type2023(self._resolved(items), indent, depth + 1)}[]" if items else "any[]"
        return {"integer": "number"}.get(kind, kind) if isinstance(kind, str) else "any"


class CallHistory:
    """Counts calls and results in the order in which they stand, parallel calls with all their results at once."""

    def __init__(self, form: ToolForm, encoding: Encoding) -> None:
        self._form = form
        self._count = encoding.count
        self._names: dict[str, str] = {}
        self._calls: list[tuple[str, str, str, bool, bool]] = []
        self._results: list[tuple[str, str, str]] = []
        self.pending = False
        """Whether there is anything to flush."""

    def call(self, path: str, call: Any, body: Any) -> Iterator[Counted]:
        """Take a call, whose name and arguments stand in `body`; yield what it ends."""
        if self._results:
            yield from self.flush()
        name, arguments = field(body, "name"), field(body, "arguments")
        for key, value in (("name", name), ("arguments", "" if arguments is None else arguments)):
            if not isinstance(value, str):
                raise RequestError(f"{path}.{key}", f"must be a text, found {shorten(value)}")
        for key in ("call_id", "id"):
            if isinstance(identity := field(call, key), str):
                self._names[identity] = name
        self._names[""] = name
        flat = field(call, "call_id") is not None
        stored = flat and isinstance(field(call, "id"), str)
        self.pending = True
        self._calls.append((path, name, arguments or "", stored, call is body and not flat))

    def result(self, path: str, identity: Any, name: Any, text: str) -> None:
        """Take a result: of the call with that id or, in the old style, of the function with that name."""
        found = self._names.get(identity) if isinstance(identity, str) else name
        self.pending = True
        self._results.append((path, found if isinstance(found, str) else self._names.get("", ""), text))

    def flush(self) -> Iterator[Counted]:
        """Yield the calls and results so far."""
        form, calls, results = self._form, self._calls, self._results
        self._calls, self._results, self.pending = [], [], False
        if len(calls) > 1 and form.parallel_tokens is not None:
            uses = ",".join(
                f'{{"recipient_name":"functions.{name}","parameters":{_compact(arguments)}}}'
                for _, name, arguments, _, _ in calls
            )
            listed = json.dumps([_loaded(text) for _, _, text in results], ensure_ascii=form.ascii_results)
            tokens = self._count(f'{{"tool_uses":[{uses}]}}') + self._count(listed)
            unsure = form.parallel_unsure_tokens
            yield Counted(f"{calls[0][0]} (parallel calls and results)", tokens + form.parallel_tokens, unsure, unsure)
            return
        for path, name, arguments, stored, old in calls:
            tokens = form.call_tokens + self._count(form.call_prefix + name)
            tokens += self._count(_compact(arguments) if form.compact_arguments else arguments)
            # One recorded call of twenty had an id and not these tokens: the service knows how the call was sampled.
            more = form.stored_call_tokens if stored else 0
            unsure = _OLD_STYLE_TOKENS if old and form.types != "2023" else more
            yield Counted(f"{path} (call)", tokens + more, unsure, unsure or form.call_unsure_tokens)
        for path, name, text in results:
            tokens = form.result_tokens + self._count(form.result_prefix + name) + self._count(text)
            yield Counted(f"{path} (result)", tokens)


def _compact(arguments: str) -> str:
    """Return arguments without blanks between their parts; what is no JSON stays as it is."""
    try:
        return json.dumps(json.loads(arguments), ensure_ascii=False, separators=(",", ":"))
    except (ValueError, RecursionError):
        return arguments


def _loaded(text: str) -> Any:
    """Return the object or list that a result is, else its text."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
